"""Changed households of many towns: evaluated together as alone, and stored only as they still are."""

import threading
import time

import pytest
from sqlalchemy import text
from sqlmodel import select

from app.households import profiles
from app.households.enrolment import Enrolment, enrol
from app.households.synthetic import synthetic_households
from app.matching import changed, sweep
from app.matching.sweep import drain
from app.matching.tables import Entitlement
from app.platform.change_queue import household_changed, programme_changed
from app.platform.database import Context, app_session, owner_session
from tests.conftest import DEMO_DAY
from tests.fixtures.factories import EVERYTHING

TOWNS = ("131121", "131172", "132012")
"""One with programmes of its own, one with a variant of a national one, one with neither."""


@pytest.fixture
def families(published_registry):
    """Two families in each of three towns, in the queue and not evaluated yet; the registry's own sweep is over."""
    drain()
    ids = {}
    with owner_session() as session:
        for code in TOWNS:
            documents = synthetic_households(2, on=DEMO_DAY, municipality=code, seed=int(code))
            ids[code] = enrol(session, [Enrolment(document, purposes=EVERYTHING) for document in documents])
        session.commit()
    return ids


def contents():
    with owner_session() as session:
        return sorted(
            (str(row.household_id), row.municipality_code, row.programme_key, row.subject, row.verdict, row.valid_from,
             str(row.valid_until), str(row.deadline_on), str(row.review_on), str(row.answer))
            for row in session.exec(select(Entitlement))
        )  # fmt: skip


def everybody_again(*statements):
    with owner_session() as session:
        for statement in statements:
            session.execute(text(statement))
        for household_id, code in session.execute(text("SELECT id, municipality_code FROM households")).all():
            household_changed(session, household_id, code, "again")
        session.commit()


def waiting():
    with owner_session() as session:
        rows = session.execute(text("SELECT household_id FROM changes WHERE reader = 'matching'"))
        return list(rows.scalars())


def save(household_id, **changes):
    with app_session(Context(household=household_id)) as session:
        row = profiles.read_document(session, household_id)
        document = {**row.document, **changes}
        profiles.save_document(
            session, household_id, document, expected_version=row.version, source="parent", by="guardian:g1"
        )
        session.commit()


@pytest.fixture
def meanwhile(monkeypatch):
    """Let something happen, once, between reading and storing."""
    evaluate_together = changed.evaluate_together

    def arrange(happens):
        waits = [happens]

        def evaluated(*arguments):
            found = evaluate_together(*arguments)
            while waits:
                waits.pop()()
            return found

        monkeypatch.setattr(changed, "evaluate_together", evaluated)

    return arrange


def test_towns_evaluated_together_have_the_rights_that_they_have_alone(families, monkeypatch):
    asked = []
    evaluate_together = changed.evaluate_together
    monkeypatch.setattr(
        changed, "evaluate_together", lambda *given: asked.append(list(given[1])) or evaluate_together(*given)
    )
    runs = drain()
    assert [(run.municipality_code, run.households) for run in runs] == [(code, 2) for code in TOWNS]
    assert asked == [list(TOWNS)], "one population"
    together = contents()
    assert {row[1] for row in together} == set(TOWNS)
    assert {row[2].partition("/")[0] for row in together if row[1] == "131172"} >= {"000000", "131172"}
    everybody_again("DELETE FROM entitlements")
    monkeypatch.setattr(changed, "HOUSEHOLDS_AT_ONCE", 1)
    assert [run.households for run in drain()] == [1] * 6
    assert contents() == together
    assert waiting() == []


def test_who_changes_between_reading_and_storing_is_evaluated_again(families, meanwhile):
    one = families["131172"][0]
    newborn = [{"id": "new", "birth_date": "2026-11-20"}]
    meanwhile(lambda: save(one, children=newborn))
    runs = drain()
    assert [(run.municipality_code, run.households) for run in runs] == [
        ("131121", 2), ("131172", 1), ("132012", 2), ("131172", 1),
    ]  # fmt: skip
    assert {row[3] for row in contents() if row[0] == str(one) and row[3].startswith("child:")} == {"child:new"}
    assert waiting() == []
    stored = contents()
    everybody_again("DELETE FROM entitlements")
    drain()
    assert contents() == stored


def test_who_moves_between_reading_and_storing_is_stored_in_the_new_town_alone(families, meanwhile):
    one = families["131121"][0]
    here = [{"municipality": "132012", "from": "2026-11-01"}]
    meanwhile(lambda: save(one, municipality="132012", residence=here))
    drain()
    assert {row[1] for row in contents() if row[0] == str(one)} == {"132012"}
    assert waiting() == []


def test_what_another_worker_stored_meanwhile_stays(families, meanwhile):
    def somebody_else():
        with owner_session() as session:
            session.execute(text("DELETE FROM changes WHERE municipality_code = '131121'"))
            session.commit()

    meanwhile(somebody_else)
    runs = drain()
    assert [run.municipality_code for run in runs] == ["131172", "132012"]
    assert "131121" not in {row[1] for row in contents()}


def test_nothing_is_stored_by_what_was_published_before(families, meanwhile):
    def publication():
        with owner_session() as session:
            programme_changed(session, "000000/child-allowance", "published")
            session.commit()

    meanwhile(publication)
    runs = drain()
    assert [run.reason for run in runs] == ["changed"] * 3 + ["published"] * 3
    with owner_session() as session:
        began = session.execute(text("SELECT max(started_at) FROM sweeps")).scalar_one()
        first = session.execute(text("SELECT min(evaluated_at) FROM entitlements")).scalar_one()
    assert first >= began
    assert waiting() == []


def waits_for_a_lock():
    with owner_session() as session:
        return session.execute(text(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')"
        )).scalar_one()  # fmt: skip


def test_a_sweep_that_ends_while_rights_are_stored_leaves_no_look_behind(families, monkeypatch):
    drain()
    with owner_session() as session:
        programme_changed(session, "000000/child-allowance", "published")
        session.commit()
    sweep._begin_sweep()
    everybody_again("UPDATE sweep_shards SET state = 'complete'", "DELETE FROM entitlements WHERE verdict = 'eligible'"
                    " AND programme_key <> '000000/child-allowance'", "UPDATE entitlements SET review_on = '2026-11-25'")  # fmt: skip
    ending = threading.Thread(target=sweep._settle_sweeps)
    record, queued = changed.record, []

    def record_and_end(session, *arguments):
        found = record(session, *arguments)
        if not queued:
            queued.extend(session.execute(text("SELECT reader FROM changes WHERE reader LIKE 'sweep:%'")).scalars())
            ending.start()
            give_up_at = time.monotonic() + 10
            while ending.is_alive() and not waits_for_a_lock() and time.monotonic() < give_up_at:
                time.sleep(0.02)
        return found

    monkeypatch.setattr(changed, "record", record_and_end)
    changed.drain(sweep._begin_sweep)
    ending.join()
    with owner_session() as session:
        states = session.execute(text("SELECT state FROM sweeps ORDER BY id DESC LIMIT 1")).scalar_one()
        readers = set(session.execute(text("SELECT reader FROM changes")).scalars())
    assert queued, "stored while the sweep still ran, so that a look waits for its end"
    assert states == "complete"
    assert readers == {"notices"}
