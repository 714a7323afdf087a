"""Changing a partner's technical contact: a new address counts once somebody who reads its mail has agreed.

What was asked for is not a row but sealed in the link that the mail carries, with what it replaces. So a link is good
for one change, and for none after another one; sealed, it names nobody in an address bar or a log.
"""

import base64
import datetime as dt
import hashlib
import json
import uuid
from dataclasses import dataclass, field
from typing import Final

from sqlmodel import Session, select

from app.partners.tables import Partner
from app.platform.errors import Misconfigured, NotFound
from app.platform.sealing import seal, unseal

LIFETIME: Final = dt.timedelta(hours=24)
_PLACE: Final = ("partners", "contact_change")


@dataclass(frozen=True, slots=True)
class AskedContact:
    """A change that can still be agreed to."""

    partner: Partner
    address: str = field(repr=False)


def contact_token(partner: Partner, address: str, *, at: dt.datetime) -> str:
    """Return what the link to agree ends with; good for 24 hours of real time."""
    asked = {"address": address, "until": (at + LIFETIME).isoformat(), "replaces": _mark(partner)}
    sealed = seal(json.dumps(asked), *_PLACE, partner.id)
    return f"{partner.id.hex}.{base64.urlsafe_b64encode(sealed).rstrip(b'=').decode()}"


def read_contact_token(session: Session, token: str, *, at: dt.datetime) -> AskedContact:
    """Return the change that a token stands for; looking consumes nothing.

    Raises:
        NotFound: forged, out of time, used, or another change came first; they are not told apart.
    """
    refused = NotFound("this link was used, is out of time or never existed; ask for the change again")
    try:
        partner_id, sealed = uuid.UUID(token[:32]), base64.urlsafe_b64decode(token[33:] + "==")
        asked = json.loads(unseal(sealed, *_PLACE, partner_id))
    except (ValueError, Misconfigured):  # the second: a forger may name a key that we never had
        raise refused from None
    partner = session.exec(select(Partner).where(Partner.id == partner_id)).first()
    if partner is None or at >= dt.datetime.fromisoformat(asked["until"]) or asked["replaces"] != _mark(partner):
        raise refused
    return AskedContact(partner, asked["address"])


def _mark(partner: Partner) -> str:
    """Name the contact as it is now: sealing the same address again gives other bytes."""
    return hashlib.sha256(partner.contact_sealed or b"").hexdigest()
