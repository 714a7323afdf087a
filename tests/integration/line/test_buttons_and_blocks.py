"""Blocking, buttons in messages, and a month whose quota is used up: the family hears, by what still works."""

import datetime as dt
import uuid
from collections import Counter

import pytest
from sqlalchemy import text
from sqlmodel import select

from app.delivery.channel_health import LINE, health_of
from app.delivery.outbox import content_of
from app.delivery.tables import Delivery
from app.households.outcomes import current_outcomes
from app.matching.sweep import drain
from app.notices import postbacks
from app.notices.announce import announce, release_due
from app.notices.postbacks import postback_data
from app.notices.tables import Notice
from app.platform import clock
from app.platform.database import Context, app_session, owner_session, worker_session
from app.platform.identifiers import new_id
from app.safeguards import line_events
from app.safeguards.line_events import work_events
from app.safeguards.line_quota import read_quota, turn_away
from app.safeguards.protection import protect
from tests.fixtures.factories import a_child, a_household, enrolled
from tests.integration.line.conftest import OTHER, USER, answers, button, contacts, deliveries, events

NEWBORN = a_household(children=[a_child("2026-11-21")], facts={"single_parent": False, "public_assistance": False})
BOTH = (("line", USER), ("email", "family@home.example"))


def told(contacts: tuple[tuple[str, str], ...] = BOTH) -> uuid.UUID:
    """A household whose first message is queued."""
    household_id = enrolled(NEWBORN, contacts=contacts)
    drain()
    announce()
    release_due()
    return household_id


def with_a_notice(contacts: tuple[tuple[str, str], ...] = BOTH) -> uuid.UUID:
    """A household that was told of one support: without the registry, which no button needs."""
    household_id = enrolled(NEWBORN, contacts=contacts)
    with owner_session() as session:
        session.add(
            Notice(
                household_id=household_id,
                municipality_code="131121",
                programme_key="000000/child-allowance",
                subject="child:c1",
                kind="new_support",
                occasion="2026-11-21",
                state="released",
                programme_version=dt.date(2026, 4, 1),
                content={"programme_kind": "cash", "title": "児童手当", "name": "児童手当"},
                release_at=clock.now(),
                released_at=clock.now(),
            )
        )
        session.commit()
    return household_id


def pushes(household_id: uuid.UUID, **wanted: object) -> list[Delivery]:
    return deliveries(household_id=household_id, lane="notice", **wanted)


def a_notice(household_id: uuid.UUID) -> Notice:
    with owner_session() as session:
        wanted = select(Notice).where(Notice.household_id == household_id, Notice.kind == "new_support")
        return next(row for row in session.exec(wanted) if row.programme_key.endswith("/child-allowance"))


def outcomes(household_id: uuid.UUID) -> list[tuple[str, str, str]]:
    with app_session(Context(household=household_id)) as session:
        return [(row.programme_key, row.outcome, row.by) for row in current_outcomes(session, household_id)]


def test_who_blocks_the_account_is_told_by_mail(line, published_registry):
    household_id = told()
    assert [(row.channel, row.state) for row in pushes(household_id)] == [("line", "scheduled")]
    assert line.does("unfollow") == "blocked"
    release_due()
    assert [(row.channel, row.state) for row in pushes(household_id)] == [("line", "cancelled"), ("email", "scheduled")]
    assert next(row for row in contacts() if row.kind == "line").suspended_reason == "line_blocked"
    assert line.does("unfollow") == "nobody"
    assert line.does("follow") == "following_again"
    assert next(row for row in contacts() if row.kind == "line").suspended_at is None


def test_events_that_come_late_do_not_undo_what_came_after(line):
    with_a_notice()
    now = clock.real_now()
    earlier = round((now - dt.timedelta(minutes=5)).timestamp() * 1000)
    line.does("unfollow")
    assert line.does("follow", timestamp=earlier) == "overtaken"
    line.does("follow")
    assert line.does("unfollow", timestamp=earlier) == "overtaken"
    assert next(row for row in contacts() if row.kind == "line").suspended_at is None


@pytest.mark.parametrize(
    ("action", "outcome"), [("applied", "applied"), ("not_for_us", "not_wanted"), ("later", "later")]
)
def test_a_button_says_what_the_inbox_says(line, action, outcome):
    household_id = with_a_notice()
    contact = next(row for row in contacts() if row.kind == "line")
    notice = a_notice(household_id)
    assert line.presses(postback_data(action, contact.id, notice.id, clock.now())) == f"outcome_{action}"
    assert outcomes(household_id) == [(notice.programme_key, outcome, "guardian:g1")]


def test_the_stop_button_stops_this_address_alone_and_always_works(line, published_registry):
    household_id = told()
    (push,) = pushes(household_id)
    stop = button(content_of(push.id, push.message_sealed)["messages"][0], "postback", "止める")["data"]
    clock.shift_to(clock.now() + postbacks.LIFETIME + dt.timedelta(days=30))
    assert line.presses(stop) == "stopped"
    assert {row.kind: row.suspended_reason for row in contacts()} == {"line": "line_stopped", "email": None}


def test_a_button_works_for_its_own_user_for_its_time_and_unchanged(line):
    household_id = with_a_notice((("line", USER),))
    other_household = with_a_notice((("line", OTHER),))
    contact = next(row for row in contacts() if row.household_id == household_id)
    notice = a_notice(household_id)
    data = postback_data("applied", contact.id, notice.id, clock.now())
    assert line.presses(data, OTHER) == "old_button"  # a message that was passed on
    strangers = postback_data("applied", contact.id, a_notice(other_household).id, clock.now())
    assert line.presses(strangers) == "old_button"
    assert line.presses(postback_data("applied", contact.id, new_id(), clock.now())) == "old_button"
    for changed in (
        data[:-3] + ("A" if data[-3] != "A" else "B") + data[-2:],
        data[3:],
        "",
        "t1.",
        "t1.!!!",
        data + "AAAA",
        "日本",
    ):
        assert line.presses(changed) == "unknown_button"
    clock.shift_to(clock.now() + postbacks.LIFETIME)
    assert line.presses(data) == "old_button"
    protect(household_id, by="staff:1")
    assert outcomes(household_id) == outcomes(other_household) == []
    assert "今は使えません" in answers()[-1]["altText"]


def test_under_protection_an_old_contact_changes_nothing(line):
    household_id = with_a_notice()
    contact = next(row for row in contacts() if row.kind == "line")
    data = postback_data("applied", contact.id, a_notice(household_id).id, clock.now())
    protect(household_id, by="staff:1")
    assert line.presses(data) == "old_button"
    assert outcomes(household_id) == []
    assert {row.household_id for row in deliveries(event_type="line.answer")} == {None}


def test_nothing_of_a_family_stands_in_a_button(line):
    household_id = with_a_notice()
    contact = next(row for row in contacts() if row.kind == "line")
    data = postback_data("applied", contact.id, a_notice(household_id).id, clock.now())
    assert len(data) <= 300
    assert household_id.hex not in data and USER not in data


def test_a_used_up_month_turns_families_to_their_next_channel_and_loses_nobody(line, published_registry):
    line.server.monthly_limit = 0
    with_mail = told()
    without = told((("line", OTHER),))
    line.dispatch()
    assert [row.state for row in pushes(with_mail)] == [row.state for row in pushes(without)] == ["retrying"]
    requests = line.server.requests
    line.dispatch()
    assert line.server.requests == requests  # the channel rests: nobody asks again
    read_quota()
    release_due()
    assert [(row.channel, row.state) for row in pushes(with_mail)] == [("line", "cancelled"), ("email", "scheduled")]
    assert [row.state for row in pushes(without)] == ["retrying"]  # it waits for the next month
    assert turn_away() == 0
    later = told((("line", "U" + "c3" * 16), ("email", "other@home.example")))
    assert [row.channel for row in pushes(later)] == ["email"]
    line.server.monthly_limit = 200  # a larger plan
    read_quota()
    line.dispatch()
    assert [row.state for row in pushes(without)] == ["accepted"]
    with worker_session() as session:
        health = health_of(session, LINE)
    assert (health.quota_limit, health.used_up_month, health.quota_used) == (200, None, 1)


def test_an_outage_of_hours_loses_no_stop_and_a_later_link_is_not_undone(line, monkeypatch):
    with_a_notice()
    contact = next(row for row in contacts() if row.kind == "line")
    stop = postback_data("stop", contact.id, uuid.UUID(int=0), clock.now())
    real = line_events.stop_contact

    def away(*arguments):
        raise RuntimeError("made up")

    monkeypatch.setattr(line_events, "stop_contact", away)
    assert line.presses(stop) is None
    for _ in range(8):
        work_events()  # six times the old limit, within seconds
    grown(hours=5)
    work_events()
    assert [(row.outcome, row.content_sealed is None) for row in events()] == [(None, False)]
    monkeypatch.setattr(line_events, "stop_contact", real)
    grown(hours=6)
    assert work_events() == 1
    assert {row.kind: row.suspended_reason for row in contacts()} == {"line": "line_stopped", "email": None}


def test_a_stop_that_was_overtaken_by_a_new_link_changes_nothing(line):
    with_a_notice()
    contact = next(row for row in contacts() if row.kind == "line")
    stop = postback_data("stop", contact.id, uuid.UUID(int=0), clock.now())
    line.does("accountLink", link={"result": "ok", "nonce": "made-up"})
    with owner_session() as session:
        session.execute(text("UPDATE line_events SET outcome = 'linked'"))
        session.commit()
    earlier = round((clock.real_now() - dt.timedelta(hours=2)).timestamp() * 1000)
    assert line.does("postback", postback={"data": stop}, timestamp=earlier) == "overtaken"
    assert line.presses(stop) == "stopped"


def grown(**by: float) -> None:
    with owner_session() as session:
        session.execute(text("UPDATE line_events SET received_at = received_at - :by"), {"by": dt.timedelta(**by)})
        session.commit()


def test_a_quota_of_ten_and_thirty_families_ends_with_everybody_told(line, published_registry):
    line.server.monthly_limit = 10
    read_quota()
    users = [f"U{number:032x}" for number in range(30)]
    told_by = [enrolled(NEWBORN, contacts=(("line", user), ("email", f"{user}@home.example"))) for user in users]
    drain()
    announce()
    release_due()
    assert [row.channel for row in pushed(told_by)] == ["line"] * 30  # release counts what is used, not what waits
    line.dispatch()
    assert Counter(row.state for row in pushed(told_by)) == {"accepted": 9, "scheduled": 21}  # one is kept in reserve
    read_quota()
    release_due()
    line.dispatch()
    ends = Counter((row.channel, row.state) for row in pushed(told_by))
    assert ends == {("line", "accepted"): 9, ("line", "cancelled"): 21, ("email", "accepted"): 21}
    assert len({row.household_id for row in pushed(told_by) if row.state == "accepted"}) == 30


def test_a_plan_that_is_raised_and_reached_again_turns_families_away_again(line, published_registry):
    line.server.monthly_limit = 10
    line.server.used_this_month = 9
    read_quota()
    first = told()
    read_quota()
    release_due()
    assert [row.channel for row in pushes(first, state="scheduled")] == ["email"]
    line.server.monthly_limit = 20
    read_quota()
    second = told((("line", OTHER), ("email", "other@home.example")))
    assert [row.channel for row in pushes(second)] == ["line"]
    with owner_session() as session:  # under way while the month ends, and back afterwards
        session.execute(text("UPDATE deliveries SET state = 'sending' WHERE channel = 'line' AND state = 'scheduled'"))
        session.commit()
    line.server.used_this_month = 20
    read_quota()
    assert [row.state for row in pushes(second)] == ["sending"]
    with owner_session() as session:
        session.execute(text("UPDATE deliveries SET state = 'retrying' WHERE state = 'sending'"))
        session.commit()
    read_quota()
    release_due()
    assert [(row.channel, row.state) for row in pushes(second)] == [("line", "cancelled"), ("email", "scheduled")]


def pushed(household_ids: list[uuid.UUID]) -> list[Delivery]:
    return [row for row in deliveries(lane="notice") if row.household_id in household_ids]


def test_the_reserve_is_kept_for_answers_and_last_weeks(line, published_registry):
    line.server.monthly_limit = 10
    line.server.used_this_month = 9
    read_quota()
    household_id = told((("line", USER),))
    line.does("follow", OTHER)
    line.dispatch()
    assert [row.state for row in pushes(household_id)] == ["scheduled"]
    assert [push.to for push in line.server.pushes] == [OTHER]
    assert events()[-1].outcome == "greeted"


def test_the_message_of_one_support_has_its_outcomes_as_buttons(line, published_registry):
    """Every label is one that LINE takes, and the official models read the whole (see the contract tests)."""
    household_id = told((("line", USER),))
    contact = next(row for row in contacts() if row.kind == "line")
    notice = a_notice(household_id)
    made = postbacks.buttons(contact, notice, clock.now())
    assert [one["label"] for one in made][-1] == "LINEのお知らせを止める"
    assert len(made) == 4 and all(len(one["label"]) <= 20 for one in made)
    (push,) = pushes(household_id)  # an overview: it is opened, and outcomes are said there
    bubble = content_of(push.id, push.message_sealed)["messages"][0]
    assert [part["action"]["type"] for part in bubble["contents"]["footer"]["contents"]] == ["uri", "postback"]
