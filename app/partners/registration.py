"""Registering a partner app (アプリ事業者)."""

import uuid

from sqlmodel import Session

from app.partners.tables import Partner
from app.platform.errors import InvalidInput, NotFound
from app.platform.sealing import seal, unseal

LONGEST_NAME = 100


def register_partner(
    session: Session, partner_id: uuid.UUID, *, name: str, app_name: str, contact: str | None = None
) -> Partner:
    """Write a new partner.

    Args:
        session: in the context of the new partner. Every context may read partners: the contact is sealed.
        partner_id: a new one, from `app.platform.identifiers`.
        name: the company or body.
        app_name: what parents see on the consent screen.
        contact: e-mail address of the technical contact.

    Raises:
        InvalidInput: a name is missing or too long, or the contact is no address.
    """
    partner = Partner(id=partner_id, name=_checked(name, "name"), app_name=_checked(app_name, "app_name"))
    if contact is not None:
        if contact.count("@") != 1 or any(letter.isspace() for letter in contact):
            raise InvalidInput("contact: expected one e-mail address", field="contact")
        partner.contact_sealed = seal(contact, "partners", "contact_sealed", partner.id)
    session.add(partner)
    session.flush()
    return partner


def partner_by_id(session: Session, partner_id: uuid.UUID) -> Partner:
    """Return a partner.

    Raises:
        NotFound: there is none with this id.
    """
    partner = session.get(Partner, partner_id)
    if partner is None:
        raise NotFound(f"found no partner {partner_id}; expected the id of a registered partner app")
    return partner


def contact_of(partner: Partner) -> str | None:
    """Return the e-mail address of the technical contact, if one was given."""
    if partner.contact_sealed is None:
        return None
    return unseal(partner.contact_sealed, "partners", "contact_sealed", partner.id)


def _checked(name: str, field: str) -> str:
    name = name.strip()
    if not 1 <= len(name) <= LONGEST_NAME:
        raise InvalidInput(f"{field}: found {len(name)} characters; expected between 1 and {LONGEST_NAME}", field=field)
    return name
