"""From a change to stored entitlements: who is evaluated, and what a row says."""

import datetime as dt
import random

import pytest
from sqlmodel import select

from app.households import consent, outcomes, profiles
from app.households.synthetic import synthetic_households
from app.matching import sweep
from app.matching.sweep import drain, queue_reviews
from app.matching.tables import Entitlement, EvaluationRun
from app.notices.announce import announce, release_due
from app.platform import clock
from app.platform.change_queue import household_changed
from app.platform.database import Context, app_session, owner_session
from app.registry.versions import publish
from tests.conftest import DEMO_DAY
from tests.fixtures.factories import a_child, a_household, enrolled


def stored(household_id=None):
    with owner_session() as session:
        statement = select(Entitlement)
        if household_id is not None:
            statement = statement.where(Entitlement.household_id == household_id)
        return list(session.exec(statement))


def evaluated():
    with owner_session() as session:
        return [run.households for run in session.exec(select(EvaluationRun))]


def contents():
    return sorted(
        (str(row.household_id), row.programme_key, row.subject, row.verdict, row.valid_from, str(row.valid_until),
         str(row.deadline_on), str(row.answer))
        for row in stored()
    )  # fmt: skip


def by_key(rows):
    return {(row.programme_key, row.subject): row for row in rows}


def test_a_newborn_in_setagaya(published_registry):
    household_id = enrolled(a_household(children=[a_child("2023-11-02"), a_child("2026-11-21")]))
    drain()
    rows = by_key(stored(household_id))
    allowance = rows["000000/child-allowance", "child:c2"]
    assert (allowance.verdict, allowance.valid_from) == ("eligible", dt.date(2026, 11, 21))
    assert allowance.valid_until == dt.date(2045, 3, 31)
    assert (allowance.answer["counted_on"], allowance.deadline_on) == ("2026-12-06", dt.date(2026, 12, 7))
    assert allowance.answer["cost_of_delay"] == 15000
    elder = rows["000000/child-allowance", "child:c1"]
    assert elder.answer["amount"] == {"yen": 15000, "per": "month"}
    assert elder.answer["steps"][0] == {"from": "2026-12-01", "yen": 10000, "per": "month"}
    assert rows["000000/birth-registration", "child:c2"].deadline_on == dt.date(2026, 12, 4)
    assert rows["130001/018-support", "child:c2"].answer["amount"] == {"yen": 5000, "per": "month"}


def test_a_future_right_is_stored_with_its_own_days_and_told_later(published_registry):
    household_id = enrolled(a_household(children=[a_child("2026-11-21")]))
    drain()
    measles = by_key(stored(household_id))["000000/measles-rubella-first", "child:c1"]
    assert (measles.verdict, measles.valid_from) == ("eligible", dt.date(2027, 11, 21))
    assert measles.announce_on > DEMO_DAY
    assert "2027年11月21日" in measles.answer["reason"]["ja"]


def test_one_changed_profile_evaluates_exactly_one_household(published_registry):
    first = enrolled()
    enrolled(contacts=())
    drain()
    before = evaluated()
    with app_session(Context(household=first)) as session:
        row = profiles.read_document(session, first)
        document = {**row.document, "children": [*row.document["children"], a_child("2026-11-01")]}
        profiles.save_document(session, first, document, expected_version=1, source="parent", by="guardian:g1")
        session.commit()
    drain()
    assert evaluated()[len(before) :] == [1]


def test_the_nightly_run_evaluates_nobody(published_registry):
    household_id = enrolled(a_household(children=[a_child("2025-12-20")]))
    drain()
    announce()
    runs = len(evaluated())
    measles = by_key(stored(household_id))["000000/measles-rubella-first", "child:c1"]
    assert measles.announced_at is None
    clock.shift_to(clock.at_japan_time(measles.announce_on, 9))
    told = announce()
    release_due()
    assert told.households == 1
    assert by_key(stored(household_id))["000000/measles-rubella-first", "child:c1"].announced_at is not None
    assert len(evaluated()) == runs


def test_evaluating_again_writes_nothing(published_registry):
    for document in synthetic_households(25, on=DEMO_DAY, municipality="131121"):
        enrolled(document, contacts=())
    drain()
    before = contents()
    with owner_session() as session:
        for household_id in {row.household_id for row in session.exec(select(Entitlement))}:
            household_changed(session, household_id, "131121", "again")
        session.commit()
    (run,) = drain()
    assert (run.entitlements_added, run.entitlements_changed, run.entitlements_removed) == (0, 0, 0)
    assert contents() == before


def test_increments_leave_the_same_rows_as_a_full_sweep(published_registry):
    chance = random.Random(20261124)
    ids = [enrolled(document, contacts=()) for document in synthetic_households(20, on=DEMO_DAY, municipality="131121")]
    drain()
    for household_id in chance.sample(ids, 12):
        with app_session(Context(household=household_id)) as session:
            row = profiles.read_document(session, household_id)
            document = {**row.document}
            change = chance.choice(["another child", "no facts", "single parent", "moved"])
            if change == "another child":
                document["children"] = [*document.get("children", []), {"id": "new", "birth_date": "2026-11-20"}]
            elif change == "no facts":
                document.pop("facts", None)
            elif change == "single parent":
                document["facts"] = {**document.get("facts", {}), "single_parent": True}
            else:
                document["municipality"] = "131172"
            profiles.save_document(
                session, household_id, document, expected_version=row.version, source="parent", by="guardian:g1"
            )
            session.commit()
        drain()
    incremental = contents()
    with owner_session() as session:
        for row in session.exec(select(Entitlement)):
            session.delete(row)
        for household_id in ids:
            with app_session(Context(household=household_id)) as own:
                code = profiles.read_document(own, household_id).municipality_code
            household_changed(session, household_id, code, "full sweep")
        session.commit()
    drain()
    assert contents() == incremental


def test_without_consent_there_is_nothing_and_withdrawal_removes_everything(published_registry):
    silent = enrolled(purposes=())
    speaking = enrolled()
    drain()
    assert stored(silent) == []
    assert stored(speaking)
    with app_session(Context(household=speaking)) as session:
        consent.withdraw(session, speaking, None, by="guardian:g1", via="web")
        session.commit()
    drain()
    assert stored(speaking) == []


def test_a_category_without_consent_is_unknown_and_not_false(published_registry):
    facts = {"single_parent": True, "public_assistance": False}
    child = a_child("2018-07-10", lives_with_guardian=True)
    guardians = [
        {"id": "g1", "facts": {"income_after_deductions": {"value": 1220000, "income_year": 2025}, "dependants": 1}}
    ]
    document = a_household("131211", [child], facts=facts, guardians=guardians, co_residents=[])
    told = enrolled(document)
    not_told = enrolled(document, purposes=("matching:basic", "matching:single_parent", "channel:email"))
    drain()
    full = by_key(stored(told))["000000/child-rearing-allowance", "child:c1"]
    assert (full.verdict, full.answer["amount"]) == ("eligible", {"yen": 44080, "per": "month"})
    partial = by_key(stored(not_told))["000000/child-rearing-allowance", "child:c1"]
    assert partial.verdict == "undetermined"
    assert "guardian.income_after_deductions" in [missing["fact"] for missing in partial.answer["missing"]]


def test_an_unknown_municipality_still_gets_national_programmes(published_registry):
    household_id = enrolled(a_household(in_municipality=None))
    drain()
    keys = {row.programme_key.split("/")[0] for row in stored(household_id) if row.verdict == "eligible"}
    assert keys == {"000000"}


def test_a_town_replaces_a_national_programme_in_its_own_area(published_registry):
    kita = enrolled(a_household("131172"))
    setagaya = enrolled(a_household("131121"))
    drain()
    assert ("131172/child-allowance", "child:c1") in by_key(stored(kita))
    assert ("000000/child-allowance", "child:c1") not in by_key(stored(kita))
    assert ("000000/child-allowance", "child:c1") in by_key(stored(setagaya))


def test_publishing_again_evaluates_nobody_and_a_changed_programme_evaluates_its_area(published_registry):
    enrolled(a_household("131121"))
    enrolled(a_household("131172"))
    drain()
    before = len(evaluated())
    with owner_session() as session:
        report = publish(session, published_registry, clock.now())
        session.commit()
    assert (report.added, report.changed) == ([], [])
    assert drain() == []
    key = ("131121/birth-cost-grant", published_registry.programmes["131121/birth-cost-grant"][-1].version)
    original = published_registry.written[key]
    published_registry.written[key] = {**original, "sensitive": True}
    try:
        with owner_session() as session:
            report = publish(session, published_registry, clock.now())
            session.commit()
    finally:
        published_registry.written[key] = original
    assert report.to_evaluate == {"131121/birth-cost-grant"}
    (run,) = drain()
    assert (run.municipality_code, run.programme_key, run.households) == ("131121", "131121/birth-cost-grant", 1)
    assert len(evaluated()) == before + 1


def test_a_changed_parameter_evaluates_the_programmes_that_name_it(published_registry):
    documents = published_registry.parameter_documents
    name = "child-allowance-under-three"
    original = documents[name]
    documents[name] = {**original, "label": "変えた名前"}
    try:
        with owner_session() as session:
            report = publish(session, published_registry, clock.now())
            session.commit()
    finally:
        documents[name] = original
    assert report.to_evaluate == {"000000/child-allowance", "131172/child-allowance"}


def test_outcomes_queue_an_evaluation_and_change_no_right(published_registry):
    household_id = enrolled()
    drain()
    before = contents()
    with app_session(Context(household=household_id)) as session:
        outcomes.record_outcome(
            session, household_id, "000000/child-allowance", "child:c1", "applied", by="guardian:g1"
        )
        session.commit()
    assert [run.households for run in drain()] == [1]
    assert contents() == before


@pytest.mark.parametrize("born", ["2024-02-29", "2021-04-01", "2021-04-02", "2021-03-31"])
def test_awkward_birthdays_are_stored(published_registry, born):
    household_id = enrolled(a_household(children=[a_child(born)]))
    drain()
    assert ("000000/child-allowance", "child:c1") in by_key(stored(household_id))


def test_what_was_not_told_before_its_deadline_is_told_as_it_is_afterwards(published_registry):
    household_id = enrolled(a_household(children=[a_child("2026-11-21")]))
    drain()
    before = by_key(stored(household_id))["000000/child-allowance", "child:c1"]
    assert (before.deadline_on, before.answer["pays_from"]) == (dt.date(2026, 12, 7), "2026-12")
    assert queue_reviews() == 0
    clock.shift_to(clock.at_japan_time(dt.date(2027, 1, 20), 9))
    assert queue_reviews() == 1
    drain()
    after = by_key(stored(household_id))["000000/child-allowance", "child:c1"]
    assert (after.deadline_on, after.answer["pays_from"]) == (None, "2027-02")
    announce()
    queue_reviews()
    drain()
    assert queue_reviews() == 0, "what was told is looked at no more"


def test_a_town_whose_reviews_fail_stops_no_other(published_registry, monkeypatch, caplog):
    families = [enrolled(a_household(code, [a_child("2026-11-21")])) for code in ("131121", "132012")]
    drain()
    clock.shift_to(clock.at_japan_time(dt.date(2027, 1, 20), 9))
    with monkeypatch.context() as patch:
        changed = sweep.household_changed

        def in_one_town_only(session, household_id, code, reason):
            if code == "131121":
                raise LookupError(f"secret of {household_id}")
            changed(session, household_id, code, reason)

        patch.setattr(sweep, "household_changed", in_one_town_only)
        assert queue_reviews() == 1
    assert "131121 failed" in caplog.text
    assert str(families[0]) not in caplog.text
    assert queue_reviews() == 2, "the town that failed is still to be looked at"
    assert {run.municipality_code for run in drain()} == {"131121", "132012"}
