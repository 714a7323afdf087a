"""Recovering what failed: what comes back, what never does."""

import datetime as dt

import pytest
from sqlalchemy import text

from app.delivery.log import resend
from app.delivery.recovery import recover
from app.notices.tables import Notice
from app.partners.tables import PartnerEndpoint, PartnerLink
from app.platform import clock
from app.platform.database import Context, app_session, owner_session
from app.platform.errors import Conflict, InvalidInput
from app.platform.identifiers import new_id

HOUR = dt.timedelta(hours=1)


def recovered(endpoint, hours=2):
    with app_session(Context(partner=endpoint.partner_id)) as session:
        row = session.get(PartnerEndpoint, endpoint.id)
        at = clock.real_now()
        done = recover(session, row, since=at - hours * HOUR, at=at, now=clock.now())
        session.commit()
    return done


def states(world, ids):
    return [world.delivery(delivery_id).state for delivery_id in ids]


def link(endpoint, gate, **columns):
    with owner_session() as session:
        made = PartnerLink(
            partner_id=endpoint.partner_id,
            household_id=gate.household_id,
            municipality_code=gate.municipality_code,
            subject_id=f"sub_{new_id().hex}",
            linked_at=clock.now(),
            **columns,
        )
        session.add(made)
        session.commit()
    return made


def fail(ids, state="failed", error="http_500", hours_ago=1.0):
    with owner_session() as session:
        session.execute(
            text(
                "UPDATE deliveries SET state = :state, last_error = :error, requests = 10, retries = 9,"
                " finished_at = now() - make_interval(secs => :ago) WHERE id = ANY(:ids)"
            ),
            {"ids": list(ids), "state": state, "error": error, "ago": hours_ago * 3600},
        )
        session.commit()


def test_what_failed_goes_again_once_under_the_same_id(world):
    endpoint, other = world.endpoint(), world.endpoint()
    gate = world.household()
    link(endpoint, gate)
    messages = [world.webhook(endpoint, gate), world.webhook(endpoint), world.webhook(endpoint)]
    failed, disabled, long_ago = world.enqueue(*messages)
    (foreign,) = world.enqueue(world.webhook(other))
    (waiting,) = world.enqueue(world.webhook(endpoint, due_at=clock.now() + HOUR))
    fail([failed, foreign])
    fail([disabled], state="cancelled", error="endpoint_disabled")
    fail([long_ago], hours_ago=3)
    assert recovered(endpoint).queued == 2
    assert recovered(endpoint).queued == 0
    world.dispatcher().run_window()
    assert states(world, [failed, disabled, long_ago, foreign, waiting]) == [
        "delivered", "delivered", "failed", "failed", "scheduled",
    ]  # fmt: skip
    assert set(world.outside.partner_app.received) == {messages[0].event_id, messages[1].event_id}
    assert world.delivery(failed).requests == 11
    assert world.attempts(failed)[-1].number == 11
    assert recovered(endpoint, hours=4).queued == 1


def test_what_the_family_the_law_or_the_calendar_stopped_never_comes_back(world):
    endpoint = world.endpoint()
    linked, unlinked, stranger = world.household(), world.household(), world.household()
    link(endpoint, linked)
    link(endpoint, unlinked, revoked_at=clock.now())
    reasons = ["consent_withdrawn", "protected", "person_stopped", "link_revoked", "superseded"]
    stopped = world.enqueue(*[world.webhook(endpoint, linked) for _ in reasons])
    for delivery_id, reason in zip(stopped, reasons, strict=True):
        fail([delivery_id], state="cancelled", error=reason)
    ended = world.enqueue(world.webhook(endpoint, unlinked), world.webhook(endpoint, stranger))
    late = world.enqueue(world.webhook(endpoint, linked, expires_at=clock.now() + dt.timedelta(seconds=1)))
    fail([*ended, *late])
    world.pass_time(seconds=2)
    done = recovered(endpoint)
    assert (done.queued, done.left, done.expired, done.stopped) == (0, 0, 1, 7)
    assert set(states(world, [*stopped, *ended, *late])) == {"cancelled", "failed"}
    with (
        app_session(Context(partner=endpoint.partner_id)) as session,
        pytest.raises(InvalidInput, match="a link that has ended"),
    ):
        resend(session, ended[0], clock.now())


def test_after_linking_again_only_what_the_new_link_brought_comes_back(world):
    endpoint, gate = world.endpoint(), world.household()
    (before,) = world.enqueue(world.webhook(endpoint, gate))
    fail([before])
    clock_tick = clock.real_now()
    while clock.real_now() - clock_tick < dt.timedelta(milliseconds=3):
        pass
    link(endpoint, gate)
    (after,) = world.enqueue(world.webhook(endpoint, gate))
    fail([after])
    done = recovered(endpoint)
    assert (done.queued, done.stopped) == (1, 1)
    assert states(world, [before, after]) == ["failed", "scheduled"]


def test_the_claim_looks_again_at_consent_protection_and_the_notice_itself(world):
    endpoint = world.endpoint()
    gates = [world.household() for _ in range(4)]
    withdrawn, protected, ended, kept = gates
    for gate in gates:
        link(endpoint, gate)
    notices = {gate.household_id: notice(gate) for gate in (ended, kept)}
    ids = world.enqueue(
        *[
            world.webhook(endpoint, gate, notice_ids=(notices[gate.household_id],) if gate in (ended, kept) else ())
            for gate in gates
        ]
    )
    (end,) = world.enqueue(
        world.webhook(endpoint, ended, notice_ids=(notices[ended.household_id],), event_type="notice.cancelled")
    )
    fail([*ids, end])
    assert recovered(endpoint).queued == 5
    world.change_household(withdrawn, consent_epoch=1)
    world.change_household(protected, protected_at=clock.real_now())
    with owner_session() as session:
        session.execute(
            text("UPDATE notices SET state = 'superseded' WHERE household_id = :id"), {"id": ended.household_id}
        )
        session.commit()
    world.dispatcher().run_window()
    assert states(world, [*ids, end]) == ["cancelled", "cancelled", "cancelled", "delivered", "delivered"]
    reasons = [world.delivery(one).last_error for one in ids]
    assert reasons == ["consent_withdrawn", "protected", "superseded", None]
    assert recovered(endpoint).queued == 0


def notice(gate):
    with owner_session() as session:
        row = Notice(
            household_id=gate.household_id,
            municipality_code=gate.municipality_code,
            programme_key="000000/fictional",
            subject="child:c1",
            kind="new_support",
            occasion=str(new_id()),
            state="released",
            programme_version=dt.date(2026, 4, 1),
            content={},
            release_at=clock.now(),
        )
        session.add(row)
        session.commit()
        return row.id


def test_the_window_and_the_number_are_bounded(world, monkeypatch):
    monkeypatch.setattr("app.delivery.recovery.MOST_AT_ONCE", 3)
    endpoint = world.endpoint()
    fail(world.enqueue(*[world.webhook(endpoint) for _ in range(5)]))
    first = recovered(endpoint)
    assert (first.queued, first.left) == (3, 2)
    assert (recovered(endpoint).queued, recovered(endpoint).queued) == (2, 0)
    with pytest.raises(InvalidInput, match="since: found"):
        recovered(endpoint, hours=15 * 24)
    with pytest.raises(InvalidInput, match="since: found"):
        recovered(endpoint, hours=-1)


def test_what_a_disabled_endpoint_missed_may_be_told_again_and_is_not_recovered_beside_it(world):
    endpoint, gate = world.endpoint(), world.household()
    link(endpoint, gate)
    message, other = world.webhook(endpoint, gate), world.webhook(endpoint, gate)
    missed, alone = world.enqueue(message, other)
    with owner_session() as session:
        session.execute(text("UPDATE deliveries SET stop_reason = 'moved' WHERE id = :id"), {"id": alone})
        session.execute(text("UPDATE partner_endpoints SET disabled_at = now(), disabled_reason = 'failing'"))
        session.commit()
    world.dispatcher().run_window()
    errors = [(world.delivery(id_).state, world.delivery(id_).last_error) for id_ in (missed, alone)]
    assert errors == [("cancelled", "endpoint_disabled"), ("cancelled", "moved")]
    with owner_session() as session:
        session.execute(text("UPDATE partner_endpoints SET disabled_at = NULL, disabled_reason = NULL"))
        session.commit()
    (again,) = world.enqueue(message)
    assert recovered(endpoint).queued == 0
    with app_session(Context(partner=endpoint.partner_id)) as session, pytest.raises(Conflict, match=str(again)):
        resend(session, missed, clock.now())
    world.dispatcher().run_window()
    assert states(world, [missed, again]) == ["cancelled", "delivered"]
