"""A limit and an income change later; what was decided before comes out again, to the yen."""

import copy
import dataclasses
import datetime as dt

import pytest

from app.households import consent, profiles
from app.matching.past_decisions import decide_again
from app.platform import clock
from app.platform.database import Context, app_session, owner_session
from app.platform.errors import InvalidInput, NotFound
from app.registry.versions import publish
from tests.conftest import DEMO_DAY
from tests.fixtures.factories import a_child, a_household, enrolled

ALLOWANCE = "000000/child-rearing-allowance"
LIMIT = "child-rearing-allowance-full-limit"


@pytest.fixture
def lone_parent(published_registry):
    facts = {"income_after_deductions": 1_000_000, "dependants": 1, "claimant": True}
    document = a_household(
        children=[a_child("2020-06-15")],
        guardians=[{"id": "g1", "facts": facts}],
        co_residents=[],
        facts={"single_parent": True},
    )
    return enrolled(document)


def decided(household_id, known_at, on=DEMO_DAY):
    with app_session(Context(municipality="131121", household=household_id)) as session:
        (answer,) = decide_again(session, household_id, ALLOWANCE, on, known_at).answers
    return answer.verdict, answer.amount.yen if answer.amount else None


def save(household_id, change):
    with app_session(Context(municipality="131121", household=household_id)) as session:
        row = profiles.read_document(session, household_id)
        document = copy.deepcopy(row.document)
        change(document)
        profiles.save_document(
            session, household_id, document, expected_version=row.version, source="parent", by="guardian:g1"
        )
        session.commit()


def with_lower_limit(registry):
    documents = copy.deepcopy(dict(registry.parameter_documents))
    for period in documents[LIMIT]["periods"]:
        period["table"] = [100_000 for _ in period["table"]]
    return dataclasses.replace(registry, parameter_documents=documents)


def test_a_past_decision_comes_out_as_it_was_decided(lone_parent, published_registry):
    before = clock.now()
    first = decided(lone_parent, before)
    assert first[0] == "eligible" and first[1] > 40_000
    clock.shift_to(before + dt.timedelta(days=10))
    with owner_session() as session:
        assert LIMIT in publish(session, with_lower_limit(published_registry), clock.now()).changed
        session.commit()
    limit_changed = clock.now()
    partial = decided(lone_parent, limit_changed)
    assert partial[0] == "eligible" and partial[1] < first[1]
    clock.shift_to(before + dt.timedelta(days=20))
    save(lone_parent, lambda document: document["guardians"][0]["facts"].update(income_after_deductions=9_000_000))
    assert decided(lone_parent, clock.now()) == ("ineligible", None)
    assert decided(lone_parent, limit_changed) == partial
    assert decided(lone_parent, before) == first


def test_a_consent_withdrawn_later_was_given_then(lone_parent):
    before = clock.now()
    clock.shift_to(before + dt.timedelta(days=1))
    with app_session(Context(municipality="131121", household=lone_parent)) as session:
        consent.withdraw(session, lone_parent, ["matching:income"], by="guardian:g1", via="page")
        session.commit()
    assert decided(lone_parent, clock.now())[0] == "undetermined"
    assert decided(lone_parent, before)[0] == "eligible"


def test_what_was_not_known_then_is_not_answered(lone_parent):
    long_ago = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    with pytest.raises(NotFound, match="nothing that this household had told"):
        decided(lone_parent, long_ago)
    with pytest.raises(InvalidInput, match="no version"):
        decided(lone_parent, clock.now(), on=dt.date(2001, 1, 1))
