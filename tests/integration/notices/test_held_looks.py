"""What a family lost or what changed while a programme was held is told when its hold ends, whoever held it."""

import datetime as dt
import uuid

import pytest
from sqlalchemy import text

from app.matching.quarantine import set_aside
from app.notices import announce as announcing
from app.notices import expiry
from app.notices.announce import announce, release_due
from app.notices.expiry import expire_due
from app.notices.rows import OVERVIEW
from app.platform.change_queue import rights_changed
from app.platform.clock import now
from app.platform.database import owner_session, worker_session
from app.platform.halt_kinds import HaltKind
from app.safeguards import halts
from tests.fixtures.factories import a_linked_app, enrolled
from tests.integration.notices.telling import NEWBORN, SINGLE_PARENT, arrived, at, messages, notices, tell

ALLOWANCE = "000000/child-allowance"


@pytest.fixture
def family(world):
    """A family that was told of everything, on the day before a campaign or a halt."""
    household_id = enrolled(NEWBORN)
    tell()
    release_due()
    arrived(household_id)
    return household_id


def changed(statement, **values):
    with owner_session() as session:
        session.execute(text(statement), values)
        session.commit()


def lose(household_id):
    changed(
        "DELETE FROM entitlements WHERE household_id = :id AND programme_key = :key", id=household_id, key=ALLOWANCE
    )
    look(household_id)


def look(household_id):
    with owner_session() as session:
        rights_changed(session, household_id, "131121")
        session.commit()


def a_campaign(state):
    changed(
        "INSERT INTO campaigns (id, sweep_id, programme_key, municipality_code, state, looked_at_on, begun_at, figures)"
        " VALUES (:id, :id, :key, '000000', :state, '2026-11-22', now(), '{}')",
        id=uuid.uuid4(), key=ALLOWANCE, state=state,
    )  # fmt: skip


def a_halt():
    halts.halt(HaltKind.PROGRAMME, ALLOWANCE, "amount is wrong")


def a_quarantine():
    changed(
        "INSERT INTO quarantined_programmes (programme_key, registry_fingerprint, error_class, error_text, since)"
        " VALUES (:key, 'x', 'ValueError', 'rules', now())",
        key=ALLOWANCE,
    )  # fmt: skip


HOLDS = {
    "halt": (a_halt, lambda: halts.resume(HaltKind.PROGRAMME, ALLOWANCE)),
    "paused": (lambda: a_campaign("paused"), lambda: changed("UPDATE campaigns SET state = 'approved' WHERE state = 'paused'")),
    "rejected": (
        lambda: a_campaign("rejected"),
        lambda: changed("UPDATE campaigns SET state = 'superseded' WHERE state = 'rejected'"),
    ),
    "quarantine": (a_quarantine, lambda: changed("DELETE FROM quarantined_programmes")),
}  # fmt: skip


def losses(household_id):
    return [one for one in notices(household_id, programme_key=ALLOWANCE) if one.occasion.startswith("ended/")]


@pytest.mark.parametrize("held", HOLDS)
def test_a_loss_while_a_programme_is_held_is_told_when_it_goes_on(family, held):
    hold, let_go = HOLDS[held]
    hold()
    lose(family)
    announce()
    look(family)
    announce()
    assert losses(family) == []
    told = notices(family, programme_key=ALLOWANCE, kind="new_support")
    assert {one.state for one in told} == {"released"}, "nothing is taken back meanwhile"
    let_go()
    announce()
    assert {one.subject for one in losses(family)} == {one.subject for one in told}


def test_a_correction_during_a_halt_is_told_when_it_goes_on(family):
    a_halt()
    changed(
        "UPDATE entitlements SET answer = jsonb_set(answer, '{amount}', '{\"yen\": 100, \"per\": \"month\"}')"
        " WHERE household_id = :id AND programme_key = :key",
        id=family, key=ALLOWANCE,
    )  # fmt: skip
    look(family)
    announce()
    assert notices(family, programme_key=ALLOWANCE, kind="correction") == []
    halts.resume(HaltKind.PROGRAMME, ALLOWANCE)
    announce()
    assert notices(family, programme_key=ALLOWANCE, kind="correction")


@pytest.mark.parametrize("state", ["paused", "rejected"])
def test_a_family_is_reminded_of_what_it_was_told_before_a_campaign_held_it(family, state):
    (first, *_) = notices(family, programme_key=ALLOWANCE, kind="deadline_reminder")
    assert first.state == "planned"
    a_campaign(state)
    at(first.release_at.date().isoformat(), 18)
    release_due()
    at((first.release_at.date() + dt.timedelta(days=1)).isoformat(), 18)
    release_due()
    (after,) = [one for one in notices(family) if one.id == first.id]
    assert after.state == "released"


def test_a_reminder_waits_for_the_end_of_a_halt(family):
    (first, *_) = notices(family, programme_key=ALLOWANCE, kind="deadline_reminder")
    a_halt()
    at(first.release_at.date().isoformat(), 18)
    release_due()
    assert [one.state for one in notices(family) if one.id == first.id] == ["planned"]


def test_release_does_not_read_what_is_held_again_and_again(world):
    at("2026-11-22", 23)
    household_id = enrolled(NEWBORN)
    tell()
    changed(
        "INSERT INTO campaigns (id, sweep_id, programme_key, municipality_code, state, looked_at_on, begun_at)"
        " SELECT gen_random_uuid(), gen_random_uuid(), key, '000000', 'paused', '2026-11-22', now() FROM programmes"
    )
    at("2026-11-24", 10)
    release_due()
    assert notices(household_id, state="planned")
    assert release_due().households == 0


def test_a_first_overview_that_is_held_as_a_whole_is_told_once_and_complete_when_it_may_go(world):
    at("2026-11-24", 23)
    household_id = enrolled(NEWBORN)
    a_linked_app(household_id, "http://127.0.0.1:9/hook")
    tell()
    (overview,) = notices(household_id, programme_key=OVERVIEW)
    under_it = {one.id for one in notices(household_id, overview_id=overview.id)}
    told_of = {one.programme_key for one in notices(household_id, overview_id=overview.id, kind="new_support")}
    changed(
        "INSERT INTO campaigns (id, sweep_id, programme_key, municipality_code, state, looked_at_on, begun_at)"
        " SELECT gen_random_uuid(), gen_random_uuid(), key, '000000', 'paused', '2026-11-24', now() FROM programmes"
    )
    at("2026-11-25", 9)
    release_due()
    release_due()
    assert messages(household_id) == []
    (waiting,) = notices(household_id, programme_key=OVERVIEW)
    assert waiting.state == "planned" and waiting.release_at > overview.release_at
    changed("UPDATE campaigns SET state = 'superseded'")
    for hour in (11, 12):
        at("2026-11-25", hour)
        announce()
        release_due()
    ((row, mail),) = messages(household_id, "email")
    assert row.notice_ids == [overview.id] and f"{len(told_of)}件" in mail["subject"]
    assert {item["programme_key"] for item in notices(household_id, id=overview.id)[0].content["items"]} == told_of
    assert {one.id for one in notices(household_id, overview_id=overview.id, state="released")} == under_it
    assert [row.event_type for row, _ in messages(household_id, "webhook")] == ["notice.created"]


def test_one_family_whose_plan_fails_is_set_aside_and_the_others_are_told(world, monkeypatch, caplog):
    broken, beside, elsewhere = enrolled(NEWBORN), enrolled(NEWBORN), enrolled(SINGLE_PARENT)
    plan = announcing.plan

    def failing(situation, *arguments):
        if situation.household.id == broken:
            raise ValueError("a value of somebody's household")
        return plan(situation, *arguments)

    monkeypatch.setattr(announcing, "plan", failing)
    tell()
    assert notices(beside) and messages(beside)
    assert notices(elsewhere)
    assert notices(broken) == []
    assert "set aside: ValueError" in caplog.text and "somebody" not in caplog.text
    assert announce().households == 0, "it is not tried again and again"
    monkeypatch.setattr(announcing, "plan", plan)
    changed(
        "INSERT INTO changes (household_id, municipality_code, reader, reason) VALUES (:id, '131121', 'matching', 'x')",
        id=broken,
    )
    tell()
    assert notices(broken)


def test_one_family_whose_release_fails_is_set_aside_and_the_others_are_told(world, monkeypatch):
    at("2026-11-22", 23)
    broken, beside = enrolled(NEWBORN), enrolled(NEWBORN)
    tell()
    release = announcing.release

    def failing(situation, *arguments):
        if situation.household.id == broken:
            raise LookupError("x")
        return release(situation, *arguments)

    monkeypatch.setattr(announcing, "release", failing)
    at("2026-11-24", 12)
    release_due()
    assert messages(beside, "email")
    assert not messages(broken)
    assert release_due().households == 0
    changed("UPDATE set_aside_households SET since = since - interval '2 hours'")
    monkeypatch.setattr(announcing, "release", release)
    release_due()
    assert messages(broken, "email")


def test_one_family_whose_notices_cannot_expire_is_set_aside_and_the_others_expire(world, monkeypatch, caplog):
    broken, beside, elsewhere = enrolled(NEWBORN), enrolled(NEWBORN), enrolled(SINGLE_PARENT)
    tell()
    release_due()
    at("2027-12-01", 12)

    def left(household_id):
        over = [one for one in notices(household_id, state="released") if one.expires_at and one.expires_at <= now()]
        return len(over)

    assert left(broken) and left(beside) and left(elsewhere)
    ended_events = expiry.ended_events

    def failing(situation, *arguments):
        if situation.household.id == broken:
            raise LookupError("a value of somebody's household")
        return ended_events(situation, *arguments)

    monkeypatch.setattr(expiry, "ended_events", failing)
    expire_due(now())
    assert left(broken)
    assert (left(beside), left(elsewhere)) == (0, 0)
    assert "set aside: LookupError" in caplog.text and "somebody" not in caplog.text
    changed("UPDATE set_aside_households SET since = since - interval '2 hours'")
    monkeypatch.setattr(expiry, "ended_events", ended_events)
    expire_due(now())
    assert left(broken) == 0
    with worker_session() as session:
        assert set_aside(session) == []
