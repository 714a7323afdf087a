"""What an operator holds back goes nowhere while it is halted, and goes on afterwards; the rest is not touched."""

import datetime as dt
import json
import threading
import time

import pytest
from sqlalchemy import event, text
from sqlmodel import select
from typer.testing import CliRunner

from app.cli import main
from app.delivery.claim import Request, claim
from app.delivery.halting import hold, hold_back
from app.delivery.outbox import content_of
from app.delivery.tables import Delivery
from app.households.tables import Household
from app.matching.sweep import drain
from app.notices.announce import announce, release_due
from app.notices.recall import call_back, compose_what_is_halted
from app.notices.tables import Notice
from app.platform import clock
from app.platform.database import Context, owner_session, worker_session
from app.platform.errors import Conflict, NotFound
from app.platform.halt_kinds import HaltKind
from app.platform.settings import settings
from app.safeguards.halts import halt, resume
from tests.fixtures.factories import a_child, a_household, a_linked_app, enrolled

FAMILY = a_household(children=[a_child("2026-11-10")], facts={"single_parent": False, "public_assistance": False})
ALLOWANCE = "000000/child-allowance"


@pytest.fixture
def family(published_registry, monkeypatch):
    """A family with a newborn and a linked app, not told of anything yet."""
    monkeypatch.setattr(settings().outbound, "allowed_private", ["127.0.0.0/8"])
    household_id = enrolled(FAMILY)
    partner_id, _, _ = a_linked_app(household_id, "http://127.0.0.1:9/hook")
    drain()
    return household_id, str(partner_id)


def live(household_id):
    with owner_session() as session:
        rows = session.exec(
            select(Delivery).where(Delivery.household_id == household_id, Delivery.state != "cancelled")
        )
        return {row.channel: row for row in rows if row.event_type.startswith("notice.")}


def told(household_id):
    with owner_session() as session:
        rows = session.exec(select(Notice).where(Notice.household_id == household_id, Notice.state == "released"))
        return {row.programme_key for row in rows}


def claim_now():
    with worker_session() as session:
        rows = claim(session, clock.now(), Request(free={"webhook": 50, "email": 50, "line": 50}))
        session.rollback()
    return rows


def claimed():
    return {row.channel for row in claim_now()}


@pytest.mark.parametrize("kind", ["channel", "partner", "municipality"])
def test_what_is_queued_waits_and_goes_on(family, kind):
    household_id, partner_id = family
    announce()
    assert claimed() == {"webhook", "email"}
    name, held = {
        "channel": ("email", {"email"}),
        "partner": (partner_id, {"webhook"}),
        "municipality": ("131121", {"email", "webhook"}),
    }[kind]
    assert halt(HaltKind(kind), name, "wrong text") >= len(held)
    assert claimed() == {"webhook", "email"} - held
    assert {row.state for row in live(household_id).values()} == {"scheduled"}
    assert resume(HaltKind(kind), name) >= len(held)
    assert claimed() == {"webhook", "email"}


def test_the_claim_itself_holds_back_what_was_queued_during_a_halt(family):
    halt(HaltKind.CHANNEL, "email", "relay is down")
    announce()
    with worker_session() as session:
        rows = claim(session, clock.now(), Request(free={"webhook": 50, "email": 50}))
        session.commit()
    assert {row.channel for row in rows} == {"webhook"}
    assert live(family[0])["email"].halt_id is not None
    assert resume(HaltKind.CHANNEL, "email") == 1


def test_nothing_is_planned_in_a_halted_municipality(family):
    household_id, _ = family
    halt(HaltKind.MUNICIPALITY, "131121", "asked by the town")
    announce()
    assert not told(household_id) and not live(household_id)
    resume(HaltKind.MUNICIPALITY, "131121")
    announce()
    assert told(household_id) and live(household_id)


def test_a_halted_programme_is_told_to_nobody_until_it_goes_on(family):
    household_id, _ = family
    halt(HaltKind.PROGRAMME, ALLOWANCE, "amount is wrong")
    announce()
    first = told(household_id)
    assert first and ALLOWANCE not in first
    resume(HaltKind.PROGRAMME, ALLOWANCE)
    announce()
    clock.shift_to(clock.now() + dt.timedelta(days=1))  # one message a day
    release_due()
    assert ALLOWANCE in told(household_id)


def test_a_message_that_tells_of_a_halted_programme_is_composed_anew_without_it(family):
    household_id, _ = family
    announce()
    before = live(household_id)["email"]
    assert "児童手当" in content_of(before.id, before.message_sealed)["text"]
    assert halt(HaltKind.PROGRAMME, ALLOWANCE, "amount is wrong") >= 1
    assert before.id not in {row.id for row in claim_now()} and live(household_id)["email"].halt_id is not None
    release_due()
    after = live(household_id)
    mail = content_of(after["email"].id, after["email"].message_sealed)
    assert "児童手当\n" not in mail["text"] and ALLOWANCE not in after["email"].programme_keys
    assert json.loads(content_of(after["webhook"].id, after["webhook"].message_sealed)["body"])["data"]["sequence"] == 1
    resume(HaltKind.PROGRAMME, ALLOWANCE)
    clock.shift_to(clock.now() + dt.timedelta(days=1))
    release_due()
    with owner_session() as session:
        again = session.exec(
            select(Notice).where(Notice.programme_key == ALLOWANCE, Notice.kind == "new_support")
        ).all()
    assert {row.state for row in again} == {"released"}


def test_what_is_unknown_or_halted_already_is_refused_by_name(family):
    with pytest.raises(NotFound, match="expected one of 3: email, line, webhook"):
        halt(HaltKind.CHANNEL, "fax", "?")
    halt(HaltKind.CHANNEL, "line", "quota")
    with pytest.raises(Conflict, match="quota"):
        halt(HaltKind.CHANNEL, "line", "again")
    with pytest.raises(NotFound, match="halted now: channel line"):
        resume(HaltKind.CHANNEL, "email")


def test_operators_halt_and_resume_from_the_command_line(family):
    def run(*arguments):
        return CliRunner().invoke(main, ["halt", *arguments])

    announce()
    assert "1 queued messages wait" in run("begin", "channel", "email", "--reason", "wrong text").output
    assert "channel email" in run("list").output
    assert run("begin", "channel", "fax", "--reason", "?").exit_code == 2
    assert "1 messages that waited are due" in run("end", "channel", "email").output
    assert "nothing is held back" in run("list").output


def test_a_digest_that_is_due_later_is_composed_anew_too_so_that_the_rest_is_not_late(family):
    household_id, _ = family
    announce()
    change(household_id, state="retrying", requests=1, next_attempt_at=clock.now() + dt.timedelta(hours=5))
    halt(HaltKind.PROGRAMME, ALLOWANCE, "amount is wrong")
    seen = {row.id: row for row in rows_of(household_id)}
    release_due()
    mail = live(household_id)["email"]
    assert mail.id not in seen and mail.notice_ids and ALLOWANCE not in mail.programme_keys
    assert told(household_id) and ALLOWANCE not in told(household_id)
    # An app may have seen an attempt of its event; that one waits, and the next one follows it by its sequence.
    kept = [row for row in rows_of(household_id) if row.channel == "webhook" and ALLOWANCE in row.programme_keys]
    assert [(row.id in seen, row.state, row.halt_id is not None) for row in kept] == [(True, "retrying", True)]
    resume(HaltKind.PROGRAMME, ALLOWANCE)
    assert kept[0].id in {row.id for row in claim_now()}


def test_the_end_of_a_notice_waits_for_the_end_of_a_halt_and_then_goes_out(family):
    household_id, partner_id = family
    announce()
    with owner_session() as session:
        row = session.exec(select(Delivery).where(Delivery.event_type == "notice.created")).first()
        row.event_type = "notice.cancelled"
        session.add(row)
        session.commit()
    assert row.programme_keys
    halt(HaltKind.PROGRAMME, row.programme_keys[0], "rule is wrong")
    release_due()
    assert row.id not in {one.id for one in claim_now()}
    resume(HaltKind.PROGRAMME, row.programme_keys[0])
    assert row.id in {one.id for one in claim_now()}


def test_a_halt_is_in_force_at_once_while_households_are_being_planned(family):
    """The kill switch waits for nobody; composing anew comes after the planner, never across it."""
    household_id, _ = family
    announce()
    with worker_session(Context(municipality="131121")) as planner:
        planner.exec(select(Household).where(Household.id == household_id).with_for_update(key_share=True)).one()
        notices = planner.exec(select(Notice).where(Notice.household_id == household_id)).all()
        told_already = [notice.id for notice in notices if notice.state == "released"]
        for notice in notices:
            notice.state = "superseded"
            planner.add(notice)
        planner.flush()
        assert halt(HaltKind.PROGRAMME, ALLOWANCE, "amount is wrong") >= 1
        composing = threading.Thread(target=compose_what_is_halted)
        composing.start()
        wait_for_a_lock()
        call_back(planner, household_id, told_already, "superseded")
        planner.commit()
    composing.join(10)
    assert not composing.is_alive() and not live(household_id) and not told(household_id)


def wait_for_a_lock():
    for _ in range(200):
        with owner_session() as session:
            if session.execute(text("SELECT count(*) FROM pg_locks WHERE NOT granted")).scalar_one():
                return
        time.sleep(0.02)
    raise AssertionError("nobody waits for the planner")


def test_what_a_claim_held_while_the_halt_ended_is_let_go_by_the_next_release(family):
    household_id, _ = family
    announce()
    halt(HaltKind.CHANNEL, "email", "wrong text")
    held = live(household_id)["email"]
    resume(HaltKind.CHANNEL, "email")
    with worker_session() as session:
        hold(session, held.halt_id, [held.id])
        session.commit()
    assert claimed() == {"webhook"}
    release_due()
    assert claimed() == {"webhook", "email"}


def test_all_halts_in_force_cost_the_sweep_one_look_at_the_rows(family):
    for kind, name in ((HaltKind.CHANNEL, "line"), (HaltKind.PARTNER, family[1]), (HaltKind.PROGRAMME, ALLOWANCE)):
        halt(kind, name, "test")
    halt(HaltKind.MUNICIPALITY, "131121", "test")
    statements = []
    with worker_session() as session:
        event.listen(session.connection(), "before_cursor_execute", lambda *args: statements.append(args[2]))
        hold_back(session, clock.now())
    assert sum("FROM deliveries" in statement for statement in statements) == 1


def rows_of(household_id):
    with owner_session() as session:
        rows = session.exec(select(Delivery).where(Delivery.household_id == household_id).order_by(Delivery.id)).all()
    return [row for row in rows if row.event_type.startswith("notice.")]


def change(household_id, **values):
    with owner_session() as session:
        for row in session.exec(select(Delivery).where(Delivery.household_id == household_id)):
            for name, value in values.items():
                setattr(row, name, value)
            session.add(row)
        session.commit()
