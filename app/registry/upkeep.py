"""年度更新: what ends with the fiscal year or is due for checking, and what staff decided about it.

Nothing carries over silently: a version or a figure without a successor stops by itself, and until somebody has decided
it stands here as undecided.
"""

import datetime as dt
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

from sqlmodel import Session, col, select

from app.calendar.day_numbers import number_of
from app.calendar.fiscal_year import fiscal_years
from app.platform.errors import InvalidInput, NotFound
from app.registry.loading import Registry
from app.registry.programme import Programme
from app.registry.references import parameters_named_in
from app.registry.tables import UpkeepDecision
from app.rules.parameters import Parameter

Decision = Literal["continue", "change", "end", "waiting"]
DECISIONS: tuple[str, ...] = get_args(Decision)
UNDECIDED = "undecided"
PARAMETER = "parameter:"


@dataclass(frozen=True, slots=True)
class UpkeepRow:
    """Something that ends on or before the coming 31 March, is to be read again, or changes with its template.

    Attributes:
        subject: a programme's key, or `parameter:NAME`.
        reason: `ends`, `check`, or `template`: the programme it is based on changed since somebody wrote it.
        due_on: its last day, the day by which it was to be checked, or the day from which the change counts here.
        followed_by: the first day of what is published to follow it; None where nothing is.
        programmes: for a parameter, the programmes that name it.
        fields: for `template`, what both changed: the local words stay until somebody decides.
        decision: undecided, continue, change, end, or waiting for somebody else's figure.
    """

    subject: str
    name: str
    reason: str
    due_on: dt.date
    followed_by: dt.date | None = None
    programmes: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    decision: str = UNDECIDED
    note: str | None = None

    def as_document(self) -> dict[str, Any]:
        """As plain JSON values."""
        days = {"due_on": self.due_on.isoformat(), "followed_by": str(self.followed_by) if self.followed_by else None}
        return {**asdict(self), **days, "programmes": list(self.programmes), "fields": list(self.fields)}


@dataclass(frozen=True, slots=True)
class Choice:
    """What a municipality decides about one row of its list."""

    municipality_code: str
    subject: str
    due_on: dt.date
    decision: str
    note: str | None = None


@dataclass(frozen=True, slots=True)
class UnreadSource:
    """A source that nobody has compared with its programme for a year."""

    subject: str
    title: str
    url: str
    checked_on: dt.date

    def as_document(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {**asdict(self), "checked_on": self.checked_on.isoformat()}


def upkeep(session: Session, registry: Registry, on: dt.date, municipality_code: str | None = None) -> list[UpkeepRow]:
    """Return what is to be decided, by the day it is due.

    Args:
        session: for the decisions; in the context of the municipality, or the owner's.
        registry: what is published.
        on: the day looked from.
        municipality_code: its own programmes and the parameters that they name; None = everything.
    """
    decided = _latest(session, municipality_code)
    rows = sorted(_rows(registry, on, municipality_code), key=lambda row: (row.due_on, row.subject))
    return [
        row if found is None else replace(row, decision=found.decision, note=found.note)
        for row in rows
        for found in [decided.get((row.subject, row.due_on))]
    ]


def unread_sources(registry: Registry, on: dt.date, municipality_code: str | None = None) -> list[UnreadSource]:
    """Return the sources of versions in force that were last read a year ago or longer, the oldest first."""
    year_ago = on.replace(year=on.year - 1) if (on.month, on.day) != (2, 29) else dt.date(on.year - 1, 2, 28)
    found = [
        UnreadSource(key, source.title, source.url, source.checked_on)
        for key in _keys(registry, municipality_code)
        for version in [registry.version_on(key, on)]
        if version is not None
        for source in version.sources
        if source.checked_on <= year_ago
    ]
    return sorted(found, key=lambda one: (one.checked_on, one.subject, one.url))


def decide(
    session: Session, registry: Registry, choice: Choice, *, on: dt.date, by: uuid.UUID | None, now: dt.datetime
) -> UpkeepRow:
    """Record what was decided; deciding the same again writes nothing.

    Args:
        session: in the context of the municipality, or the owner's.
        registry: what is published.
        choice: what is decided about which row.
        on: the day whose list the row stands in.
        by: the staff account that decides.
        now: the instant of the clock.

    Raises:
        InvalidInput: no such decision.
        NotFound: nothing of that subject and day is due for this municipality.
    """
    if choice.decision not in DECISIONS:
        raise InvalidInput(f"found {choice.decision!r}; expected one of {', '.join(DECISIONS)}", field="decision")
    rows = {(row.subject, row.due_on): row for row in upkeep(session, registry, on, choice.municipality_code)}
    row = rows.get((choice.subject, choice.due_on))
    if row is None:
        raise NotFound(f"found nothing of {choice.subject} due on {choice.due_on}; expected a row of the list of {on}")
    if (row.decision, row.note) != (choice.decision, choice.note):
        session.add(UpkeepDecision(**asdict(choice), decided_by=by, decided_at=now))
        session.flush()
    return replace(row, decision=choice.decision, note=choice.note)


def _rows(registry: Registry, on: dt.date, municipality_code: str | None) -> Iterator[UpkeepRow]:
    year = int(fiscal_years([number_of(on)])[0])
    first, last = dt.date(year, 4, 1), dt.date(year + 1, 3, 31)
    named: dict[str, set[str]] = {}
    for key in _keys(registry, municipality_code):
        yield from _of_programme(key, registry.programmes[key], on, first, last)
        yield from _of_template(registry, key)
        for version in registry.programmes[key]:
            for name in parameters_named_in(registry.documents[key, version.version]):
                named.setdefault(name, set()).add(key)
    names = registry.parameter_documents if municipality_code is None else named
    for name in sorted(names):
        yield from _of_parameter(registry.parameters[name], tuple(sorted(named.get(name, ()))), first, last)


def _of_programme(
    key: str, versions: tuple[Programme, ...], on: dt.date, first: dt.date, last: dt.date
) -> Iterator[UpkeepRow]:
    for version in versions:
        until = version.valid.until
        if until is not None and first <= until <= last:
            follows = next((one.valid.from_ for one in versions if one.valid.from_ > until), None)
            yield UpkeepRow(key, version.name.ja, "ends", until, follows)
    current = next((one for one in versions if one.valid.until is None or one.valid.until >= on), versions[-1])
    if current.next_check_on is not None and current.next_check_on <= on:
        yield UpkeepRow(key, current.name.ja, "check", current.next_check_on)


def _of_template(registry: Registry, key: str) -> Iterator[UpkeepRow]:
    for version in registry.programmes[key]:
        span = registry.spans[key, version.version]
        if span.taken or span.conflicts:
            yield UpkeepRow(key, version.name.ja, "template", version.valid.from_, fields=span.conflicts)


def _of_parameter(
    parameter: Parameter, programmes: tuple[str, ...], first: dt.date, last: dt.date
) -> Iterator[UpkeepRow]:
    periods = parameter.in_force()
    for position, (_, until, _) in enumerate(periods):
        if until is not None and first <= until <= last:
            follows = periods[position + 1][0] if position + 1 < len(periods) else None
            subject = f"{PARAMETER}{parameter.id}"
            yield UpkeepRow(subject, parameter.label.ja, "ends", until, follows, programmes)


def _keys(registry: Registry, municipality_code: str | None) -> list[str]:
    prefix = "" if municipality_code is None else f"{municipality_code}/"
    return sorted(key for key in registry.programmes if key.startswith(prefix))


def _latest(session: Session, municipality_code: str | None) -> Mapping[tuple[str, dt.date], UpkeepDecision]:
    """Return the last decision by subject and day; a programme's is its own municipality's."""
    statement = select(UpkeepDecision).order_by(col(UpkeepDecision.decided_at), col(UpkeepDecision.id))
    if municipality_code is not None:
        statement = statement.where(UpkeepDecision.municipality_code == municipality_code)
    return {(row.subject, row.due_on): row for row in session.exec(statement)}
