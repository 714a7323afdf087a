"""Linking a guardian with a user of the LINE-style platform: link token, nonce, and whose contact a user is.

The platform gives a link token for one of its users; that user opens our address with it and signs in; we make a nonce
for who is signed in; the platform sends the nonce back together with the user. The token stands for the user, the nonce
for the guardian, each once and for ten minutes, and both must have been made for the same user: an address or a nonce
that leaked links nobody else. Digests only are kept.
"""

import datetime as dt
import secrets
import uuid
from hashlib import sha256

from sqlalchemy import text
from sqlmodel import Session, select

from app.households.tables import ContactPoint, LineLinkToken, LineNonce
from app.platform import clock
from app.platform.errors import Conflict, NotFound
from app.platform.sealing import blind_index

LIFETIME = dt.timedelta(minutes=10)
_NONCE_BYTES = 32
"""256 bits; the platform takes 10 to 255 characters and asks for 128 bits at least."""


def user_index(user_id: str) -> bytes:
    """Return the digest by which a user of the platform is found: that of the contact point."""
    return blind_index(user_id, "line")


def keep_link_token(session: Session, link_token: str, user_id: str) -> None:
    """Remember for whom a link token was issued. The caller commits."""
    session.add(
        LineLinkToken(
            digest=_digest(link_token), user_index=user_index(user_id), expires_at=clock.real_now() + LIFETIME
        )
    )


def make_nonce(session: Session, household_id: uuid.UUID, guardian: str, session_id: uuid.UUID, link_token: str) -> str:
    """Make the nonce of a signed-in guardian for a link token. The caller commits.

    Args:
        session: in the household's context.
        household_id: who is signed in.
        guardian: which guardian.
        session_id: the session in which the guardian agreed.
        link_token: as it stood in the address.

    Raises:
        NotFound: the token was not issued here, or its ten minutes are over.
        Conflict: it was used before.
    """
    issued = session.execute(
        text("SELECT user_index, expires_at FROM find_line_link_token(:wanted)"), {"wanted": _digest(link_token)}
    ).first()
    now = clock.real_now()
    if issued is None or issued.expires_at <= now:
        raise NotFound("this link token is unknown or older than ten minutes; ask for a new one in the talk")
    nonce = secrets.token_urlsafe(_NONCE_BYTES)
    made = session.execute(
        text(
            "INSERT INTO line_nonces (id, digest, link_token_digest, user_index, household_id, guardian, session_id,"
            " made_at, expires_at) VALUES (:id, :digest, :token, :user, :household_id, :guardian, :session_id,"
            " :made_at, :expires_at) ON CONFLICT DO NOTHING"
        ),
        {
            "id": uuid.uuid4(),
            "digest": _digest(nonce),
            "token": _digest(link_token),
            "user": issued.user_index,
            "household_id": household_id,
            "guardian": guardian,
            "session_id": session_id,
            "made_at": clock.now(),
            "expires_at": now + LIFETIME,
        },
    )
    if made.rowcount == 0:  # type: ignore[attr-defined]
        raise Conflict("this link token was used before; ask for a new one in the talk")
    return nonce


def take_nonce(session: Session, nonce: str, user_id: str, at: dt.datetime) -> LineNonce | None:
    """Use up a nonce that the platform sent back `at` an instant; None unless unused, in time and made for this user.

    A nonce that comes back with somebody else is used up all the same: it leaked.
    """
    row = session.exec(select(LineNonce).where(LineNonce.digest == _digest(nonce)).with_for_update()).one_or_none()
    if row is None or row.used_at is not None:
        return None
    row.used_at = clock.real_now()
    session.add(row)
    mine = secrets.compare_digest(row.user_index, user_index(user_id))
    return row if mine and row.expires_at > at else None


def contacts_of_user(session: Session, user_id: str) -> list[ContactPoint]:
    """Return the contacts, in any household, that are this user of the platform: where each is, not its contents."""
    rows = session.execute(
        text(
            "SELECT id, household_id, municipality_code FROM find_contact_points(:wanted)"
            " WHERE kind = 'line' ORDER BY id"
        ),
        {"wanted": user_index(user_id)},
    )
    return [
        ContactPoint(id=row.id, household_id=row.household_id, municipality_code=row.municipality_code)  # type: ignore[call-arg]
        for row in rows
    ]


def _digest(token: str) -> bytes:
    return sha256(token.encode()).digest()
