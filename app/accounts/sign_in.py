"""Server-side sessions and single-use sign-in links.

A browser or a mail holds a random token of 256 bits; the row holds its SHA-256 and is found by it through one function
of the database. Sessions and links end by real time: shifting the demo's clock signs nobody out.
"""

import datetime as dt
import hashlib
import secrets
import uuid

from sqlalchemy import text
from sqlmodel import Session, select

from app.accounts.permissions import Actor
from app.accounts.tables import SignInLink, WebSession
from app.platform.clock import real_now
from app.platform.database import Context, enter
from app.platform.errors import Conflict, NotFound

HOUSEHOLD_LIFETIME = dt.timedelta(days=180)
OFFICE_LIFETIME = dt.timedelta(hours=8)
LINK_LIFETIME = dt.timedelta(minutes=30)


def open_session(
    session: Session,
    *,
    household_id: uuid.UUID | None = None,
    guardian: str | None = None,
    municipality_code: str = "",
    staff_id: uuid.UUID | None = None,
    partner_id: uuid.UUID | None = None,
) -> str:
    """Write the row of a signed-in browser in the caller's transaction; return the token for its cookie.

    The session must be in the context of the household, the municipality (staff) or the partner.
    """
    token = secrets.token_urlsafe(32)
    lifetime = HOUSEHOLD_LIFETIME if household_id else OFFICE_LIFETIME
    session.add(
        WebSession(
            digest=token_digest(token),
            household_id=household_id,
            guardian=guardian,
            municipality_code=municipality_code,
            staff_id=staff_id,
            partner_id=partner_id,
            expires_at=real_now() + lifetime,
        )
    )
    session.flush()
    return token


def find_actor(session: Session, token: str) -> Actor | None:
    """Return who the cookie's token belongs to, or None where it is unknown, ended or out of time."""
    query = select(WebSession).from_statement(text("SELECT * FROM find_web_session(:digest)"))
    row = session.exec(query, params={"digest": token_digest(token)}).scalars().first()  # type: ignore[call-overload]
    if row is None or row.ended_at is not None or row.expires_at <= real_now():
        return None
    kind = "household" if row.household_id else "staff" if row.staff_id else "partner"
    return Actor(
        kind=kind,
        session_id=row.id,
        municipality_code=row.municipality_code,
        household_id=row.household_id,
        guardian=row.guardian,
        staff_id=row.staff_id,
        partner_id=row.partner_id,
    )


def end_session(session: Session, actor: Actor) -> None:
    """End the session of this browser, in the caller's transaction. Ending twice is no error."""
    row = session.get(WebSession, actor.session_id)
    if row is not None and row.ended_at is None:
        row.ended_at = real_now()


def create_link(
    session: Session,
    *,
    household_id: uuid.UUID | None = None,
    guardian: str | None = None,
    municipality_code: str = "",
    staff_id: uuid.UUID | None = None,
    partner_id: uuid.UUID | None = None,
    lifetime: dt.timedelta = LINK_LIFETIME,
) -> str:
    """Write a single-use link in the caller's transaction; return the token that its address ends with."""
    token = secrets.token_urlsafe(32)
    session.add(
        SignInLink(
            digest=token_digest(token),
            household_id=household_id,
            guardian=guardian,
            municipality_code=municipality_code,
            staff_id=staff_id,
            partner_id=partner_id,
            expires_at=real_now() + lifetime,
        )
    )
    session.flush()
    return token


def find_link(session: Session, token: str) -> SignInLink:
    """Return a link that can still be used; looking consumes nothing.

    Raises:
        NotFound: unknown, used or out of time; the three are not told apart.
    """
    query = select(SignInLink).from_statement(text("SELECT * FROM find_sign_in_link(:digest)"))
    link = session.exec(query, params={"digest": token_digest(token)}).scalars().first()  # type: ignore[call-overload]
    if link is None or link.used_at is not None or link.expires_at <= real_now():
        raise NotFound("this sign-in link was used, is out of time or never existed; ask for a new one")
    return link


def use_link(session: Session, link: SignInLink) -> str:
    """Consume a link and open the session it stands for; return the token for the cookie.

    The session enters the link's context here. Of two uses at once exactly one succeeds.

    Raises:
        Conflict: somebody used the link first.
    """
    enter(session, Context(municipality=link.municipality_code, household=link.household_id, partner=link.partner_id))
    locked = session.exec(
        select(SignInLink).where(SignInLink.id == link.id).with_for_update().execution_options(populate_existing=True)
    ).one()
    if locked.used_at is not None:
        raise Conflict("this sign-in link was used a moment ago; ask for a new one")
    locked.used_at = real_now()
    return open_session(
        session,
        household_id=link.household_id,
        guardian=link.guardian,
        municipality_code=link.municipality_code,
        staff_id=link.staff_id,
        partner_id=link.partner_id,
    )


def token_digest(token: str) -> bytes:
    """Return what a row keeps of a token. The token is random, so one fast digest is enough."""
    return hashlib.sha256(token.encode()).digest()
