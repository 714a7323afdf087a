"""Mail that a relay had taken and that came back all the same.

A delivery that was `accepted` becomes `failed`, with a row in its log like any other attempt, and is never sent again
by that: what is told once more goes through planning, to the next channel.
"""

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import Final

from sqlalchemy import text
from sqlmodel import Session, select

from app.delivery.channels.contract import Outcome
from app.delivery.channels.mail_reports import Kind, Report
from app.delivery.outbox import Lane
from app.delivery.tables import Delivery, DeliveryAttempt
from app.platform.change_queue import rights_changed

#: An address is set aside after so many soft bounces in a row.
SOFT_IN_A_ROW: Final = 3
#: Where a Japanese guideline for bulk mail sees trouble: hard and soft bounces and complaints, shares of mails.
TROUBLE: Final = {"hard": 0.01, "soft": 0.03, "complaint": 0.001}
_PREFIX: Final = {Kind.HARD: "bounced", Kind.SOFT: "bounced_soft", Kind.POLICY: "bounced_policy"}


def accepted_delivery(session: Session, delivery_id: uuid.UUID) -> Delivery | None:
    """Return a delivery as it is now, held until the end of the transaction."""
    return session.exec(
        select(Delivery)
        .where(Delivery.id == delivery_id, Delivery.channel == "email")
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one_or_none()


def mark_failed(session: Session, delivery: Delivery, report: Report, at: dt.datetime, *, for_good: bool) -> None:
    """Write down that a mail came back; where the address is done with, its notices are looked at again.

    Args:
        session: of the worker.
        delivery: `accepted`, held.
        report: of kind hard, soft or policy.
        at: real instant.
        for_good: the address is set aside, so the next channel takes over.
    """
    error = "_".join(part for part in (_PREFIX[report.kind], report.status) if part)
    delivery.state, delivery.last_error, delivery.finished_at = "failed", error, at
    if delivery.lane == Lane.NOTICE:
        delivery.dedupe_key = f"{delivery.dedupe_key}:{delivery.id}"  # the same may be told again
    session.add(delivery)
    outcome = Outcome.UNDELIVERABLE if for_good else Outcome.PERMANENT_FAILURE
    session.add(
        DeliveryAttempt(
            delivery_id=delivery.id,
            household_id=delivery.household_id,
            municipality_code=delivery.municipality_code,
            partner_id=delivery.partner_id,
            number=delivery.requests,
            started_at=at,
            milliseconds=0,
            outcome=outcome.value,
            error=error,
            response_excerpt=report.wording or None,
        )
    )
    session.flush()
    if for_good and delivery.lane == Lane.NOTICE and delivery.household_id is not None and not delivery.stop_reason:
        rights_changed(session, delivery.household_id, delivery.municipality_code)


def soft_in_a_row(session: Session, delivery: Delivery) -> bool:
    """Whether with this mail the last ones to its address all came back soft; one that stayed away breaks the row."""
    rows = session.execute(
        text(
            "SELECT id = :id OR (state = 'failed' AND (last_error LIKE 'bounced\\_soft%'"
            " OR last_error IN ('smtp_4.2.2', 'smtp_5.2.2'))) AS came_back FROM deliveries"
            " WHERE household_id = :household_id AND contact_point_id = :contact_point_id AND channel = 'email'"
            " AND state IN ('accepted', 'failed') AND requests > 0 ORDER BY created_at DESC, id DESC LIMIT :most"
        ),
        {
            "id": delivery.id,
            "household_id": delivery.household_id,
            "contact_point_id": delivery.contact_point_id,
            "most": SOFT_IN_A_ROW,
        },
    ).scalars()
    found = list(rows)
    return len(found) == SOFT_IN_A_ROW and all(found)


@dataclass(frozen=True, slots=True)
class MailFigures:
    """How many mails a relay took since some instant, and how many of them came back, by kind."""

    taken: int
    hard: int
    soft: int
    policy: int
    complaint: int

    def troubles(self) -> list[str]:
        """Name what is over the guideline; policy is trouble at once, because it is always ours to mend."""
        over = [kind for kind, share in TROUBLE.items() if self.taken and getattr(self, kind) / self.taken >= share]
        return over + (["policy"] if self.policy else [])


def figures(session: Session, since: dt.datetime) -> MailFigures:
    """Count mails and what came back since an instant (real time)."""
    row = session.execute(
        text(
            "SELECT count(*) AS taken, count(*) FILTER (WHERE last_error LIKE 'bounced\\_soft%') AS soft,"
            " count(*) FILTER (WHERE last_error LIKE 'bounced\\_policy%') AS policy,"
            " count(*) FILTER (WHERE last_error LIKE 'bounced%' AND last_error NOT LIKE 'bounced\\_soft%'"
            " AND last_error NOT LIKE 'bounced\\_policy%') AS hard,"
            " count(*) FILTER (WHERE last_error = 'complaint') AS complaint FROM deliveries"
            " WHERE channel = 'email' AND finished_at >= :since"
            " AND (state = 'accepted' OR (state = 'failed' AND last_error LIKE 'bounced%'))"
        ),
        {"since": since},
    ).one()
    return MailFigures(row.taken, row.hard, row.soft, row.policy, row.complaint)
