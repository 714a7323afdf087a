"""Two posts in an office that write and approve, and a small programme of their own."""

import copy
import datetime as dt
from dataclasses import dataclass

import pytest

import app.households.tables  # noqa: F401 - rooms refer to each other's tables by name
from app.accounts.tables import StaffAccount
from app.platform.database import Context, app_session
from app.platform.identifiers import new_id
from app.registry.lifecycle import Editor

SETAGAYA = "131121"
NOW = dt.datetime(2026, 11, 24, 1, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Office:
    """An author and an approver of one municipality, as the services want them."""

    author: Editor
    approver: Editor

    @property
    def context(self):
        return context_of(self.author)

    @property
    def approving(self):
        return context_of(self.approver)


def context_of(editor):
    """On whose rows somebody acts, and who."""
    return Context(municipality=editor.municipality_code, staff=editor.account_id)


@pytest.fixture
def office(published_registry):
    return office_of(SETAGAYA)


def office_of(code):
    """Two posts of a municipality: one writes, one approves."""
    people = {role: Editor(new_id(), code) for role in ("editor", "approver")}
    with app_session(Context(municipality=code)) as session:
        for role, person in people.items():
            post = f"子ども課(架空) {role}"
            session.add(StaffAccount(id=person.account_id, municipality_code=code, post=post, role=role))
        session.commit()
    return Office(people["editor"], people["approver"])


def a_programme(first: str = "2026-04-01", yen: int = 3000, **more):
    """A whole, publishable document of a fictional support for children under six."""
    day = f"{int(first[:4])}-12-01"
    household = {"municipality": SETAGAYA, "guardians": [{"id": "g1"}]}
    born = f"{int(first[:4]) - 2}-05-05"
    document = {
        "id": "picture-book-money",
        "municipality": SETAGAYA,
        "name": {"ja": "えほん手当(架空)"},
        "summary": {"ja": "架空の手当です。"},
        "kind": "cash",
        "valid": {"from": first},
        "certainty": "verified",
        "sources": [{"url": "https://town.example/ehon", "title": "架空の案内", "checked_on": "2026-11-01"}],
        "subject": "child",
        "criteria": {"within": "child.birth_date", "until": "6y"},
        "amount": [{"yen": yen, "per": "month"}],
        "examples": [
            {
                "household": {**copy.deepcopy(household), "children": [{"id": "c1", "birth_date": born}]},
                "on": day,
                "expect": {"child:c1": {"verdict": "eligible", "amount": yen}},
            },
            {
                "household": {
                    **copy.deepcopy(household),
                    "children": [{"id": "c1", "birth_date": f"{int(first[:4]) - 7}-05-05"}],
                },
                "on": day,
                "expect": {"child:c1": {"verdict": "ineligible"}},
            },
        ],
    }
    return {**copy.deepcopy(document), **more}
