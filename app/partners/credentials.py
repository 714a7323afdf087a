"""API keys: how a partner's server says who it is. A key is shown once; only its SHA-256 digest is kept.

A key carries 256 random bits, so a plain digest is enough: there is nothing to guess that a slow hash would protect.
"""

import datetime as dt
import hashlib
import re
import secrets as randomness
import uuid
from dataclasses import dataclass
from typing import Final

from sqlmodel import Session, col, select, text

from app.partners.tables import PartnerCredential
from app.platform.errors import Conflict, NotFound, NotPermitted
from app.platform.identifiers import new_id

PREFIX: Final = "tdk_"
MOST_KEYS: Final = 10
_SHOWN_CHARACTERS: Final = len(PREFIX) + 6
_FORM: Final = re.compile(r"tdk_[A-Za-z0-9_-]{43}")


class CredentialRefused(NotPermitted):
    """No key, a forged one or a revoked one; the answer does not tell which (web: 401)."""

    slug = "credential-refused"


@dataclass(frozen=True, slots=True)
class KeyShown:
    """A credential and its key, in the only moment in which the key can be read."""

    credential: PartnerCredential
    key: str


def new_credential(session: Session, partner_id: uuid.UUID) -> KeyShown:
    """Make an API key, in the partner's context.

    Raises:
        Conflict: the partner has ten live keys already.
    """
    live = [credential for credential in credentials_of(session, partner_id) if credential.revoked_at is None]
    if len(live) >= MOST_KEYS:
        raise Conflict(f"found {len(live)} live keys; expected at most {MOST_KEYS}: revoke one that is no longer used")
    key = PREFIX + randomness.token_urlsafe(32)
    credential = PartnerCredential(
        id=new_id(), partner_id=partner_id, prefix=key[:_SHOWN_CHARACTERS], digest=_digest(key)
    )
    session.add(credential)
    session.flush()
    return KeyShown(credential, key)


def partner_of_key(session: Session, key: str) -> uuid.UUID:
    """Return whose key this is. Needs no context: the row is found by its digest through one database function.

    Raises:
        CredentialRefused: malformed, unknown or revoked.
    """
    if _FORM.fullmatch(key):
        row = session.execute(
            text("SELECT partner_id, revoked_at FROM find_partner_credential(:digest)"), {"digest": _digest(key)}
        ).one_or_none()
        if row is not None and row.revoked_at is None:
            return uuid.UUID(str(row.partner_id))
    raise CredentialRefused(
        f"found no valid API key; expected a live key in the header: Authorization: Bearer {PREFIX}…"
    )


def credentials_of(session: Session, partner_id: uuid.UUID) -> list[PartnerCredential]:
    """Return a partner's keys without the keys themselves, newest first, revoked ones too."""
    return list(
        session.exec(
            select(PartnerCredential)
            .where(PartnerCredential.partner_id == partner_id)
            .order_by(col(PartnerCredential.id).desc())
        )
    )


def revoke_credential(
    session: Session, partner_id: uuid.UUID, credential_id: uuid.UUID, *, at: dt.datetime
) -> PartnerCredential:
    """End a key, from the next request on. One that is revoked already keeps its first instant.

    Raises:
        NotFound: there is none, or it is another partner's.
    """
    credential = session.get(PartnerCredential, credential_id)
    if credential is None or credential.partner_id != partner_id:
        raise NotFound(f"found no API key {credential_id}; expected the id of one of your keys")
    if credential.revoked_at is None:
        credential.revoked_at = at
    session.add(credential)
    session.flush()
    return credential


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
