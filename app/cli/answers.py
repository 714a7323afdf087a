"""Answers as the stable JSON of the command line, and as tables for people."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import yaml

from app.calendar.day_numbers import date_of
from app.cli.result_lines import household_lines
from app.rules.answers import AmountAnswer, Answer
from app.rules.details import Detail
from app.rules.explain import VERDICT_NAMES
from app.rules.inquiry import HouseholdAnswers, answers_on, inquire
from app.rules.municipality_code import covers
from app.rules.phrases import Phrases
from app.rules.population import Population
from app.rules.timeline import Periods
from app.rules.timeline import timeline as periods_between

if TYPE_CHECKING:
    from rich.console import Console

    from app.registry.loading import Registry
    from app.rules.household import Household

PHRASES = Path(__file__).parents[2] / "templates" / "phrases"
Document = dict[str, Any]
PIECES_TOGETHER = 3_500
"""Pieces of lines, seven a household, that are printed together."""
STYLES = {"eligible": "bold green", "undetermined": "bold yellow", "ineligible": "dim"}


@cache
def _words(name: str) -> Document:
    words: Document = yaml.safe_load((PHRASES / f"{name}.yaml").read_text(encoding="utf-8"))
    return words


def words_of(name: str) -> Document:
    """Return one catalogue of `templates/phrases`, read once."""
    return _words(name)


def phrases_of(registry: Registry, language: str) -> Phrases:
    """Return the sentences of one language, with the labels of this registry."""
    return Phrases(language, _words(language), registry.facts, registry.parameters, registry.names)


def print_json(document: Document) -> None:
    """Print one object on one line, at once, so that a reader of a stream need not wait."""
    print(json.dumps(document, ensure_ascii=False), flush=True)


# ---- check ----------------------------------------------------------------------------------------------------------


def answers_for(
    registry: Registry, population: Population, on: dt.date, named: tuple[str, ...] | None, phrases: Phrases
) -> list[HouseholdAnswers]:
    """Return the answers of every household; where a local variant takes a programme's place, only the variant.

    Programmes that are named are answered as they are, also outside their area and where a variant exists.
    """
    return answers_on(registry.rulebook, population, on, named, phrases)


def check_lines(
    registry: Registry, population: Population, towns: list[str | None], on: dt.date, named: tuple[str, ...] | None,
    phrases: Phrases,
) -> Iterator[bytes]:  # fmt: skip
    """Yield each household's answers as the line of JSON that `todoke check --json` prints (docs/check.md).

    Hundreds of lines come together. `towns` are the municipalities that the households' documents name.
    """
    inquiry = inquire(registry.rulebook, population, on, named)
    results, refusals = household_lines(inquiry.asked.values(), population, phrases)
    day, covered = b',"on":"%b","results":[' % on.isoformat().encode(), {}
    for town in set(towns):
        covered[town] = b'},"coverage":%b}\n' % orjson.dumps(coverage(registry, town))
    pieces: list[bytes] = []
    for identifier, told, refused, town in zip(population.ids, results, refusals, towns, strict=True):
        pieces += (b'{"household":', orjson.dumps(identifier), day, told, b'],"ineligible":{', refused, covered[town])
        if len(pieces) >= PIECES_TOGETHER:
            yield b"".join(pieces)
            pieces = []
    yield b"".join(pieces)


def coverage(registry: Registry, town: str | None) -> Document:
    """Say how far the registry knows a household's town: silence of an unknown town is not a no."""
    listed = registry.municipalities.get(town) if town is not None else None
    return {
        "municipality": town,
        "name": None if listed is None else listed.name,
        "own_programmes": town is not None and registry.has_own_programmes(town),
    }


def show_check(registry: Registry, household: Household, answered: HouseholdAnswers) -> None:
    """Show one household's answers: what it may get first, then what is open, then in one line what it does not."""
    words, console = _words("cli"), _console()
    console.print(words["title"].format(household=answered.household, day=answered.on), style="bold")
    for verdict in ("eligible", "undetermined"):
        found = [answer for answer in answered.answers if answer.verdict == verdict]
        if found:
            console.print(words["verdict"][verdict], style=STYLES[verdict])
        for answer in sorted(found, key=lambda one: (one.deadline or dt.date.max, one.programme)):
            said = [_name(registry, answer), answer.subject, _amount(answer.amount), _deadline(answer)]
            console.print("  " + "  ".join(part for part in said if part), soft_wrap=True)
            console.print(f"    {answer.reason or ''}", style="dim", soft_wrap=True)
            if verdict == "eligible" and answer.missing:
                facts = words["separator"].join(dict.fromkeys(_asked(registry, one.fact) for one in answer.missing))
                console.print(f"    {words['amount_open'].format(facts=facts)}", style="yellow", soft_wrap=True)
    others = [f"{_name(registry, one)}({one.subject})" for one in answered.answers if one.verdict == "ineligible"]
    if others:
        console.print(words["verdict"]["ineligible"], style=STYLES["ineligible"])
        console.print("  " + words["separator"].join(others), style="dim", soft_wrap=True)
    if not answered.answers:
        console.print(words["none"])
    if answered.municipality_open:
        console.print(words["municipality_open"])
    elif not coverage(registry, household.municipality)["own_programmes"]:
        console.print(words["no_own_programmes"])
    console.print(words["note"])


def _asked(registry: Registry, path: str) -> str:
    return phrases_of(registry, "ja").asked(path)


def _name(registry: Registry, answer: Answer) -> str:
    version = registry.version_on(answer.programme, dt.date.fromisoformat(answer.version))
    name = answer.programme if version is None else version.name.ja
    return f"{name}({_words('cli')['draft']})" if answer.certainty == "draft" else name


def _amount(amount: AmountAnswer | None) -> str:
    words = _words("cli")["amount"]
    if amount is None:
        return ""
    if amount.yen is not None:
        return str(words[amount.per]).format(yen=f"{amount.yen:,}")
    if amount.least is not None and amount.most is not None:
        return str(words["between"]).format(least=f"{amount.least:,}", most=f"{amount.most:,}")
    return str(words["unknown"])


def _deadline(answer: Answer) -> str:
    words = _words("cli")
    if answer.deadline is None:
        return ""
    key = "deadline" if answer.deadline == answer.counted_on else "deadline_moved"
    return str(words[key]).format(office=answer.deadline, counted=answer.counted_on)


# ---- timeline -------------------------------------------------------------------------------------------------------


def timeline_documents(
    registry: Registry, households: list[Household], population: Population, days: tuple[dt.date, dt.date],
    named: tuple[str, ...] | None,
) -> list[Document]:  # fmt: skip
    """Return the periods of every household: named programmes, or those that cover where it lives."""
    found = periods_between(registry.rulebook, population, days[0], days[1], programmes=named)
    rows: list[list[Document]] = [[] for _ in range(population.size)]
    for periods in found.values():
        for household, document in _period_documents(periods, population):
            rows[household].append(document)
    return [
        {
            "household": population.ids[row], "from": days[0].isoformat(), "until": days[1].isoformat(),
            "periods": periods if named is not None else _told(registry, households[row].municipality, periods),
        }
        for row, periods in enumerate(rows)
    ]  # fmt: skip


def _period_documents(periods: Periods, population: Population) -> list[tuple[int, Document]]:
    ids = population.people[periods.subject].ids
    found = []
    for place, household in enumerate(periods.households(population)):
        subject = periods.subject if periods.subject == "household" else f"{periods.subject}:{ids[periods.row[place]]}"
        document = {
            "programme": periods.programme,
            "subject": subject,
            "verdict": VERDICT_NAMES[int(periods.verdict[place])],
            "from": date_of(int(periods.first[place])).isoformat(),
            "until": date_of(int(periods.last[place])).isoformat(),
        }
        found.append((int(household), document))
    return found


def _told(registry: Registry, municipality: str | None, periods: list[Document]) -> list[Document]:
    """Leave out programmes of places where the household never lives, and originals while a variant replaces them."""
    possible = {period["programme"] for period in periods if period["verdict"] != "ineligible"}

    def told(key: str) -> bool:
        here = municipality is not None and covers(registry.programmes[key][-1].municipality, municipality)
        return here or key in possible

    variants = [period for period in periods if registry.programmes[period["programme"]][-1].based_on in possible]
    kept: list[Document] = []
    for period in (one for one in periods if told(one["programme"])):
        replacing = [
            one for one in variants
            if one["verdict"] != "ineligible" and one["subject"] == period["subject"]
            and registry.programmes[one["programme"]][-1].based_on == period["programme"]
        ]  # fmt: skip
        kept += _outside(period, replacing)
    return kept


def _outside(period: Document, others: list[Document]) -> list[Document]:
    """Return what is left of a period once the days of others are taken out of it."""
    left: list[Document] = []
    first = dt.date.fromisoformat(period["from"])
    last = dt.date.fromisoformat(period["until"])
    for other in sorted(others, key=lambda one: str(one["from"])):
        starts, ends = (dt.date.fromisoformat(other[name]) for name in ("from", "until"))
        if ends < first or starts > last:
            continue
        if first < starts:
            left.append({**period, "from": first.isoformat(), "until": (starts - dt.timedelta(days=1)).isoformat()})
        first = ends + dt.timedelta(days=1)
    return [*left, {**period, "from": first.isoformat()}] if first <= last else left


def show_timeline(registry: Registry, document: Document) -> None:
    """Show one household's periods as a table; what is never more than ineligible is left out."""
    from rich.table import Table

    words, console = _words("cli"), _console()
    table = Table(title=f"{document['household']} {document['from']} … {document['until']}", title_justify="left")
    for name in ("subject", "programme", "period", "verdict"):
        table.add_column(words["columns"][name])
    for period in document["periods"]:
        if period["verdict"] != "ineligible":
            name = registry.programmes[period["programme"]][-1].name.ja
            days = words["period"].format(first=period["from"], last=period["until"])
            table.add_row(period["subject"], name, days, words["verdict"][period["verdict"]])
    console.print(table)
    console.print(words["note"])


# ---- explain --------------------------------------------------------------------------------------------------------


def explanation_document(
    registry: Registry, population: Population, row: int, key: str, on: dt.date, phrases: Phrases
) -> Document:
    """Return the whole tree of one programme for every subject of one household, in words."""
    detail = Detail(registry.rulebook, population, row, on)
    rule = registry.rulebook.on(key, on)
    if rule is None:
        raise ValueError(f"found no version of {key} on {on}; expected a day on which it is law")
    subjects = []
    for subject_row, answer in enumerate(detail.answers(key, phrases)):
        explanation = detail.explanation(key, subject_row, phrases)
        subjects.append({
            "subject": answer.subject, "verdict": answer.verdict, "reason": answer.reason,
            "conditions": explanation.as_document(),
        })  # fmt: skip
    return {
        "household": population.ids[row], "on": on.isoformat(), "programme": key, "version": rule.rule.version,
        "language": phrases.language, "subjects": subjects,
    }  # fmt: skip


def show_explanation(document: Document) -> None:
    """Show the tree of every subject, indented."""
    console = _console()
    for subject in document["subjects"]:
        console.print(f"{document['household']} {subject['subject']} {document['programme']} ({document['version']})")
        console.print(str(subject["reason"]))
        for depth, sentence in _sentences(subject["conditions"]):
            console.print(f"{'  ' * (depth + 1)}- {sentence}", soft_wrap=True)


def _sentences(part: Document, depth: int = 0) -> list[tuple[int, str]]:
    own = f"{part['person']}: {part['sentence']}" if "person" in part else str(part["sentence"])
    return [(depth, own)] + [line for below in part.get("parts", []) for line in _sentences(below, depth + 1)]


@cache
def _console() -> Console:
    from rich.console import Console

    class Plain(Console):
        def on_broken_pipe(self) -> None:
            raise  # noqa: PLE0704 - called while it is handled; `app.cli` ends every command in the same way

    return Plain(highlight=False, markup=False)
