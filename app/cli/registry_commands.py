"""The registry's files: check them, read a rule back in plain words, remark on what is probably not meant."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from app.cli.options import (
    BAD_INPUT,
    AsJson,
    Municipality,
    Programmes,
    RegistryFolder,
    default_folder,
    known_programmes,
    open_registry,
    read_day,
    refuse,
)

if TYPE_CHECKING:
    from app.registry.linting import Finding
    from app.registry.loading import Registry

registry = typer.Typer(name="registry", help="The programmes and figures in registry_data/.", no_args_is_help=True)

OnDay = Annotated[str | None, typer.Option("--on", metavar="YYYY-MM-DD", help="The day looked from (default: today).")]


@registry.command("check")
def check(folder: RegistryFolder = None, programme: Programmes = None) -> None:
    """Read every file and run every example; nothing is changed. Leaves with status 2 where anything is wrong."""
    from app.registry.example_coverage import total_coverage
    from app.registry.examples import run_examples

    known = open_registry(folder)
    keys = known_programmes(known, programme)
    complaints = run_examples(known, keys)
    if complaints:
        refuse(*complaints)
    counts = {
        "programmes": len(known.programmes),
        "versions": len(known.versions),
        "parameters": len(known.parameter_documents),
        "facts": len(known.facts),
        "municipalities": len(known.municipalities),
        "examples": sum(len(version.examples) for version in known.versions),
    }
    shown = total_coverage(known, keys)
    print(", ".join(f"{count} {name}" for name, count in counts.items()) + ": no errors")
    print(f"examples show {shown.sides} of {2 * shown.tests} sides of {shown.tests} tests ({shown.percent} %)")


@registry.command("read-back")
def read_back(
    programme: Programmes = None,
    lang: Annotated[Literal["ja", "ja-easy", "en"], typer.Option("--lang", help="Language of the sentences.")] = "ja",
    on: OnDay = None,
    folder: RegistryFolder = None,
) -> None:
    """Print what programmes say as plain sentences, made from the same tree that runs, with the figures of a day."""
    from app.cli.answers import phrases_of
    from app.rules.read_back import as_text, full_read_back

    known, day = open_registry(folder), read_day(on, "--on")
    phrases = phrases_of(known, lang)
    for key in known_programmes(known, programme) or tuple(known.programmes):
        for version in known.programmes[key]:
            compiled = known.rulebook.on(key, version.valid.from_)
            if compiled is not None:
                print(f"{key} {version.version} {version.name.in_language(lang)}")
                print(as_text(full_read_back(compiled, phrases, day)))
                print()


@registry.command("lint")
def lint(folder: RegistryFolder = None, on: OnDay = None, programme: Programmes = None, json_: AsJson = False) -> None:
    """Remark on what is allowed but probably not meant. Warnings do not fail; errors do (status 2)."""
    from app.cli.answers import phrases_of, print_json, words_of
    from app.registry.linting import lint as findings_of

    known, words = open_registry(folder), words_of("lint")
    keys = known_programmes(known, programme)
    findings = findings_of(known, read_day(on, "--on"), phrases_of(known, "ja"), words, keys)
    findings += _message_findings(known, keys, words)
    for finding in findings:
        if json_:
            print_json(finding.as_document())
        else:
            shown = {**finding.as_document(), "level": words["levels"][finding.level]}
            print(words["line"].format(**{**shown, "path": finding.path or words["whole"]}))
    errors = sum(finding.level == "error" for finding in findings)
    if not json_:
        print(words["summary"].format(errors=errors, warnings=len(findings) - errors))
    if errors:
        raise typer.Exit(BAD_INPUT)


def _message_findings(known: Registry, keys: tuple[str, ...] | None, words: Mapping[str, Any]) -> list[Finding]:
    """Return what is remarkable about the messages that families would read, as warnings on the programme."""
    from app.notices.message_samples import remarks
    from app.registry.linting import Finding

    found = []
    for sample, one in remarks(known, keys):
        version = known.programmes[sample.programme_key][-1]
        kind = words["notice_kinds"][sample.notice_kind]
        sentence = words["in_message"].format(kind=kind, sentence=one.sentence())
        file = known.files[version.key, version.version].file
        code = f"message_{one.code}"
        found.append(Finding(file, 0, "", "warning", code, sentence, version.key, version.version))
    return found


@registry.command("boundaries")
def boundaries(
    programme: Programmes = None, on: OnDay = None, json_: AsJson = False, folder: RegistryFolder = None
) -> None:
    """Print households just inside and just outside every edge of a programme, as examples ready to paste."""
    from app.cli.answers import phrases_of, print_json, words_of
    from app.registry.boundary_examples import as_documents, boundaries_of, pasted

    known, day, words = open_registry(folder), read_day(on, "--on"), words_of("boundaries")
    for key in known_programmes(known, programme) or tuple(known.programmes):
        version = known.version_on(key, day) or known.programmes[key][-1]
        found = boundaries_of(known, version, day)
        without = [node.path for node in found.without]
        if json_:
            named = {"programme": key, "version": version.version, "on": day.isoformat()}
            print_json({**named, "pairs": as_documents(found), "without": without})
            continue
        print(words["head"].format(key=key, version=version.version, on=day))
        print(pasted(found, known, version, phrases_of(known, "ja"), words), end="")
        for path in without:
            print(f"# {words['none'].format(path=path)}")


@registry.command("new")
def new(
    municipality: Municipality,
    identifier: Annotated[str, typer.Option("--id", metavar="ID", help="Lower-case words joined by hyphens.")],
    based_on: Annotated[
        str | None, typer.Option("--based-on", metavar="CODE/ID", help="The programme it varies.")
    ] = None,
    folder: RegistryFolder = None,
) -> None:
    """Begin a new programme: a commented file that loads as a draft. Refuses where the file exists (status 2)."""
    from app.registry.skeleton import SkeletonError, new_programme

    known = open_registry(folder)
    try:
        print(new_programme(known, municipality, identifier, read_day(None, "--on"), based_on))
    except SkeletonError as problem:
        refuse(problem)


@registry.command("schema", hidden=True)
def schema(folder: RegistryFolder = None) -> None:
    """Write the JSON Schemas of the files anew from the models."""
    from app.registry.schemas import write_schemas

    target: Path = folder or default_folder()
    changed = write_schemas(target)
    print("\n".join(map(str, changed)) or "every schema was current")
