"""Those who decide and those who withdraw, as a process of its own: decisions and safeguards race each other.

    CHAOS_FOLDER=… python -m tests.chaos.families --families IDS.json --threads 3 --rate 20 --seed 1

Each thread acts for its own families, one act after another: it makes sure that the family agrees and is linked, has
something decided for it, waits for a moment, and then withdraws, raises protection or stops a person through the use
cases of `app/safeguards`, writing down when that was asked for and what was answered when. Another thread decides for
families that stay as they are, another one enrols newcomers, whom matching and planning then tell of their rights.
The process ends what it is doing and leaves when the folder has a file `rest`.
"""

import argparse
import json
import os
import random
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final
from uuid import UUID

from sqlalchemy.exc import DBAPIError, PendingRollbackError
from sqlmodel import Session, select

from app.delivery.outbox import EmailMessage, Gate, Lane, LineMessage, WebhookMessage, enqueue_all
from app.households import consent, contacts
from app.households.profiles import read_document, save_document
from app.households.protection import clear_protection
from app.households.tables import ContactPoint, Household
from app.partners import events
from app.partners.endpoints import endpoints_wanting
from app.partners.links import live_links_of_household, pairwise_event_id
from app.platform import bell, clock
from app.platform.database import Context, app_session, worker_session
from app.platform.errors import Misconfigured, TodokeError
from app.platform.identifiers import new_id
from app.safeguards.bereavement import stop_pushes_about
from app.safeguards.linking import link
from app.safeguards.protection import protect
from app.safeguards.withdrawal import withdraw
from tests.chaos import broken
from tests.chaos.evidence import append
from tests.chaos.stage import PURPOSES, enrol_families, partners_of

_FOLDER: Final = Path(os.environ["CHAOS_FOLDER"])
#: How long after a decision the family changes its mind: about as long as a claim and a request take.
_LONGEST_PAUSE_SECONDS: Final = 0.2
#: One decision in ten is made by somebody who looked at the gate a while ago and does not look again.
_LATE_SHARE: Final = 0.1
_Message = EmailMessage | LineMessage | WebhookMessage


def decide(household_id: UUID, subject: str, *, late_seconds: float = 0.0) -> None:
    """Queue what a new notice of a family causes: an event for each linked app, perhaps a mail or a push.

    Args:
        household_id: the family.
        subject: the person it is about.
        late_seconds: what is queued rests on the gate as it was that long ago, unlocked; the claim must see to it.
    """
    with worker_session() as session:
        code = session.exec(select(Household.municipality_code).where(Household.id == household_id)).one()
    with worker_session(Context(municipality=code)) as session:
        statement = select(Household).where(Household.id == household_id)
        # As the planner does: whoever withdraws now waits for this commit.
        household = session.exec(statement if late_seconds else statement.with_for_update(key_share=True)).one()
        gate = Gate(
            household_id=household_id,
            municipality_code=code,
            consent_epoch=household.consent_epoch,
            subjects=(subject,),
        )
        messages: list[_Message] = [] if household.protected_at and not late_seconds else _events(session, gate)
        known = session.exec(select(ContactPoint).where(ContactPoint.household_id == household_id)).all()
        usable = [one for one in known if late_seconds or contacts.is_own(one, household)]
        messages += [_personal(one, gate) for one in usable if random.random() < 0.4]
        if late_seconds:
            session.rollback()
            time.sleep(late_seconds)
        enqueue_all(session, messages)
        session.commit()
    bell.ring_dispatch()


def _events(session: Session, gate: Gate) -> list[_Message]:
    notice_id, now = new_id(), clock.now()
    found: list[_Message] = []
    for live in live_links_of_household(session, gate.household_id):
        content = events.notice_content(
            subject_id=live.subject_id, notice_id=notice_id, programme_id="000000/child-allowance", category=None,
            kind="new_support", deadline_on=None, sequence=1, today=clock.today(),
        )  # fmt: skip
        found += [
            WebhookMessage(
                dedupe_key=f"chaos:{endpoint.id}:{notice_id}",
                event_id=pairwise_event_id(live.subject_id, "notice.created", str(notice_id)),
                event_type="chaos.created",
                due_at=now,
                gate=gate,
                partner_id=live.partner_id,
                endpoint_id=endpoint.id,
                body=events.notice_created(content, at=now).decode(),
            )
            for endpoint in endpoints_wanting(session, live.partner_id, "notice.created")
        ]
    return found


def _personal(contact: ContactPoint, gate: Gate) -> _Message:
    name, now = new_id().hex, clock.now()
    common = {
        "dedupe_key": f"chaos:{contact.id}:{name}",
        "event_id": f"chaos_{name}",
        "event_type": "chaos.push",
        "due_at": now,
        "gate": gate,
        "lane": Lane.NOTICE,
        "address": contacts.address_of(contact),
        "contact_point_id": contact.id,
        "contact_confirmed_at": contact.confirmed_at,
    }
    if contact.kind == "line":
        return LineMessage(**common, messages=({"type": "text", "text": "架空のお知らせがあります"},))
    return EmailMessage(
        **common, subject="架空のお知らせ", text="架空です。", html="<p>架空です。</p>", composed_at=now
    )


def agree(household_id: UUID, partners: Sequence[UUID]) -> None:
    """Let a family agree to everything (again) and link its apps (again)."""
    with app_session(Context(household=household_id)) as session:
        if session.get_one(Household, household_id).protected_at is not None:  # the database went away in between
            _clear(session, household_id)
        consent.give(session, household_id, PURPOSES, language="ja", by="guardian:g1", source="chaos")
        session.commit()
    for partner_id in partners_of(partners, household_id):
        link(household_id, partner_id, by="guardian:g1", via="chaos")


def _withdraw_everything(household_id: UUID) -> bool:
    return withdraw(household_id, None, by="guardian:g1", via="chaos")


def _withdraw_sharing(household_id: UUID) -> bool:
    return withdraw(household_id, ["share:partner"], by="guardian:g1", via="chaos")


def _withdraw_mail(household_id: UUID) -> bool:
    return withdraw(household_id, ["channel:email"], by="guardian:g1", via="chaos")


def _protect(household_id: UUID) -> bool:
    return protect(household_id, by="staff:chaos", reason="chaos")


_SAFEGUARDS: Final[tuple[tuple[str, int, Callable[[UUID], bool]], ...]] = (
    ("withdrawal", 8, _withdraw_everything),
    ("withdrawal of sharing", 4, _withdraw_sharing),
    ("withdrawal of a channel", 3, _withdraw_mail),
    ("protection", 2, _protect),
    ("stop", 2, lambda household_id: stop_pushes_about(household_id, _subject(), reason="death", by="guardian:g1")),
)
_current = threading.local()


def _subject() -> str:
    return str(_current.subject)


def act(household_id: UUID, partners: Sequence[UUID], chance: random.Random) -> None:
    """Let a family agree, have something decided, and let it change its mind in the middle of it."""
    agree(household_id, partners)
    # A person who was stopped stays stopped, so every act is about another one.
    _current.subject = f"child:x{new_id().hex[-8:]}"
    decide(household_id, _subject())
    late = None
    if chance.random() < _LATE_SHARE:
        late = threading.Thread(target=_quietly, args=[partial(decide, household_id, _subject(), late_seconds=0.3)])
        late.start()
    time.sleep(chance.uniform(0, _LONGEST_PAUSE_SECONDS))
    kind, _, safeguard = chance.choices(_SAFEGUARDS, [weight for _, weight, _ in _SAFEGUARDS])[0]
    began_at = time.time()
    stopped = safeguard(household_id)
    append(_FOLDER / "answers.jsonl", household=household_id, kind=kind, began_at=began_at, answered_at=time.time(), stopped=stopped)  # fmt: skip
    if kind == "protection":
        _live_protected(household_id)
    if late is not None:
        late.join()


def _live_protected(household_id: UUID) -> None:
    """Confirm a contact that nobody knew before, hear through it, and come out of protection by two people."""
    address = f"new{new_id().hex}@home.example"
    append(_FOLDER / "addresses.jsonl", household=household_id, address=address)
    with app_session(Context(household=household_id)) as session:
        contact = contacts.add_email(session, household_id, "g1", address)
        contact.confirmed_at = clock.now()
        session.add(contact)
        session.commit()
    decide(household_id, "child:c1")
    decide(household_id, "child:c1", late_seconds=0.01)
    time.sleep(0.1)
    with app_session(Context(household=household_id)) as session:
        _clear(session, household_id)
        session.commit()


def _clear(session: Session, household_id: UUID) -> None:
    clear_protection(session, household_id, by="staff:chaos", second_person="staff:other", reason="chaos")


def welcome(partners: Sequence[UUID], chance: random.Random) -> None:
    """Enrol newcomers, and let an earlier one have another child: matching and planning do the rest."""
    ids = enrol_families(_FOLDER, partners, 3, seed=chance.randrange(1 << 30))
    bell.ring(bell.MATCH)
    household_id = ids[0]
    with app_session(Context(household=household_id)) as session:
        stored = read_document(session, household_id)
        born = (clock.today().replace(day=1)).isoformat()
        document = {**stored.document, "children": [*stored.document.get("children", []), {"birth_date": born}]}
        save_document(
            session, household_id, document, expected_version=stored.version, source="parent", by="guardian:g1"
        )
        session.commit()
    bell.ring(bell.MATCH)


def _quietly(work: Callable[[], None]) -> None:
    """Do a piece of work; where the database goes away under it, note that and go on."""
    try:
        work()
    except (DBAPIError, PendingRollbackError, Misconfigured, TodokeError) as error:
        reason = str(getattr(error, "orig", error)).splitlines()[0][:150]
        append(_FOLDER / "troubles.jsonl", at=time.time(), what=type(error).__name__, reason=reason)
        time.sleep(0.2)


def _resting() -> bool:
    return (_FOLDER / "rest").exists()


def _for_families(families: Sequence[UUID], partners: Sequence[UUID], seed: int, pause: float) -> None:
    chance = random.Random(seed)
    while not _resting():
        household_id = chance.choice(families)
        _quietly(partial(act, household_id, partners, chance))
        time.sleep(chance.uniform(0, 2 * pause))


def _for_the_quiet(families: Sequence[UUID], seed: int, rate: float) -> None:
    chance = random.Random(seed)
    while not _resting():
        began = time.monotonic()
        household_id = chance.choice(families)
        late = 0.02 if chance.random() < _LATE_SHARE else 0.0
        _quietly(partial(decide, household_id, "child:c1", late_seconds=late))
        time.sleep(max(0.0, 1 / rate - (time.monotonic() - began)))


def _for_newcomers(partners: Sequence[UUID], seed: int) -> None:
    chance = random.Random(seed)
    while not _resting():
        _quietly(partial(welcome, partners, chance))
        time.sleep(3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--families", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=3)
    parser.add_argument("--pause", type=float, default=0.5, help="seconds between two acts of a thread, on average")
    parser.add_argument(
        "--rate", type=float, default=10.0, help="decisions a second for families that stay as they are"
    )
    parser.add_argument("--newcomers", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    known = json.loads(given.families.read_text())
    families, partners = [UUID(one) for one in known["families"]], [UUID(one) for one in known["partners"]]
    broken.break_families(os.environ.get("CHAOS_BROKEN", ""))
    quiet, restless = families[: len(families) // 3], families[len(families) // 3 :]
    threads = [
        threading.Thread(
            target=_for_families, args=[restless[n :: given.threads], partners, given.seed + n, given.pause]
        )
        for n in range(given.threads)
    ]
    threads.append(threading.Thread(target=_for_the_quiet, args=[quiet, given.seed + 1000, given.rate]))
    if given.newcomers:
        threads.append(threading.Thread(target=_for_newcomers, args=[partners, given.seed + 2000]))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    bell.flush()


if __name__ == "__main__":
    main()
