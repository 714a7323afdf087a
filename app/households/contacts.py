"""Contact points of a guardian: sealed, confirmed by a code before anything personal goes to them.

Sending the code is a use case of its own (`app.safeguards.confirmation`), because delivery stands above this room.
"""

import base64
import binascii
import datetime as dt
import hmac
import re
import secrets
import unicodedata
import uuid
from collections.abc import Iterable
from hashlib import sha256

from sqlalchemy import text
from sqlmodel import Session, select

from app.households.tables import ContactConfirmation, ContactPoint, Household
from app.platform import clock
from app.platform.errors import Conflict, InvalidInput, NotFound
from app.platform.identifiers import new_id
from app.platform.sealing import blind_index, seal, unseal

CODE_LIFETIME = dt.timedelta(minutes=10)
_ADDRESS = re.compile(r"[^@\s\x00-\x1f]{1,64}@[^@\s\x00-\x1f]{1,189}\.[^@\s\x00-\x1f.]{2,63}")
#: How the reasons begin for which a relay or a bounce has set an address aside.
_CAME_BACK = ("smtp_", "bounced")
_UUID_BYTES = 16
_MARK_BYTES = 16


def add_email(session: Session, household_id: uuid.UUID, guardian: str, address: str) -> ContactPoint:
    """Store an e-mail address, not confirmed yet; the same address of the same guardian is one row.

    Raises:
        InvalidInput: it does not look like an address that mail could reach.
        Conflict: the household is protected and anybody in it gave this address before that.
    """
    return _add(session, household_id, guardian, "email", normalised_email(address))


def add_line(session: Session, household_id: uuid.UUID, guardian: str, user_id: str) -> ContactPoint:
    """Store a LINE-style user id, as account linking returned it. Refused as in `add_email`."""
    if not re.fullmatch(r"U[0-9a-f]{32}", user_id):
        raise InvalidInput("this is not a LINE user id; expected U and 32 hexadecimal digits", field="line")
    return _add(session, household_id, guardian, "line", user_id)


def normalised_email(address: str) -> str:
    """Return the address as it is compared and sealed: half-width, without blanks around it, domain in lower case."""
    cleaned = unicodedata.normalize("NFKC", address).strip()
    if not _ADDRESS.fullmatch(cleaned) or len(cleaned) > 254:
        raise InvalidInput("this is not an e-mail address; expected something like name@example.jp", field="email")
    local, _, domain = cleaned.rpartition("@")
    return f"{local}@{domain.lower()}"


def address_of(contact: ContactPoint) -> str:
    """Open the sealed address."""
    return unseal(contact.address_sealed, "contact_points", "address", contact.id)


def find_by_email(session: Session, address: str) -> list[ContactPoint]:
    """Return the confirmed contact points with this address, in any household: for signing in, nothing else.

    Whether one of them may still open its inbox can be seen only in its household: ask `is_own` or `prove` there.
    """
    rows = session.execute(
        text("SELECT id, household_id FROM find_contact_points(:wanted) WHERE confirmed_at IS NOT NULL"),
        {"wanted": blind_index(normalised_email(address), "email")},
    )
    return [ContactPoint(id=row.id, household_id=row.household_id) for row in rows]  # type: ignore[call-arg]


def start_confirmation(session: Session, contact: ContactPoint, browser_token: str) -> str:
    """Make a six-digit code for a contact point: single use, ten minutes, for the browser that asked.

    Returns:
        the code, which goes into one mail and is kept nowhere in the clear.
    """
    code = f"{secrets.randbelow(1_000_000):06d}"
    row = ContactConfirmation(
        contact_point_id=contact.id,
        household_id=contact.household_id,
        municipality_code=contact.municipality_code,
        code_digest=b"",
        browser_digest=sha256(browser_token.encode()).digest(),
        expires_at=clock.real_now() + CODE_LIFETIME,
    )
    row.code_digest = blind_index(code, f"confirmation:{row.id}")
    session.add(row)
    return code


def confirm(session: Session, contact_point_id: uuid.UUID, code: str, browser_token: str) -> bool:
    """Confirm a contact point with the code that was sent to it; from now on messages may go to it (again).

    A wrong code uses up one of five attempts. The caller commits in either case, so that a wrong attempt counts.

    Returns:
        True when the contact is confirmed now; False when the code is wrong, used, too old or from another browser,
        and for a contact that a protected household had before its protection.
    """
    found = _contact_and_gate(session, contact_point_id)
    if (
        found is None
        or _known_before_protection(*found)
        or not _take_code(session, contact_point_id, code, browser_token)
    ):
        return False
    contact = found[0]
    contact.confirmed_at = clock.now()
    contact.suspended_at = contact.suspended_reason = None
    session.add(contact)
    return True


def prove(session: Session, contact_point_id: uuid.UUID, code: str, browser_token: str) -> bool:
    """Check a code for signing in, counted as in `confirm`. The contact stays as it is: what was stopped stays stopped.

    Returns:
        True when the code is right and the contact is its guardian's own (`is_own`).
    """
    found = _contact_and_gate(session, contact_point_id)
    return found is not None and is_own(*found) and _take_code(session, contact_point_id, code, browser_token)


def is_own(contact: ContactPoint, household: Household) -> bool:
    """Whether an address counts as its guardian's alone: confirmed, and where protection was raised, after it."""
    confirmed_at = contact.confirmed_at
    return confirmed_at is not None and (household.protected_at is None or confirmed_at > household.protected_at)


def usable_contacts(session: Session, household: Household) -> list[ContactPoint]:
    """Return the contacts that a message may go to, best first; under protection only those confirmed after it."""
    rows = session.exec(select(ContactPoint).where(ContactPoint.household_id == household.id))
    return usable_contacts_of(household, rows)


def usable_contacts_of(household: Household, contacts: Iterable[ContactPoint]) -> list[ContactPoint]:
    """Return those of a household's contacts that a message may go to, best first."""
    return sorted(
        (contact for contact in contacts if contact.suspended_at is None and is_own(contact, household)),
        key=lambda contact: (contact.preference, contact.id),
    )


def unsubscribe_token(household_id: uuid.UUID, contact_point_id: uuid.UUID) -> str:
    """Return the opaque, unforgeable token of a contact's one-click unsubscribe address."""
    body = household_id.bytes + contact_point_id.bytes
    return base64.urlsafe_b64encode(body + _mark(body)).decode().rstrip("=")


def read_unsubscribe_token(token: str) -> tuple[uuid.UUID, uuid.UUID]:
    """Return (household id, contact point id) of a token.

    Raises:
        NotFound: it was not made by us.
    """
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (binascii.Error, ValueError):
        raw = b""
    body, mark = raw[: 2 * _UUID_BYTES], raw[2 * _UUID_BYTES :]
    if len(raw) != 2 * _UUID_BYTES + _MARK_BYTES or not hmac.compare_digest(mark, _mark(body)):
        raise NotFound("this unsubscribe address was not made by Todoke")
    return uuid.UUID(bytes=body[:_UUID_BYTES]), uuid.UUID(bytes=body[_UUID_BYTES:])


def set_aside(session: Session, contact: ContactPoint, reason: str) -> None:
    """Send nothing more to a contact until it is confirmed again."""
    contact.suspended_at = clock.now()
    contact.suspended_reason = reason
    session.add(contact)


def mail_came_back(contact: ContactPoint) -> bool:
    """Whether a contact is set aside because mail to it came back, not because somebody wanted none."""
    return contact.suspended_at is not None and (contact.suspended_reason or "").startswith(_CAME_BACK)


def known_to_come_back(session: Session, address: str) -> bool:
    """Whether mail to this address has come back, whoever gave it: found by its digest, nothing is opened.

    Confirming the address again proves that mail arrives; until then nothing but that code goes to it.
    """
    reasons = session.execute(
        text("SELECT suspended_reason FROM find_contact_points(:wanted) WHERE suspended_at IS NOT NULL"),
        {"wanted": blind_index(normalised_email(address), "email")},
    ).scalars()
    return any((reason or "").startswith(_CAME_BACK) for reason in reasons)


def _add(session: Session, household_id: uuid.UUID, guardian: str, kind: str, address: str) -> ContactPoint:
    household = _gate(session, household_id)
    if household is None:
        raise NotFound("this household is not stored, or not visible here")
    index = blind_index(address, kind)
    for known in session.exec(select(ContactPoint).where(ContactPoint.household_id == household_id)):
        # Most mailboxes read upper and lower case as one, so a known one cannot come back in capitals.
        if _known_before_protection(known, household) and address_of(known).casefold() == address.casefold():
            raise Conflict(
                "this address was given before the protection; expected one that nobody knew then", field=kind
            )
        if (known.guardian, known.address_index) == (guardian, index):
            return known
    contact = new_contact(household, guardian, kind, address)
    session.add(contact)
    session.flush()
    return contact


def new_contact(household: Household, guardian: str, kind: str, address: str) -> ContactPoint:
    """Return a contact point, sealed and not confirmed yet, made at an instant of the clock that protection uses."""
    contact_id = new_id()
    return ContactPoint(
        id=contact_id,
        household_id=household.id,
        municipality_code=household.municipality_code,
        guardian=guardian,
        kind=kind,
        address_sealed=seal(address, "contact_points", "address", contact_id),
        address_index=blind_index(address, kind),
        created_at=clock.now(),
    )


def _mark(body: bytes) -> bytes:
    return blind_index(body.hex(), "unsubscribe")[:_MARK_BYTES]


def _take_code(session: Session, contact_point_id: uuid.UUID, code: str, browser_token: str) -> bool:
    """Use up the latest code of a contact, or one attempt at it."""
    row = session.exec(
        select(ContactConfirmation)
        .where(ContactConfirmation.contact_point_id == contact_point_id)
        .order_by(ContactConfirmation.id.desc())  # type: ignore[attr-defined]
        .limit(1)
        .with_for_update()
    ).one_or_none()
    if row is None or row.used_at is not None or row.attempts_left <= 0 or row.expires_at <= clock.real_now():
        return False
    row.attempts_left -= 1
    session.add(row)
    same_browser = hmac.compare_digest(row.browser_digest, sha256(browser_token.encode()).digest())
    digits = unicodedata.normalize("NFKC", code).strip()
    if not same_browser or not hmac.compare_digest(row.code_digest, blind_index(digits, f"confirmation:{row.id}")):
        return False
    row.used_at = clock.real_now()
    return True


def _known_before_protection(contact: ContactPoint, household: Household) -> bool:
    return household.protected_at is not None and contact.created_at <= household.protected_at


def _contact_and_gate(session: Session, contact_point_id: uuid.UUID) -> tuple[ContactPoint, Household] | None:
    contact = session.get(ContactPoint, contact_point_id)
    household = _gate(session, contact.household_id) if contact is not None else None
    return (contact, household) if contact is not None and household is not None else None


def _gate(session: Session, household_id: uuid.UUID) -> Household | None:
    """Return the household as it is now, held until the end of the transaction.

    Protection waits for what began before it, and what begins after it sees it.
    """
    return session.exec(
        select(Household)
        .where(Household.id == household_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).one_or_none()
