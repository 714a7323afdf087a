"""The cast: named example households and generated ones, stored with consent, contacts and app links."""

import datetime as dt
import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import yaml

from app.accounts.sign_in import create_link
from app.accounts.tables import StaffAccount
from app.households.enrolment import GUARDIAN, Enrolment, enrol
from app.households.synthetic import synthetic_households
from app.partners.endpoints import register_endpoint
from app.partners.registration import register_partner
from app.platform.database import Context, app_session, owner_session
from app.platform.identifiers import new_id
from app.platform.rendering import phrases
from app.platform.settings import settings
from app.safeguards.bereavement import stop_pushes_about
from app.safeguards.linking import link
from app.safeguards.protection import protect
from app.safeguards.withdrawal import withdraw

_BATCH = 500
_SHARING = "share:partner"
_CHANNELS_IN_TURN = ("webhook", "email", "line")
_GENERATED_PURPOSES = ("matching:basic", "matching:income", "matching:single_parent", "matching:disability_health")
_STAFF_MUNICIPALITY = "131121"
_LINK_LIFETIME = dt.timedelta(days=1)


@dataclass(frozen=True)
class Role:
    """One named household of the demo, from `registry_data/demo/cast.yaml`."""

    name: str
    label: str
    channels: Sequence[str]
    purposes: Sequence[str]
    twin_of: str | None
    protected: bool
    withdrawn: bool
    stop: Mapping[str, str] | None
    document: Mapping[str, Any]


@dataclass(frozen=True)
class PartnerApp:
    """The sample partner app as Todoke knows it."""

    partner_id: uuid.UUID
    endpoint_id: uuid.UUID
    secret: str


def read_cast(directory: Path) -> list[Role]:
    """Read the cast and its household documents from a registry folder."""
    cast = yaml.safe_load((directory / "demo" / "cast.yaml").read_text(encoding="utf-8"))
    return [_role(directory, entry) for entry in cast["households"]]


def email_of(name: str) -> str:
    """Return the fictional address of a household; `.example` belongs to nobody (RFC 2606)."""
    return f"{name}@family.example"


def line_id_of(name: str) -> str:
    """Return the fictional LINE-style user id of a household."""
    return "U" + hashlib.sha256(name.encode()).hexdigest()[:32]


def register_sample_app(webhook_url: str) -> PartnerApp:
    """Register the sample partner app with one endpoint."""
    words = phrases("phrases/demo")
    partner_id = new_id()
    with app_session(Context(partner=partner_id)) as session:
        register_partner(session, partner_id, name=words["partner_name"], app_name=words["partner_app_name"])
        shown = register_endpoint(session, partner_id, webhook_url)
        session.commit()
    return PartnerApp(partner_id, shown.endpoint.id, shown.secret)


def store_named(roles: Sequence[Role], app: PartnerApp) -> dict[str, uuid.UUID]:
    """Store the named households; return their ids by name."""
    with owner_session() as session:
        ids = enrol(
            session,
            [
                Enrolment(
                    document=role.document,
                    purposes=[purpose for purpose in role.purposes if purpose != _SHARING],
                    contacts=_contacts(role.name, role.channels),
                    example_name=role.name,
                    source="example",
                )
                for role in roles
            ],
        )
        session.commit()
    named = {role.name: household_id for role, household_id in zip(roles, ids, strict=True)}
    for role in roles:
        if "webhook" in role.channels:
            link(named[role.name], app.partner_id, by=f"guardian:{GUARDIAN}", via="example")
    return named


def store_generated(count: int, app: PartnerApp, on: dt.date) -> int:
    """Store generated households, each with one channel in turn; return how many."""
    documents = synthetic_households(count, on=on)
    stored = 0
    while batch := list(islice(documents, _BATCH)):
        channels = [_CHANNELS_IN_TURN[(stored + position) % 3] for position in range(len(batch))]
        with owner_session() as session:
            ids = enrol(
                session,
                [
                    Enrolment(
                        document=document,
                        purposes=[*_GENERATED_PURPOSES, *([] if channel == "webhook" else [f"channel:{channel}"])],
                        contacts=_contacts(str(document["id"]), [channel]),
                        source="synthetic",
                    )
                    for document, channel in zip(batch, channels, strict=True)
                ],
            )
            session.commit()
        for household_id, channel in zip(ids, channels, strict=True):
            if channel == "webhook":
                link(household_id, app.partner_id, by=f"guardian:{GUARDIAN}", via="synthetic")
        stored += len(batch)
    return stored


def play_what_happened(roles: Sequence[Role], named: Mapping[str, uuid.UUID]) -> None:
    """Let happen what the cast says: consent withdrawn, protection raised, a loss recorded."""
    for role in roles:
        household_id = named[role.name]
        if role.withdrawn:
            withdraw(household_id, None, by=f"guardian:{GUARDIAN}", via="example")
        if role.protected:
            protect(household_id, by="staff:example", reason="example")
        if role.stop:
            stop_pushes_about(household_id, role.stop["subject"], reason=role.stop["reason"], by=f"guardian:{GUARDIAN}")


def sign_in_addresses(families: Mapping[str, uuid.UUID], app: PartnerApp) -> dict[tuple[str, str], str]:
    """Make single-use sign-in links for some families, a clerk of 世田谷区 and the sample app.

    Returns:
        addresses by (phrase of `templates/phrases/demo.yaml`, name of the family or empty).
    """
    addresses = {}
    for name, household_id in families.items():
        context = Context(household=household_id)
        addresses["address_of_family", name] = _link(context, "", household_id=household_id, guardian=GUARDIAN)
    staff = Context(municipality=_STAFF_MUNICIPALITY)
    with app_session(staff) as session:
        post = phrases("phrases/demo")["staff_post"]
        account = StaffAccount(municipality_code=_STAFF_MUNICIPALITY, post=post, role="editor")
        session.add(account)
        session.commit()
    addresses["address_of_staff", ""] = _link(
        staff, "/staff", staff_id=account.id, municipality_code=_STAFF_MUNICIPALITY
    )
    addresses["address_of_partner", ""] = _link(Context(partner=app.partner_id), "/partner", partner_id=app.partner_id)
    return addresses


def _link(context: Context, face: str, **who: Any) -> str:
    with app_session(context) as session:
        token = create_link(session, lifetime=_LINK_LIFETIME, **who)
        session.commit()
    return f"{settings().public_url}{face}/sign-in/{token}"


def _contacts(name: str, channels: Sequence[str]) -> list[tuple[str, str]]:
    addresses = {"email": email_of(name), "line": line_id_of(name)}
    return [(channel, addresses[channel]) for channel in channels if channel in addresses]


def _role(directory: Path, entry: Mapping[str, Any]) -> Role:
    document = yaml.safe_load((directory / "households" / f"{entry['id']}.yaml").read_text(encoding="utf-8"))
    return Role(
        name=entry["id"],
        label=entry["label_ja"],
        channels=entry["channels"],
        purposes=entry["consents"],
        twin_of=entry.get("twin_of"),
        protected=entry.get("protected", False),
        withdrawn=entry.get("withdrawn", False),
        stop=entry.get("stop"),
        document=document,
    )
