"""A published programme as a clerk sees it: the version in force, its read-back, the result of its own examples."""

import dataclasses
import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from app.platform.rendering import phrases
from app.registry.examples import run_examples
from app.registry.loading import Registry, load_registry
from app.registry.programme import Programme
from app.rules.municipality_code import NATIONAL
from app.rules.phrases import Phrases
from app.rules.read_back import full_read_back

LANGUAGE = "ja"


@dataclass(frozen=True)
class ProgrammeView:
    """One programme with what its row in the list shows; `level` is own, prefecture or national."""

    key: str
    name: str
    level: str
    area: str
    version: Programme
    versions: Sequence[Programme]
    replaced_by: str | None
    examples: int
    overdue: bool


@dataclass(frozen=True)
class ProgrammePage(ProgrammeView):
    """One programme with everything that its own page shows.

    `read_back` is (depth, sentence) for each condition. `differences` are the examples that do not come out as
    expected; None where they could not be run.
    """

    read_back: Sequence[tuple[int, str]]
    differences: Sequence[str] | None


def views_for(registry: Registry, municipality: str, today: dt.date) -> list[ProgrammeView]:
    """Return the programmes that cover a municipality: its own first, then the prefecture's, then the nation's."""
    views = [view_of(registry, key, municipality, today) for key in registry.offered_in(municipality, today)]
    order = {"own": 0, "prefecture": 1, "national": 2}
    return sorted(views, key=lambda view: (order[view.level], view.key))


def view_of(registry: Registry, key: str, municipality: str, today: dt.date) -> ProgrammeView:
    """Return one programme in the version of a day, or in its latest where none is in force."""
    versions = registry.programmes[key]
    version = registry.version_on(key, today) or versions[-1]
    code = key.split("/", maxsplit=1)[0]
    home = registry.municipalities.get(code)
    return ProgrammeView(
        key=key,
        name=version.name.in_language(LANGUAGE),
        level="own" if code == municipality else "national" if code == NATIONAL else "prefecture",
        area=home.name if home else code,
        version=version,
        versions=tuple(reversed(versions)),
        replaced_by=registry.replaced_in(key, municipality, today),
        examples=sum(len(one.examples) for one in versions),
        overdue=version.next_check_on is not None and version.next_check_on < today,
    )


def page_of(registry: Registry, key: str, municipality: str, today: dt.date) -> ProgrammePage:
    """Return one programme as its page shows it: read back, and with its examples run now."""
    view = view_of(registry, key, municipality, today)
    row = {field.name: getattr(view, field.name) for field in dataclasses.fields(view)}
    read = _read_back(registry, key, view.version, today)
    return ProgrammePage(**row, read_back=read, differences=_differences(registry, key))


def _read_back(registry: Registry, key: str, version: Programme, today: dt.date) -> list[tuple[int, str]]:
    compiled = registry.rulebook.on(key, version.valid.from_)
    if compiled is None:
        return []
    words = Phrases(LANGUAGE, phrases(f"phrases/{LANGUAGE}"), registry.facts, registry.parameters, registry.names)
    return full_read_back(compiled, words, today)


_results: dict[str, tuple[Registry, list[str] | None]] = {}


def _differences(registry: Registry, key: str) -> list[str] | None:
    """Run the examples of one programme, once for each publication."""
    known = _results.get(key)
    if known is not None and known[0] is registry:
        return known[1]
    files = _files(registry.directory).files
    runnable = all((key, version.version) in files for version in registry.programmes[key])
    found = None
    if runnable:
        with_lines = dataclasses.replace(registry, files=files)
        found = [f"{complaint.path}: {complaint.message}" for complaint in run_examples(with_lines, (key,))]
    _results[key] = (registry, found)
    return found


@lru_cache(maxsize=1)
def _files(directory: Path) -> Registry:
    return load_registry(directory)
