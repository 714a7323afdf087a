"""The outbox: finished messages become rows, in the transaction of the decision that caused them.

After its commit the use case calls `app.platform.bell.ring_dispatch()`; if it does not, the sweep finds the rows.
A message that carries the dedupe key of an earlier one is the earlier one: nothing is written.
"""

import datetime as dt
import json
import logging
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col

from app.delivery.tables import Delivery
from app.platform.errors import InvalidInput
from app.platform.identifiers import new_id
from app.platform.sealing import seal, unseal

_logger = logging.getLogger(__name__)
_TABLE: Final = "deliveries"
TEST_QUEUE: Final = "webhook-test:"
"""Beginning of the queue of a test that enables an endpoint again: the one queue that outlives its end."""
_ROWS_AT_ONCE: Final = 500
_LONGEST_BODY: Final = 20_000
#: For the `SET` of whoever ends a message that may be told again: as another message, under the same key.
KEY_GIVEN_AWAY: Final = "dedupe_key = dedupe_key || ':' || id"
#: Messages that tell of a notice, and are told again by planning. Other events begin or end something: whoever called
#: those back would leave a notice on a screen for ever.
TELLS: Final = (
    "(lane = 'notice' OR event_type NOT IN ('link.created', 'link.revoked', 'notice.cancelled', 'notice.expired'))"
)
#: States in which a message has ended and its family or app heard nothing of it.
ENDED_UNTOLD: Final = "(lane <> 'transactional' AND (state = 'cancelled' OR (state = 'failed' AND lane = 'notice')))"


class Lane(StrEnum):
    """What kind of message it is: each has its own queue in a channel, so that one kind never waits for another."""

    NOTICE = "notice"
    """A notice to a family: consent, protection and stopped persons are checked when it goes."""
    TRANSACTIONAL = "transactional"
    """An answer to what somebody just did (sign-in code, warning about an endpoint): consent does not apply."""
    EVENT = "event"
    """An event for a partner app."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """The household that a message is about: what must still hold when it goes out.

    Attributes:
        municipality_code: of the household now.
        consent_epoch: of the household when the message was decided; None only for transactional mail.
        subjects: the persons it is about (`child:c1` …); a stop for one of them stops the message.
        programme_keys: the programmes it tells of; a halt of one of them holds the message back.
    """

    household_id: uuid.UUID
    municipality_code: str
    consent_epoch: int | None = None
    subjects: tuple[str, ...] = ()
    programme_keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What all messages have.

    Attributes:
        dedupe_key: what makes this message the same one however often it is planned.
        event_id: the same over retries and replays; no full stop in it.
        due_at: not before this instant of `app.platform.clock`.
        expires_at: after this instant the message has lost its meaning.
        gate: None where no family is concerned.
    """

    dedupe_key: str
    event_id: str
    event_type: str
    due_at: dt.datetime
    lane: Lane
    expires_at: dt.datetime | None = None
    gate: Gate | None = None
    notice_ids: tuple[uuid.UUID, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookMessage(Message):
    """An event for one endpoint. `body` is the exact text that will be signed; `enables`: it goes to a disabled one."""

    lane: Lane = Lane.EVENT
    enables: bool = False
    partner_id: uuid.UUID
    endpoint_id: uuid.UUID
    body: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class _PersonalMessage(Message):
    """A message to one person's address.

    Attributes:
        contact_confirmed_at: since when the address counts as this person's own. Under protection only addresses
            confirmed after the flag get anything. A code that confirms the address itself carries the instant at which
            it was asked for. None: nothing goes out under protection.
        partner_id: whose technical contact is written to, if it is a partner's.
        urgent: it has a queue of its own, which ordinary messages do not fill; on LINE it may use what the month's
            quota keeps in reserve.
    """

    address: str = field(repr=False)
    contact_point_id: uuid.UUID | None = None
    contact_confirmed_at: dt.datetime | None = None
    partner_id: uuid.UUID | None = None
    urgent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailMessage(_PersonalMessage):
    """One mail. `composed_at` becomes its Date header."""

    subject: str = field(repr=False)
    text: str = field(repr=False)
    html: str = field(repr=False)
    composed_at: dt.datetime
    unsubscribe_url: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class LineMessage(_PersonalMessage):
    """One LINE-style push: one to five message objects, and the same in plain text should they be refused."""

    messages: tuple[Mapping[str, object], ...] = field(repr=False)
    fallback_text: str = field(default="", repr=False)


def enqueue_webhook(session: Session, message: WebhookMessage) -> uuid.UUID | None:
    """Write an event for an endpoint; return the delivery's id, or None if it was there already.

    Raises:
        InvalidInput: the message is not fit to be sent; see `enqueue_all`.
    """
    return _only(enqueue_all(session, [message]))


def enqueue_email(session: Session, message: EmailMessage) -> uuid.UUID | None:
    """Write a mail; return the delivery's id, or None if it was there already.

    Raises:
        InvalidInput: the message is not fit to be sent; see `enqueue_all`.
    """
    return _only(enqueue_all(session, [message]))


def enqueue_line(session: Session, message: LineMessage) -> uuid.UUID | None:
    """Write a LINE-style push; return the delivery's id, or None if it was there already.

    Raises:
        InvalidInput: the message is not fit to be sent; see `enqueue_all`.
    """
    return _only(enqueue_all(session, [message]))


def enqueue_all(session: Session, messages: Iterable[WebhookMessage | EmailMessage | LineMessage]) -> list[uuid.UUID]:
    """Write many messages in the caller's transaction; return the ids of those that were new.

    Raises:
        InvalidInput: a message about a family without its consent epoch outside the transactional lane, an event id
            with a full stop, or a webhook body of more than 20 kB.
    """
    statement = (
        insert(Delivery).on_conflict_do_nothing(index_elements=[col(Delivery.dedupe_key)]).returning(col(Delivery.id))
    )
    written: list[uuid.UUID] = []
    all_rows = [_row(message) for message in messages]
    for rows in _in_batches(all_rows):
        written.extend(session.execute(statement, rows).scalars())
    if len(written) < len(all_rows):
        _logger.info("outbox: %d of %d messages were there already", len(all_rows) - len(written), len(all_rows))
    return written


@dataclass(frozen=True, slots=True)
class CalledBack:
    """What was queued and goes no more: how many messages, and the notices that they told."""

    messages: int
    notice_ids: frozenset[uuid.UUID]


def cancel_queued(
    session: Session,
    reason: str,
    *,
    household_id: uuid.UUID | None = None,
    partner_id: uuid.UUID | None = None,
    contact_point_id: uuid.UUID | None = None,
    telling_only: bool = False,
) -> CalledBack:
    """Cancel notices and events that have not gone out yet, in the caller's transaction; return what was queued.

    A row whose request is under way cannot be called back; it is marked so that it is not tried again, and if it does
    not arrive, its household is looked at again (`take_called_back`). What was called back gives its key away: the same
    may be told again, as another message. Call this after the household's gate row has been changed, never before, so
    that locks are taken in the order of the claim.

    Args:
        session: of the caller.
        reason: a stable word that the delivery log shows, such as `consent_withdrawn` or `link_revoked`.
        household_id: of this household …
        partner_id: … and to this partner …
        contact_point_id: … and to this address; at least one of the three.
        telling_only: leave events that begin or end something: nobody would tell them again.

    Raises:
        InvalidInput: none of the three is named.
    """
    given = {"household_id": household_id, "partner_id": partner_id, "contact_point_id": contact_point_id}
    named: dict[str, object] = {name: value for name, value in given.items() if value is not None}
    if not named:
        raise InvalidInput("cancelling: found no household, partner or address; expected at least one")
    where = " AND ".join([*(f"{name} = :{name}" for name in named), "lane <> :transactional"])
    if telling_only:
        where += f" AND {TELLS}"
    values = named | {"transactional": Lane.TRANSACTIONAL, "reason": reason}
    session.execute(text(f"UPDATE deliveries SET stop_reason = :reason WHERE {where} AND state = 'sending'"), values)  # noqa: S608
    return cancel_where(session, reason, where, values)


def cancel_where(session: Session, reason: str, where: str, values: Mapping[str, object]) -> CalledBack:
    """Cancel what is queued and meets a condition (SQL, with its values); return what it told."""
    rows = session.execute(
        text(
            "UPDATE deliveries SET state = 'cancelled', last_error = :reason, finished_at = now(), halt_id = NULL,"  # noqa: S608
            f" {KEY_GIVEN_AWAY} WHERE {where} AND state IN ('scheduled', 'retrying') RETURNING notice_ids"
        ),
        {**values, "reason": reason},
    ).scalars()
    told = rows.all()
    return CalledBack(len(told), frozenset(notice_id for together in told for notice_id in together))


def take_called_back(session: Session, household_id: uuid.UUID) -> set[uuid.UUID]:
    """Return the notices of messages that were called back while under way and did not arrive; each message once."""
    rows = session.execute(
        text(
            "UPDATE deliveries SET stop_reason = NULL WHERE household_id = :household_id AND stop_reason IS NOT NULL"  # noqa: S608
            f" AND {ENDED_UNTOLD} RETURNING notice_ids"
        ),
        {"household_id": household_id},
    ).scalars()
    return {notice_id for together in rows for notice_id in together}


def renew_consent(session: Session, household_id: uuid.UUID) -> None:
    """Let what is still queued for a household go on under its consent of now, because it was not withdrawn."""
    session.execute(
        text(
            "UPDATE deliveries d SET consent_epoch = h.consent_epoch FROM households h WHERE h.id = :household_id"
            " AND d.household_id = h.id AND d.state IN ('scheduled', 'retrying', 'sending')"
            " AND d.consent_epoch <> h.consent_epoch AND d.stop_reason IS NULL"
        ),
        {"household_id": household_id},
    )


def content_of(delivery_id: uuid.UUID, message_sealed: bytes) -> dict[str, Any]:
    """Return what was sealed as the content of a delivery.

    Raises:
        ValueError: the bytes belong to another row or were changed.
    """
    content = json.loads(unseal(message_sealed, _TABLE, "message_sealed", delivery_id))
    assert isinstance(content, dict)
    return content


def address_of(delivery_id: uuid.UUID, address_sealed: bytes | None) -> str:
    """Return the sealed address of a delivery.

    Raises:
        ValueError: there is none, or it belongs to another row.
    """
    if address_sealed is None:
        raise ValueError(f"delivery {delivery_id} has no address")
    return unseal(address_sealed, _TABLE, "address_sealed", delivery_id)


def _only(ids: list[uuid.UUID]) -> uuid.UUID | None:
    return ids[0] if ids else None


def _row(message: WebhookMessage | EmailMessage | LineMessage) -> dict[str, object]:
    _check(message)
    delivery_id = new_id()
    channel, content = _content(message)
    gate = message.gate
    row: dict[str, object] = {
        "id": delivery_id,
        "dedupe_key": message.dedupe_key,
        "lane": message.lane.value,
        "channel": channel,
        "queue": f"{channel}:{message.lane.value}",
        "household_id": gate.household_id if gate else None,
        "municipality_code": gate.municipality_code if gate else "",
        "consent_epoch": gate.consent_epoch if gate else None,
        "subjects": list(gate.subjects) if gate else [],
        "programme_keys": list(gate.programme_keys) if gate else [],
        "partner_id": message.partner_id,
        "endpoint_id": None,
        "contact_point_id": None,
        "contact_confirmed_at": None,
        "address_sealed": None,
        "notice_ids": list(message.notice_ids),
        "event_id": message.event_id,
        "event_type": message.event_type,
        "message_sealed": _sealed_json(content, delivery_id),
        "state": "scheduled",
        "next_attempt_at": message.due_at,
        "expires_at": message.expires_at,
        "requests": 0,
        "retries": 0,
        "losses": 0,
    }
    if not isinstance(message, WebhookMessage) and message.urgent:
        row["queue"] = f"{channel}:urgent"
    if isinstance(message, WebhookMessage):
        queue = f"{TEST_QUEUE if message.enables else 'webhook:'}{message.endpoint_id}"
        return row | {"endpoint_id": message.endpoint_id, "queue": queue}
    return row | {
        "contact_point_id": message.contact_point_id,
        "contact_confirmed_at": message.contact_confirmed_at,
        "address_sealed": seal(message.address, _TABLE, "address_sealed", delivery_id),
    }


def _check(message: WebhookMessage | EmailMessage | LineMessage) -> None:
    if message.gate and message.gate.consent_epoch is None and message.lane is not Lane.TRANSACTIONAL:
        raise InvalidInput(f"{message.event_type}: found no consent epoch; expected the household's own when deciding")
    if not message.event_id or "." in message.event_id:
        raise InvalidInput(f"{message.event_type}: found event id {message.event_id!r}; expected one without full stop")
    if isinstance(message, WebhookMessage) and len(message.body.encode()) > _LONGEST_BODY:
        raise InvalidInput(f"{message.event_type}: found a body over {_LONGEST_BODY} bytes; send ids, not contents")


def _content(message: WebhookMessage | EmailMessage | LineMessage) -> tuple[str, dict[str, object]]:
    if isinstance(message, WebhookMessage):
        return "webhook", {"body": message.body}
    if isinstance(message, EmailMessage):
        return "email", {
            "subject": message.subject,
            "text": message.text,
            "html": message.html,
            "composed_at": message.composed_at.isoformat(),
            "unsubscribe_url": message.unsubscribe_url,
        }
    return "line", {"messages": list(message.messages), "fallback_text": message.fallback_text}


def _sealed_json(content: dict[str, object], delivery_id: uuid.UUID) -> bytes:
    return seal(json.dumps(content, ensure_ascii=False, separators=(",", ":")), _TABLE, "message_sealed", delivery_id)


def _in_batches(rows: list[dict[str, object]]) -> Iterable[list[dict[str, object]]]:
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        yield rows[start : start + _ROWS_AT_ONCE]
