"""The audit: what a full evaluation would store is what is stored, and where it is not, it is found."""

import datetime as dt

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from app.cli import main
from app.households.synthetic import synthetic_households
from app.matching import audit
from app.matching.sweep import drain, queue_reviews
from app.platform import clock
from app.platform.change_queue import household_changed
from app.platform.database import Context, app_session, worker_session
from tests.conftest import DEMO_DAY
from tests.fixtures.factories import a_child, a_household, enrolled

SETAGAYA, KITA = "131121", "131172"


@pytest.fixture
def matched(published_registry):
    """A family whose rights are stored."""
    household_id = enrolled(a_household(SETAGAYA, [a_child("2026-11-05")]), contacts=())
    drain()
    return household_id


def tamper(statement: str, **values) -> None:
    with worker_session(Context(municipality=SETAGAYA)) as session:
        session.execute(text(statement), values)
        session.commit()


def test_what_increments_left_is_what_a_full_sweep_would_leave_today_and_months_later(published_registry, monkeypatch):
    monkeypatch.setattr(audit, "HOUSEHOLDS_AT_ONCE", 5)
    for document in synthetic_households(12, on=DEMO_DAY, municipality=SETAGAYA):
        enrolled(document, contacts=())
    drain()
    for days in (0, 8, 41, 130):
        clock.shift_to(clock.at_japan_time(DEMO_DAY + dt.timedelta(days=days), 11))
        queue_reviews()
        drain()
        found = audit.audit(SETAGAYA)
        assert (found.households, found.skipped, found.differences) == (12, 0, ()), days


def test_a_row_too_many_one_missing_and_one_that_says_otherwise(matched):
    tamper("UPDATE entitlements SET subject = 'child:c9' WHERE programme_key = '000000/child-allowance'")
    tamper(
        "UPDATE entitlements SET deadline_on = '2030-01-01', answer = jsonb_set(answer, '{amount}', '{\"yen\": 1}')"
        " WHERE programme_key = '130001/018-support'"
    )
    found = audit.audit(SETAGAYA)
    assert {(one.programme_key, one.subject, one.kind, one.fields) for one in found.differences} == {
        ("000000/child-allowance", "child:c9", "too many", ()),
        ("000000/child-allowance", "child:c1", "missing", ()),
        ("130001/018-support", "child:c1", "different", ("deadline_on", "answer")),
    }
    assert {one.household_id for one in found.differences} == {matched}


def test_repairing_queues_the_families_and_then_there_is_nothing_left_to_find(matched):
    tamper("DELETE FROM entitlements WHERE programme_key = '000000/child-allowance'")
    assert len(audit.audit(SETAGAYA, repair=True).differences) == 1
    drain()
    assert audit.audit(SETAGAYA).differences == ()


def test_what_changes_at_this_moment_is_no_difference(matched):
    tamper("DELETE FROM entitlements WHERE programme_key = '000000/child-allowance'")
    with worker_session() as session:
        household_changed(session, matched, SETAGAYA, "told something")
        session.commit()
    found = audit.audit(SETAGAYA)
    assert (found.skipped, found.differences) == (1, ())


def test_what_differs_is_looked_at_again_under_the_lock(matched, monkeypatch):
    tamper("DELETE FROM entitlements WHERE programme_key = '000000/child-allowance'")
    locked = []

    def repaired_meanwhile(session, code):
        lock(session, code)
        locked.append(code)
        tamper_again = (
            "INSERT INTO changes (household_id, municipality_code, reader, reason) VALUES (:id, :code, :r, :r)"
        )
        session.execute(text(tamper_again), {"id": matched, "code": code, "r": "matching"})

    lock = audit.lock_municipality
    monkeypatch.setattr(audit, "lock_municipality", repaired_meanwhile)
    assert audit.audit(SETAGAYA).differences == ()
    assert locked == [SETAGAYA]


def test_an_audit_is_due_once_a_week_and_staff_see_only_whether_it_was_clean(matched):
    assert audit.audit_due() == 1
    assert audit.audit_due() == 0
    with app_session(Context(municipality=SETAGAYA)) as session:
        assert session.execute(text("SELECT is_clean FROM audits")).scalars().all() == [True]
        for table in ("audit_counts", "audit_differences"):
            assert session.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() == 0
    with app_session(Context(municipality=KITA)) as session:
        assert session.execute(text("SELECT count(*) FROM audits")).scalar_one() == 0
    clock.shift_to(clock.now() + dt.timedelta(days=7))
    assert audit.audit_due() == 1


def test_the_command_lists_ids_alone_and_ends_with_one(matched):
    clean = CliRunner().invoke(main, ["audit", "--municipality", SETAGAYA])
    assert (clean.exit_code, clean.output) == (0, "131121: 1 households, 0 skipped, 0 differences\n")
    tamper("DELETE FROM entitlements WHERE programme_key = '000000/child-allowance'")
    found = CliRunner().invoke(main, ["audit", "--repair"])
    assert found.exit_code == 1
    assert found.output.splitlines() == [
        "131121: 1 households, 0 skipped, 1 differences",
        f"131121 {matched} 000000/child-allowance child:c1 missing",
        "1 households queued to be matched again",
    ]
