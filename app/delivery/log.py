"""The delivery log: what a partner's developers read and may send again, and which notices no address took.

Reading happens in the partner's own context, so that row-level security shows a partner its own rows and no others.
"""

import datetime as dt
import uuid
from collections import defaultdict
from collections.abc import Collection
from typing import Final

from sqlalchemy import text
from sqlmodel import Session, col, select

from app.delivery import recovery
from app.delivery.channels.contract import Outcome
from app.delivery.outbox import Lane, content_of
from app.delivery.record import NOT_THE_ADDRESS
from app.delivery.tables import Delivery, DeliveryAttempt
from app.platform.errors import Conflict, InvalidInput, NotFound

#: Every state a delivery can be in, in the order in which it passes through them.
STATES: Final = ("scheduled", "sending", "retrying", "delivered", "accepted", "failed", "expired", "cancelled")
#: Cancelled for one of these reasons means cancelled for good: the family decided, or the law did.
_FOR_GOOD: Final = frozenset({"consent_withdrawn", "protected", "person_stopped", "link_revoked"})
_MAY_BE_RESENT_IF_CANCELLED: Final = frozenset({"endpoint_disabled"})


def deliveries_of(
    session: Session,
    partner_id: uuid.UUID,
    *,
    states: Collection[str] = (),
    endpoint_id: uuid.UUID | None = None,
    before: uuid.UUID | None = None,
    limit: int = 50,
) -> list[Delivery]:
    """Return a partner's deliveries, newest first.

    Args:
        session: in the partner's context.
        partner_id: whose they are.
        states: only these; empty = all.
        endpoint_id: only those to this endpoint.
        before: the last id of the page before this one.
        limit: 1 to 200.

    Raises:
        InvalidInput: an unknown state.
    """
    unknown = sorted(set(states) - set(STATES))
    if unknown:
        raise InvalidInput(f"state: found {', '.join(unknown)}; expected some of {', '.join(STATES)}", field="state")
    query = select(Delivery).where(Delivery.partner_id == partner_id, col(Delivery.endpoint_id).is_not(None))
    if states:
        query = query.where(col(Delivery.state).in_(states))
    if endpoint_id is not None:
        query = query.where(Delivery.endpoint_id == endpoint_id)
    if before is not None:
        query = query.where(col(Delivery.id) < before)
    return list(session.exec(query.order_by(col(Delivery.id).desc()).limit(min(max(limit, 1), 200))))


def delivery_by_id(session: Session, delivery_id: uuid.UUID) -> Delivery:
    """Return one delivery that this context may see.

    Raises:
        NotFound: there is none.
    """
    delivery = session.get(Delivery, delivery_id)
    if delivery is None:
        raise NotFound(f"found no delivery {delivery_id}; expected the id of one of your deliveries")
    return delivery


def attempts_of(session: Session, delivery_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, list[DeliveryAttempt]]:
    """Return the attempts of deliveries, oldest first; a delivery without any is left out."""
    attempts: dict[uuid.UUID, list[DeliveryAttempt]] = defaultdict(list)
    rows = session.exec(
        select(DeliveryAttempt)
        .where(col(DeliveryAttempt.delivery_id).in_(delivery_ids))
        .order_by(col(DeliveryAttempt.number))
    )
    for attempt in rows:
        attempts[attempt.delivery_id].append(attempt)
    return dict(attempts)


def body_of(delivery: Delivery) -> str:
    """Return the exact body of a webhook as it was sent.

    Raises:
        InvalidInput: it is no webhook, or it was never sent or stopped for the family's sake: the log must not be a way
            around what the claim refuses.
    """
    if delivery.channel != "webhook":
        raise InvalidInput(f"delivery {delivery.id}: found channel {delivery.channel}; expected a webhook")
    if delivery.requests == 0 or delivery.stop_reason in _FOR_GOOD or delivery.last_error in _FOR_GOOD:
        raise InvalidInput(f"delivery {delivery.id} ({delivery.state}) has no body to show; expected one that was sent")
    return str(content_of(delivery.id, delivery.message_sealed)["body"])


def resend(session: Session, delivery_id: uuid.UUID, now: dt.datetime) -> Delivery:
    """Send a webhook again, now, with the same event id and the whole schedule ahead. The caller commits and rings.

    Consent, protection and stops are checked again when it goes.

    Raises:
        NotFound: there is none in this context.
        Conflict: a request for it is under way, or another delivery has told the same since.
        InvalidInput: it was stopped for the family's sake or has expired; that cannot be undone by sending.
    """
    delivery = delivery_by_id(session, delivery_id)
    session.refresh(delivery, with_for_update=True)
    if delivery.state == "sending":
        raise Conflict(f"delivery {delivery_id} is being sent at this moment; wait for the result")
    _refuse_to_resend(delivery, now)
    if delivery.endpoint_id is not None and recovery.link_has_ended(session, delivery_id):
        raise InvalidInput(f"delivery {delivery_id} belongs to a link that has ended; it cannot be sent again")
    if delivery.state == "cancelled" and (again := recovery.told_again(session, delivery_id)) is not None:
        raise Conflict(f"delivery {delivery_id} was told again as delivery {again}; send that one")
    delivery.state, delivery.next_attempt_at = "scheduled", now
    delivery.retries = delivery.losses = 0
    delivery.resent_at = now
    delivery.stop_reason = delivery.last_error = delivery.finished_at = delivery.first_attempted_at = None
    session.add(delivery)
    session.flush()
    return delivery


def undeliverable_notices(session: Session, household_id: uuid.UUID) -> set[uuid.UUID]:
    """Return the notices of a household that did not arrive and that no other message carries.

    Whoever tells them again reaches the next channel: an address that refused was set aside, and release passes a
    LINE contact over whose push was given up. There the fate of the last request may be unknown: the same notice by
    another channel is a nuisance at worst, and a deadline of which nobody was told is lost.

    Args:
        session: of the worker, or in the household's context.
        household_id: whose notices.
    """
    rows = session.execute(
        text(
            "SELECT unnest(d.notice_ids) FROM deliveries d WHERE household_id = :household_id AND lane = :lane"
            " AND state = 'failed' AND (channel = 'line' OR EXISTS (SELECT FROM delivery_attempts a"
            " WHERE a.delivery_id = d.id AND a.outcome = :undeliverable AND a.error <> ALL(:not_the_address)))"
            " EXCEPT SELECT unnest(notice_ids) FROM deliveries WHERE household_id = :household_id AND lane = :lane"
            " AND state NOT IN ('failed', 'cancelled')"
        ),
        {
            "household_id": household_id, "lane": Lane.NOTICE, "undeliverable": Outcome.UNDELIVERABLE,
            "not_the_address": list(NOT_THE_ADDRESS),
        },
    )  # fmt: skip
    return set(rows.scalars())


def _refuse_to_resend(delivery: Delivery, now: dt.datetime) -> None:
    reason = delivery.stop_reason or (delivery.last_error if delivery.state == "cancelled" else None)
    if reason is not None and reason not in _MAY_BE_RESENT_IF_CANCELLED:
        why = "the family or a protection measure stopped it" if reason in _FOR_GOOD else "what it said no longer holds"
        raise InvalidInput(
            f"delivery {delivery.id} was cancelled ({reason}); {why}, so it cannot be sent again: expected one that "
            "was delivered or failed"
        )
    if delivery.expires_at is not None and delivery.expires_at <= now:
        raise InvalidInput(
            f"delivery {delivery.id} lost its meaning at {delivery.expires_at.isoformat()}; it cannot be sent again"
        )
