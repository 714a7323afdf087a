"""Questions about households: what they may get on a day, over time, and why. None of them needs a database."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from app.cli.options import (
    AsJson,
    Programmes,
    RegistryFolder,
    complain,
    known_programmes,
    open_registry,
    read_day,
    refuse,
)

if TYPE_CHECKING:
    from app.cli.household_input import Batch
    from app.registry.loading import Registry
    from app.rules.household import Household
    from app.rules.population import Population

Source = Annotated[
    str, typer.Argument(metavar="HOUSEHOLD", help="YAML or JSON file, JSON lines, or - for standard input.")
]
OnDay = Annotated[str | None, typer.Option("--on", metavar="YYYY-MM-DD", help="The day asked about (default: today).")]
Language = Annotated[Literal["ja", "ja-easy", "en"], typer.Option("--lang", help="Language of the sentences.")]


def check(
    household: Source, on: OnDay = None, programme: Programmes = None, registry: RegistryFolder = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Say what each household may get on a day, how much, until when to apply, and why.

    With --json each household is one line. JSON lines are answered as a stream, in their order, whatever their number;
    a line that is wrong is named on standard error, the others are answered, and the exit status is 2.
    """
    from app.cli import answers
    from app.cli.household_input import read_batches

    day = read_day(on, "--on")
    known = open_registry(registry)
    named = known_programmes(known, programme)
    if as_json:
        _check_as_json(household, known, day, named)
        return
    phrases = answers.phrases_of(known, "ja")
    for households, population in _populations(read_batches(household, known.facts), known):
        found = answers.answers_for(known, population, day, named, phrases)
        for one, answered in zip(households, found, strict=True):
            answers.show_check(known, one, answered)


def _check_as_json(source: str, known: Registry, day: dt.date, named: tuple[str, ...] | None) -> None:
    from app.cli import answers, check_stream
    from app.cli.household_input import open_source, unreadable

    try:
        opened = open_source(source)
    except OSError as problem:
        refuse(*unreadable(source, problem).complaints)
    if opened.lines is not None:
        question = check_stream.Question(day, named, opened.name)
        if not check_stream.print_answers(check_stream.answered(known, question, opened.lines)):
            refuse()
        return
    phrases = answers.phrases_of(known, "ja")
    for households, population in _populations([opened.batch(known.facts)], known):
        towns = [one.municipality for one in households]
        lines = answers.check_lines(known, population, towns, day, named, phrases)
        check_stream.print_answers((some, []) for some in lines)


def timeline(
    household: Source,
    first: Annotated[str, typer.Option("--from", metavar="YYYY-MM-DD", help="First day.")],
    until: Annotated[str, typer.Option("--until", metavar="YYYY-MM-DD", help="Last day.")],
    programme: Programmes = None, registry: RegistryFolder = None, as_json: AsJson = False,
) -> None:  # fmt: skip
    """List the periods of each programme between two days, with their verdicts."""
    from app.cli import answers
    from app.cli.household_input import read_batches

    days = (read_day(first, "--from"), read_day(until, "--until"))
    if days[1] < days[0]:
        refuse(f"--until: found {days[1]}; expected {days[0]} or a later day")
    known = open_registry(registry)
    named = known_programmes(known, programme)
    for households, population in _populations(read_batches(household, known.facts), known):
        documents = answers.timeline_documents(known, households, population, days, named)
        for document in documents:
            if as_json:
                answers.print_json(document)
            else:
                answers.show_timeline(known, document)


def explain(
    household: Source,
    programme: Annotated[str, typer.Option("--programme", help="CODE/ID such as 000000/child-allowance.")],
    on: OnDay = None, lang: Language = "ja", registry: RegistryFolder = None, as_json: AsJson = False,
) -> None:  # fmt: skip
    """Show every condition of a programme with its verdict, the value used and where that came from."""
    from app.cli import answers
    from app.cli.household_input import read_batches

    day = read_day(on, "--on")
    known = open_registry(registry)
    named = known_programmes(known, [programme]) or ()
    if known.rulebook.on(named[0], day) is None:
        refuse(f"--on: found {day}, on which no version of {named[0]} is law; expected {_law_days(known, named[0])}")
    phrases = answers.phrases_of(known, lang)
    for households, population in _populations(read_batches(household, known.facts), known):
        for row in range(len(households)):
            document = answers.explanation_document(known, population, row, named[0], day, phrases)
            if as_json:
                answers.print_json(document)
            else:
                answers.show_explanation(document)


def _populations(batches: Iterable[Batch], known: Registry) -> Iterator[tuple[list[Household], Population]]:
    """Yield each batch of households as a population; leave with status 2 at the end if anything could not be read."""
    from app.rules.population import Population

    spoilt = False
    for batch in batches:
        if batch.households:
            yield batch.households, Population.from_documents(batch.households, known.facts)
        complain(batch.complaints)
        spoilt = spoilt or bool(batch.complaints)
    if spoilt:
        refuse()


def _law_days(known: Registry, key: str) -> str:
    def days(first: dt.date, last: Any) -> str:
        return f"{first} … {last or ''}".strip()

    return ", ".join(days(version.valid.from_, version.valid.until) for version in known.programmes[key])
