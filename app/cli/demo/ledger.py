"""The ledger: what each named household was told through which channel, as the receivers saw it.

A line is `household | channel | kind | programme | subject | deadline | amount`. It stands in the ledger only if the
receiver has it: the signed event in the sample app, the mail in the sink, the push in the LINE-style server. The inbox
lines are the record itself.
"""

import datetime as dt
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import text
from sqlmodel import select

from app.delivery.channels.line import retry_key
from app.delivery.tables import Delivery
from app.households.tables import Household
from app.notices.rows import OVERVIEW
from app.notices.tables import Notice
from app.platform.database import owner_session
from app.sandbox.servers import Sandbox

HEADING = "# household | channel | kind | programme | subject | deadline | amount"


@dataclass(slots=True)
class Arrivals:
    """What the stand-ins received, by what identifies a message to them."""

    events: dict[str, int] = field(default_factory=dict)
    mails: Counter[str] = field(default_factory=Counter)
    pushes: set[str] = field(default_factory=set)
    refused: int = 0

    @classmethod
    def of(cls, sandbox: Sandbox) -> "Arrivals":
        """Read the three stand-ins."""
        app = sandbox.partner_app
        return cls(
            events={event.webhook_id: event.times for event in app.received.values()},
            mails=Counter(mail.message()["Message-ID"].strip("<>") for mail in sandbox.mail_sink.mails),
            pushes={push.retry_key for push in sandbox.line_server.pushes if push.retry_key},
            refused=app.counts.refused,
        )

    def has(self, delivery: Delivery) -> bool:
        """Whether the receiver of a delivery has it."""
        if delivery.channel == "webhook":
            return delivery.event_id in self.events
        if delivery.channel == "line":
            return retry_key(delivery.id) in self.pushes
        return any(delivery.id.hex in message_id or str(delivery.id) in message_id for message_id in self.mails)

    def count(self, channel: str) -> int:
        """Return how many messages of a channel arrived."""
        return {"webhook": len(self.events), "email": self.mails.total(), "line": len(self.pushes)}[channel]


def lines(named: Mapping[str, uuid.UUID], arrivals: Arrivals) -> list[str]:
    """Return the ledger of the named households, sorted."""
    names = {household_id: name for name, household_id in named.items()}
    with owner_session() as session:
        notices = {row.id: row for row in session.exec(select(Notice)) if row.household_id in names}
        deliveries = [row for row in session.exec(select(Delivery)) if row.household_id in names]
        stopped = {row.id: row.stopped_subjects for row in session.exec(select(Household)) if row.stopped_subjects}
        protected = set(session.exec(select(Household.id).where(Household.protected_at.is_not(None))))  # type: ignore[union-attr]
    told = [
        _line(names[notice.household_id], "inbox", notice)
        for notice in notices.values()
        if notice.released_at is not None
        and notice.programme_key != OVERVIEW
        and notice.subject not in stopped.get(notice.household_id, ())
    ]
    for delivery in deliveries:
        if arrivals.has(delivery):
            for notice in _told_by(delivery, notices.values()):
                told.append(_line(names[notice.household_id], delivery.channel, notice))
    assert not protected & {row.household_id for row in deliveries if arrivals.has(row)}, "a protected household heard"
    return sorted(told)


def differences(found: Iterable[str], committed: Path) -> list[str]:
    """Return what stands in one ledger only: `+` found now, `-` committed; empty when they are equal."""
    wanted = Counter(
        line for line in committed.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")
    )
    now = Counter(found)
    return [f"+ {line}" for line in sorted((now - wanted).elements())] + [
        f"- {line}" for line in sorted((wanted - now).elements())
    ]


def twins_that_differ_wrongly(found: Iterable[str], silent_of: Mapping[str, str]) -> list[str]:
    """Return what is wrong between twins: the silent one heard something, or its twin heard nothing.

    Args:
        found: the ledger.
        silent_of: the household that must hear nothing outside its inbox → its identical twin that must.
    """
    heard = {tuple(line.split(" | ")[:2]) for line in found}
    outside = {name for name, channel in heard if channel != "inbox"}
    return [f"{silent} heard something" for silent in silent_of if silent in outside] + [
        f"{twin}, the twin of {silent}, heard nothing" for silent, twin in silent_of.items() if twin not in outside
    ]


def totals() -> dict[str, int]:
    """Return how much there is of everything, and how far each delivery got."""
    with owner_session() as session:
        counts = {
            name: int(session.execute(text(f"SELECT count(*) FROM {name}")).scalar_one())  # noqa: S608
            for name in ("households", "entitlements", "notices", "deliveries")
        }
        for channel, state, number in session.execute(
            text("SELECT channel, state, count(*) FROM deliveries GROUP BY 1, 2")
        ):
            counts[f"{channel} {state}"] = number
    return counts


def _told_by(delivery: Delivery, notices: Iterable[Notice]) -> Iterator[Notice]:
    for notice in notices:
        named = notice.id in delivery.notice_ids and notice.programme_key != OVERVIEW
        if named or (notice.overview_id in delivery.notice_ids and notice.released_at is not None):
            yield notice


def _line(name: str, channel: str, notice: Notice) -> str:
    deadline: dt.date | None = notice.deadline_on
    kind = f"{notice.kind} (overview)" if notice.overview_id else notice.kind
    parts = [name, channel, kind, notice.programme_key, notice.subject, str(deadline or "-")]
    return " | ".join([*parts, notice.content.get("amount_text") or "-"])
