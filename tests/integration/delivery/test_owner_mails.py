"""Mails to the owners of endpoints, from health to mailbox."""

import datetime as dt
import email
import email.policy

import pytest
from sqlalchemy import text

from app.delivery.owner_mails import tell_owners
from app.partners.tables import Partner
from app.platform import clock
from app.platform.database import owner_session
from app.platform.sealing import seal
from tests.integration.delivery.conftest import wait_for

OWNER = "tech@sorairo.example"


@pytest.fixture
def owned(world):
    """An endpoint whose partner has a technical contact, and that has failed a first time just now."""
    endpoint = world.endpoint()
    with owner_session() as session:
        partner = session.get(Partner, endpoint.partner_id)
        partner.contact_sealed = seal(OWNER, "partners", "contact_sealed", partner.id)
        session.commit()
    world.outside.partner_app.behave("status", status=500)
    (world.failing,) = world.enqueue(world.webhook(endpoint, world.household()))
    run(world)
    return endpoint


def run(world):
    world.sender = getattr(world, "sender", None) or world.dispatcher()
    world.sender.run_window()
    wait_for(lambda: "sending" not in world.states())


def failing_for(**delta):
    with owner_session() as session:
        session.execute(
            text("UPDATE endpoint_health SET failing_since = now() - make_interval(secs => :ago)"),
            {"ago": dt.timedelta(**delta).total_seconds()},
        )
        session.commit()


def mails(world):
    run(world)
    found = [email.message_from_bytes(one.raw, policy=email.policy.default) for one in world.outside.mail_sink.mails]
    return [(one["to"], one["subject"], one.get_body(("plain",)).get_content()) for one in found]


def test_an_owner_hears_of_each_stage_once_and_reads_what_to_do(world, owned):
    assert tell_owners() == 0
    for delta, words in (({"hours": 1}, "1時間"), ({"hours": 25}, "24時間"), ({"days": 4}, "4日")):
        failing_for(**delta)
        assert (tell_owners(), tell_owners()) == (1, 0)
        assert words in mails(world)[-1][1]
    to, _subject, body = mails(world)[0]
    assert OWNER in to
    assert "最後のエラー: http_500" in body
    assert "送信を待っているイベント: 1件" in body
    assert f"/partner/endpoints/{owned.id}" in body
    assert "Last error: http_500" in body
    with owner_session() as session:
        keys = session.execute(text("SELECT lane FROM deliveries WHERE channel = 'email'")).scalars().all()
    assert keys == ["transactional"] * 3


def test_the_end_and_the_way_back_are_told(world, owned):
    world.outside.partner_app.behave("status", status=410)
    world.pass_time(hours=1)
    run(world)
    assert (tell_owners(), tell_owners()) == (1, 0)
    _to, subject, body = mails(world)[-1]
    assert "送信を止めました" in subject
    assert "410" in body
    assert "届かなかったイベント(14日以内): 1件" in body
    with owner_session() as session:
        session.execute(text("UPDATE partner_endpoints SET disabled_at = NULL, disabled_reason = NULL"))
        session.commit()
    assert (tell_owners(), tell_owners()) == (1, 0)
    assert "また届いています" in mails(world)[-1][1]


def test_it_works_again_for_a_quarter_of_an_hour_before_that_is_told(world, owned):
    failing_for(hours=2)
    assert tell_owners() == 1
    world.outside.partner_app.behave("ok")
    world.pass_time(hours=1)
    run(world)
    at = clock.real_now()
    assert tell_owners(at) == 0
    assert tell_owners(at + dt.timedelta(minutes=14)) == 0
    assert tell_owners(at + dt.timedelta(minutes=15)) == 1
    assert tell_owners(at + dt.timedelta(minutes=16)) == 0
    assert "していただくことはありません" in mails(world)[-1][2]


def test_an_owner_whose_own_address_refuses_is_tried_again_a_day_later(world, owned):
    failing_for(hours=2)
    assert tell_owners() == 1
    with owner_session() as session:
        session.execute(text("UPDATE deliveries SET state = 'failed', finished_at = now() WHERE channel = 'email'"))
        session.commit()
    failing_for(hours=30)
    assert tell_owners() == 0
    at = clock.real_now() + dt.timedelta(hours=25)
    assert (tell_owners(at), tell_owners(at)) == (1, 0)


def test_no_contact_means_no_mail_and_no_error(world, owned):
    with owner_session() as session:
        session.execute(text("UPDATE partners SET contact_sealed = NULL"))
        session.commit()
    failing_for(hours=2)
    assert (tell_owners(), tell_owners()) == (0, 0)
