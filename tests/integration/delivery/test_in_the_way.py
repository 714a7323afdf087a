"""Who holds a lock delays nobody else, and nobody's words stand in an error."""

import pytest
from psycopg.errors import DeadlockDetected
from sqlalchemy import text
from sqlalchemy.exc import OperationalError, ProgrammingError

from app.delivery import dispatch
from app.delivery.claim import Request, claim
from app.platform import clock
from app.platform.database import owner_session, worker_session
from tests.integration.delivery.conftest import wait_for


def test_families_that_are_being_planned_do_not_hold_up_those_behind_them(world):
    endpoint = world.endpoint()
    gates = [world.household() for _ in range(40)]
    ids = world.enqueue(*[world.webhook(endpoint, gate) for gate in gates])
    with owner_session() as planner, worker_session() as session:
        planner.execute(
            text("SELECT FROM households WHERE id = ANY(:ids) FOR NO KEY UPDATE"),
            {"ids": [gate.household_id for gate in gates[:20]]},
        )
        claimed = claim(session, clock.now(), Request(free={"webhook": 20}))
        session.rollback()
        planner.rollback()
    assert {row.id for row in claimed} == set(ids[20:])


def test_results_are_recorded_once_more_after_a_deadlock(world, monkeypatch):
    (delivery,) = world.enqueue(world.webhook(world.endpoint()))
    real, failed = dispatch.record, []

    def record_in_a_deadlock(*arguments):
        if arguments[1] and not failed:
            failed.append(True)
            raise OperationalError("UPDATE", {}, DeadlockDetected("deadlock detected"))
        return real(*arguments)

    monkeypatch.setattr(dispatch, "record", record_in_a_deadlock)
    world.dispatcher().run_window()
    wait_for(lambda: world.delivery(delivery).state == "delivered")
    assert failed and world.delivery(delivery).requests == 1


def test_an_error_of_the_database_names_no_value(world):
    statement = text("SELECT no_such_column WHERE 'x' = :income")
    with worker_session() as session, pytest.raises(ProgrammingError) as broken:
        session.execute(statement, {"income": "4567891 yen"})
    assert "4567891" not in str(broken.value)
