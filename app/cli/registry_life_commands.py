"""The registry's life from the command line: differences and upkeep, drafts and their approval, past decisions.

Whoever acts does so as a staff account (`--as`), with the rights of its role; a second account approves.
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.options import (
    AsJson,
    Municipality,
    OnlyMunicipality,
    RegistryFolder,
    load_tables,
    open_registry,
    read_day,
    refuse,
)

if TYPE_CHECKING:
    from sqlmodel import Session

    from app.registry.differences import Difference, TemplateDifference
    from app.registry.lifecycle import Editor
    from app.registry.loading import Registry

Key = Annotated[str, typer.Argument(help="CODE/ID such as 000000/child-allowance.")]
Account = Annotated[uuid.UUID, typer.Option("--as", help="The staff account that acts.")]
Revision = Annotated[int, typer.Option("--revision", help="The revision that was read.")]
DraftId = Annotated[uuid.UUID, typer.Argument(help="The draft's id.")]
Reason = Annotated[str, typer.Option("--reason", help="Why, for the record.")]


def add_to(registry: typer.Typer, main: typer.Typer) -> None:
    """Name the commands: those of the registry under `todoke registry`, the past decision beside `explain`."""
    for name, command in (
        ("difference", show_difference),
        ("history", show_history),
        ("upkeep", show_upkeep),
        ("decide", decide_upkeep),
        ("drafts", list_drafts),
        ("draft", save),
        ("adopt", adopt),
        ("submit", submit),
        ("approve", approve),
        ("withdraw", withdraw),
        ("retire", retire),
        ("roll-back", roll_back),
    ):
        registry.command(name)(command)
    main.command("past-decision")(past_decision)


def show_difference(
    key: Key,
    first: Annotated[str, typer.Option("--from", metavar="YYYY-MM-DD", help="The earlier day.")],
    second: Annotated[str, typer.Option("--to", metavar="YYYY-MM-DD", help="The later day.")],
    template: Annotated[bool, typer.Option("--template", help="What the template's change means for KEY.")] = False,
    folder: RegistryFolder = None,
    as_json: AsJson = False,
) -> None:
    """Say in words how a programme, or the template it is based on, differs between two days (新旧対照)."""
    from app.cli.answers import print_json
    from app.platform.errors import NotFound
    from app.registry.differences import difference, document_on, template_difference

    known, days = open_registry(folder), (read_day(first, "--from"), read_day(second, "--to"))
    try:
        if template:
            local = document_on(known, key, days[0])
            if local.get("based_on") is None:
                refuse(f"{key}: found no based_on; expected a programme that is derived from a template")
            sides = [(known, document_on(known, local["based_on"], day), day) for day in days]
            found = template_difference(sides[0], sides[1], (known, local, days[0]))
        else:
            sides = [(known, document_on(known, key, day), day) for day in days]
            plain = difference(sides[0], sides[1])
    except NotFound as error:
        refuse(error)
    if template:
        if as_json:
            print_json(_template_document(key, found))
        else:
            _show_template(known, key, days, found)
    elif as_json:
        print_json({"programme": key, "differences": [one.as_document() for one in plain]})
    else:
        _heading(known, key, days)
        _show(plain)


def show_history(key: Key) -> None:
    """List every version of a programme that was ever published: what was known from when until when, and why."""
    from app.platform.database import owner_session
    from app.registry.lifecycle import history

    with owner_session() as session:
        rows = history(session, key)
    if not rows:
        refuse(f"{key}: found no version; expected the key of a published programme")
    for row in rows:
        days = f"{row.valid_from} … {row.valid_until or ''}".strip()
        known = f"{row.known_from.isoformat()} … {row.known_until.isoformat() if row.known_until else ''}".strip()
        print(f"{row.id}  {days}  known {known}  {row.kind}  {row.reason or ''}".rstrip())


def show_upkeep(
    on: Annotated[str | None, typer.Option("--on", metavar="YYYY-MM-DD", help="The day looked from.")] = None,
    municipality: OnlyMunicipality = None,
    as_json: AsJson = False,
) -> None:
    """List what ends by the coming 31 March or is due for checking, with what was decided (年度更新)."""
    from app.cli.answers import print_json
    from app.platform.database import owner_session
    from app.platform.rendering import phrases
    from app.registry.upkeep import unread_sources, upkeep
    from app.registry.versions import published_now

    day = read_day(on, "--on")
    with owner_session() as session:
        known = published_now(session).registry
        rows = upkeep(session, known, day, municipality)
    unread = unread_sources(known, day, municipality)
    if as_json:
        for one in rows:
            print_json({"row": one.as_document()})
        for source in unread:
            print_json({"unread_source": source.as_document()})
        return
    words = phrases("phrases/differences")["upkeep"]
    for row in rows:
        follows = words["followed_by"].format(day=row.followed_by) if row.followed_by else words["not_followed"]
        conflicts = words["conflicts"].format(fields=_labels(row.fields)) if row.fields else ""
        line = words["row"].format(
            day=row.due_on, decision=words["decisions"][row.decision], reason=words["reasons"][row.reason],
            name=row.name, subject=row.subject, follows=follows if row.reason == "ends" else conflicts,
        )  # fmt: skip
        print(line.rstrip())
    for source in unread:
        print(words["unread"].format(day=source.checked_on, subject=source.subject, title=source.title, url=source.url))
    print(words["count"].format(rows=len(rows), unread=len(unread)))


def decide_upkeep(
    subject: Annotated[str, typer.Argument(help="CODE/ID, or parameter:NAME.")],
    due: Annotated[str, typer.Option("--due", metavar="YYYY-MM-DD", help="The day in the list.")],
    decision: Annotated[str, typer.Option("--decision", help="continue, change, end or waiting.")],
    municipality: Municipality,
    account: Account,
    note: Annotated[str | None, typer.Option("--note", help="What for.")] = None,
    on: Annotated[str | None, typer.Option("--on", metavar="YYYY-MM-DD", help="The day of the list.")] = None,
) -> None:
    """Record what was decided about one row of the upkeep list."""
    from app.platform import clock
    from app.registry.upkeep import Choice, decide
    from app.registry.versions import published_now

    with _acting(municipality, account, "programmes:edit") as (session, editor):
        choice = Choice(municipality, subject, read_day(due, "--due"), decision, note)
        known = published_now(session).registry
        row = decide(session, known, choice, on=read_day(on, "--on"), by=editor.account_id, now=clock.now())
    print(f"{row.subject} {row.due_on}: {row.decision}")


def list_drafts(municipality: Municipality) -> None:
    """List the open drafts of a municipality."""
    from app.platform.database import Context, app_session
    from app.registry.drafts import drafts_of

    with app_session(Context(municipality=municipality)) as session:
        for one in drafts_of(session, municipality):
            print(
                f"{one.id}  {one.programme_key} from {one.valid_from}  {one.kind}  {one.state}  revision {one.revision}"
            )


def save(
    file: Annotated[Path, typer.Argument(help="One programme as YAML or JSON.")],
    municipality: Municipality,
    account: Account,
    revision: Annotated[int | None, typer.Option("--revision", help="The revision that was read; none = new.")] = None,
) -> None:
    """Save one document as a draft."""
    from app.platform import clock
    from app.registry.drafts import save_draft
    from app.registry.positions import read_documents

    documents = read_documents(file)
    if len(documents) != 1 or documents[0].complaints or not isinstance(documents[0].value, dict):
        refuse(*documents[0].complaints if documents else (), f"{file}: expected one programme document")
    with _acting(municipality, account, "programmes:edit") as (session, editor):
        draft = save_draft(session, documents[0].value, editor.account_id, clock.now(), revision=revision)
    print(f"{draft.id}  revision {draft.revision}  {draft.state}")


def adopt(
    key: Key,
    on: Annotated[str, typer.Option("--on", metavar="YYYY-MM-DD", help="A day on which the changed template counts.")],
    municipality: Municipality,
    account: Account,
    revision: Annotated[int | None, typer.Option("--revision", help="The revision that was read; none = new.")] = None,
) -> None:
    """Make a draft of what a changed template means for the local programme based on it."""
    from app.platform import clock
    from app.registry import lifecycle

    with _acting(municipality, account, "programmes:edit") as (session, editor):
        day = read_day(on, "--on")
        row = lifecycle.adopt_template(session, key, day, editor, clock.now(), revision=revision)
    print(f"{row.id}  revision {row.revision}  {row.state}")


def submit(draft: DraftId, revision: Revision, municipality: Municipality, account: Account) -> None:
    """Hand a draft over for review."""
    from app.platform import clock
    from app.registry import lifecycle

    with _acting(municipality, account, "programmes:edit") as (session, editor):
        row = lifecycle.submit(session, draft, revision, editor, clock.now())
    print(f"{row.id}  {row.state}")


def approve(draft: DraftId, revision: Revision, municipality: Municipality, account: Account) -> None:
    """Approve a draft in review and publish it."""
    from app.platform import bell, clock
    from app.registry import lifecycle

    with _acting(municipality, account, "programmes:approve") as (session, editor):
        done = lifecycle.approve_and_publish(session, draft, revision, editor, clock.now())
    bell.ring(bell.MATCH)
    for word, days in (("written", done.written), ("now ends earlier", done.shortened), ("dropped", done.dropped)):
        for day in days:
            print(f"{done.draft.programme_key}@{day}: {word}")


def withdraw(draft: DraftId, revision: Revision, municipality: Municipality, account: Account) -> None:
    """Give a draft up."""
    from app.platform import clock
    from app.registry import lifecycle

    with _acting(municipality, account, "programmes:edit") as (session, editor):
        row = lifecycle.withdraw(session, draft, revision, editor, clock.now())
    print(f"{row.id}  {row.state}")


def retire(
    key: Key,
    last_day: Annotated[str, typer.Option("--last-day", metavar="YYYY-MM-DD", help="The last day it is law.")],
    reason: Reason,
    municipality: Municipality,
    account: Account,
) -> None:
    """Ask for a programme's end on a day; another account approves it."""
    from app.platform import clock
    from app.registry import lifecycle

    with _acting(municipality, account, "programmes:edit") as (session, editor):
        row = lifecycle.retire(session, key, read_day(last_day, "--last-day"), reason, editor, clock.now())
    print(f"{row.id}  revision {row.revision}  {row.state}")


def roll_back(
    version: Annotated[uuid.UUID, typer.Argument(help="A version of `todoke registry history`.")],
    reason: Reason,
    municipality: Municipality,
    account: Account,
    valid_from: Annotated[str | None, typer.Option("--valid-from", metavar="YYYY-MM-DD", help="From when.")] = None,
    valid_until: Annotated[str | None, typer.Option("--valid-until", metavar="YYYY-MM-DD", help="Until when.")] = None,
) -> None:
    """Ask for a new version with the contents of an older one; another account approves it."""
    from app.platform import clock
    from app.registry import lifecycle

    first = None if valid_from is None else read_day(valid_from, "--valid-from")
    last = None if valid_until is None else read_day(valid_until, "--valid-until")
    with _acting(municipality, account, "programmes:edit") as (session, editor):
        row = lifecycle.roll_back(session, version, reason, editor, clock.now(), valid_from=first, valid_until=last)
    print(f"{row.id}  revision {row.revision}  {row.state}")


def past_decision(
    household: Annotated[uuid.UUID, typer.Argument(help="The household's id.")],
    programme: Key,
    on: Annotated[str, typer.Option("--on", metavar="YYYY-MM-DD", help="The day asked about.")],
    known_at: Annotated[str, typer.Option("--known-at", metavar="INSTANT", help="Such as 2026-11-24T10:00+09:00.")],
) -> None:
    """Decide again as it was decided then: one JSON object with the answers and what they were decided from."""
    from app.cli.answers import print_json
    from app.cli.result_lines import result_lines
    from app.households.tables import Household
    from app.matching.past_decisions import decide_again
    from app.platform.database import Context, enter, worker_session
    from app.platform.errors import TodokeError

    instant = _instant(known_at)
    load_tables()
    with worker_session() as session:
        gate = session.get(Household, household)
        if gate is None:
            refuse(f"HOUSEHOLD: found no household {household}")
        enter(session, Context(municipality=gate.municipality_code))
        try:
            found = decide_again(session, household, programme, read_day(on, "--on"), instant)
        except TodokeError as error:
            refuse(error)
    print_json(
        {
            "programme": found.programme_key,
            "on": found.on.isoformat(),
            "known_at": found.known_at.isoformat(),
            "registry": found.registry_fingerprint,
            "results": [json.loads(line) for line in result_lines(found.asked, found.phrases)],
            "decided_from": found.document,
        }
    )


@contextmanager
def _acting(municipality: str, account_id: uuid.UUID, right: str) -> Iterator[tuple[Session, Editor]]:
    """Act as a staff account that holds a right, in one transaction; say what is wrong and leave with status 2."""
    from app.accounts.permissions import require
    from app.accounts.tables import StaffAccount
    from app.platform.database import Context, app_session
    from app.platform.errors import TodokeError
    from app.registry.lifecycle import Editor

    load_tables()
    with app_session(Context(municipality=municipality, staff=account_id)) as session:
        account = session.get(StaffAccount, account_id)
        if account is None:
            refuse(f"--as: found no account {account_id} in {municipality}; expected one made by: todoke access staff")
        try:
            require(account.role, right)
            yield session, Editor(account.id, municipality)
        except TodokeError as error:
            refuse(error)
        session.commit()


def _instant(text: str) -> dt.datetime:
    try:
        instant = dt.datetime.fromisoformat(text)
    except ValueError:
        refuse(f"--known-at: found {text!r}; expected an instant such as 2026-11-24T10:00+09:00")
    if instant.tzinfo is None:
        refuse(f"--known-at: found {text!r} without a time zone; expected one, such as {text}+09:00")
    return instant


def _labels(fields: tuple[str, ...]) -> str:
    labels = _words()["labels"]
    return "、".join(labels.get(field, field) for field in fields)


def _words() -> dict[str, Any]:
    from app.platform.rendering import phrases

    return phrases("phrases/differences")


def _heading(known: Registry, key: str, days: tuple[dt.date, dt.date]) -> None:
    name = known.programmes[key][-1].name.ja
    print(_words()["heading"].format(key=key, name=name, before=days[0], after=days[1]))


def _show(found: list[Difference] | tuple[Difference, ...], local: dict[str, tuple[str, ...]] | None = None) -> None:
    words = _words()
    if not found:
        print(words["same"])
    for one in found:
        print(words["field"].format(label=one.label))
        sides = (("before", one.before), ("after", one.after), ("local", (local or {}).get(one.field, ())))
        for side, lines in sides:
            for line in lines:
                print(words[side].format(line=line))


def _show_template(known: Registry, key: str, days: tuple[dt.date, dt.date], found: TemplateDifference) -> None:
    _heading(known, key, days)
    for part in ("taken", "conflicts", "own"):
        steps = getattr(found, part)
        print(_words()["template"][part].format(number=len(steps)))
        if steps:
            _show(steps, dict(found.local) if part == "conflicts" else None)


def _template_document(key: str, found: TemplateDifference) -> dict[str, Any]:
    parts = {part: [one.as_document() for one in getattr(found, part)] for part in ("taken", "conflicts", "own")}
    return {"programme": key, **parts, "local": {name: list(lines) for name, lines in found.local.items()}}
