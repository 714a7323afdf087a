"""`Idempotency-Key`: a POST that is repeated with the same key within 24 hours gets the first answer again.

The key is written in the transaction of the work itself, before it. A second request with the same key therefore
waits for the first to commit (and gets its answer) or to fail (and does the work). It waits five seconds at most.
"""

import datetime as dt
import hashlib
import re
import uuid
from dataclasses import dataclass
from typing import Final

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import OperationalError
from sqlmodel import Session, select, text

from app.partners.tables import IdempotencyKey
from app.platform.errors import Conflict, InvalidInput
from app.platform.identifiers import new_id
from app.platform.sealing import seal, unseal

REMEMBERED: Final = dt.timedelta(hours=24)
_FORM: Final = re.compile(r"[\x21-\x7e]{1,200}")
_PLACE: Final = ("idempotency_keys", "answer_sealed")
_LOCK_NOT_AVAILABLE: Final = "55P03"


class IdempotencyKeyReused(InvalidInput):
    """The key was used for another request."""

    slug = "idempotency-key-reused"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request was answered: status and body."""

    status_code: int
    body: str


def fingerprint(method: str, path: str, body: bytes) -> bytes:
    """Return what makes two requests the same (32 bytes)."""
    return hashlib.sha256(b"\x1f".join((method.encode(), path.encode(), body))).digest()


def claim_key(
    session: Session, partner_id: uuid.UUID, key: str, wanted: bytes, *, at: dt.datetime
) -> IdempotencyKey | Answer:
    """Claim a key for a request, in the partner's context, or return what the same request was answered before.

    Raises:
        InvalidInput: the key is not 1 to 200 visible ASCII characters.
        IdempotencyKeyReused: it was used for another request within 24 hours.
        Conflict: the first request with this key is still being worked on.
    """
    if not _FORM.fullmatch(key):
        raise InvalidInput(
            f"Idempotency-Key: found {len(key)} characters; expected 1 to 200 visible ASCII characters, such as a UUID",
            field="Idempotency-Key",
        )
    _wait_for_the_first(session, partner_id, key, wanted, at)
    row = session.exec(
        select(IdempotencyKey)
        .where(IdempotencyKey.partner_id == partner_id, IdempotencyKey.key == key)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()
    if row.answer_sealed is None or row.status_code is None:
        return row
    if at - row.used_at >= REMEMBERED:
        row.fingerprint, row.used_at, row.status_code, row.answer_sealed = wanted, at, None, None
        return row
    if row.fingerprint != wanted:
        raise IdempotencyKeyReused(
            "Idempotency-Key: found a key that was used for another request; expected a new key for a new request",
            field="Idempotency-Key",
        )
    return Answer(row.status_code, unseal(row.answer_sealed, *_PLACE, row.id))


def keep_answer(session: Session, row: IdempotencyKey, answer: Answer) -> None:
    """Write what the claimed request was answered, in the same transaction."""
    row.status_code, row.answer_sealed = answer.status_code, seal(answer.body, *_PLACE, row.id)
    session.add(row)
    session.flush()


def _wait_for_the_first(session: Session, partner_id: uuid.UUID, key: str, wanted: bytes, at: dt.datetime) -> None:
    """Insert the row if there is none; the unique key makes a second request wait for the first."""
    session.execute(text("SET LOCAL lock_timeout = '5s'"))
    statement = insert(IdempotencyKey).values(
        id=new_id(), partner_id=partner_id, key=key, fingerprint=wanted, used_at=at
    )
    try:
        session.execute(statement.on_conflict_do_nothing(constraint="idempotency_keys_once"))
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
            raise
        raise Conflict("Idempotency-Key: found the same request still at work; try again in a few seconds") from error
