"""Linking: link token and nonce, each once, for ten minutes, for one user and one guardian."""

import datetime as dt
import uuid
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from sqlmodel import select

from app.accounts.sign_in import find_actor, open_session
from app.accounts.tables import WebSession
from app.households import consent, line_linking
from app.households.contacts import usable_contacts
from app.households.tables import Household
from app.platform import clock
from app.platform.database import Context, app_session, owner_session
from app.platform.errors import Conflict, NotFound
from app.safeguards.line_account import begin_linking
from app.safeguards.protection import protect
from app.safeguards.withdrawal import withdraw
from tests.fixtures.factories import enrolled
from tests.integration.line.conftest import OTHER, USER, answers, button, contacts, deliveries


def a_guardian(guardian: str = "g1", household_id: uuid.UUID | None = None) -> tuple[uuid.UUID, str, uuid.UUID]:
    """A household with an e-mail address, and a guardian signed in: household, guardian, session."""
    household_id = household_id or enrolled(purposes=("matching:basic", "channel:email"))
    with app_session(Context(household=household_id)) as session:
        token = open_session(session, household_id=household_id, guardian=guardian, municipality_code="131121")
        session.commit()
    with app_session() as session:
        actor = find_actor(session, token)
    return household_id, guardian, actor.session_id


def goes_through(line, address: str, user_id: str | None = None, **parts: object) -> str:
    """Open the platform's dialog as a browser does, let it tell us, and return what became of it."""
    query = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
    used = line.platform.use_link_token(query["linkToken"], user_id)
    assert used is not None
    result = "ok" if used[1] else "failed"
    return line.does("accountLink", used[0], link={"result": result, "nonce": query["nonce"]}, **parts)


def of_line(household_id: uuid.UUID) -> list:
    return [row for row in contacts() if row.household_id == household_id and row.kind == "line"]


def test_a_guardian_links_and_is_written_to_first(line):
    household_id, guardian, session_id = a_guardian()
    address = begin_linking(household_id, guardian, session_id, line.links())
    assert address.startswith(line.server.url + "/dialog/bot/accountLink?")
    assert goes_through(line, address) == "linked"
    (contact,) = of_line(household_id)
    assert contact.guardian == "g1" and contact.confirmed_at is not None and USER.encode() not in contact.address_sealed
    with app_session(Context(household=household_id)) as session:
        assert consent.current(session, household_id)["channel:line"].source == "line linking"
        best = usable_contacts(session, session.get_one(Household, household_id))[0]
        assert best.id == contact.id
    assert "設定ができました" in answers()[-1]["altText"]
    assert deliveries(event_type="line.answer")[-1].household_id == household_id  # it went through the gate


def test_the_nonce_is_long_kept_as_digest_and_works_once(line):
    household_id, guardian, session_id = a_guardian()
    address = begin_linking(household_id, guardian, session_id, line.links())
    nonce = parse_qs(urlsplit(address).query)["nonce"][0]
    assert 10 <= len(nonce) <= 255 and len(nonce) * 6 >= 128
    with owner_session() as session:
        (row,) = session.exec(select(line_linking.LineNonce)).all()
    assert nonce.encode() not in row.digest
    assert goes_through(line, address) == "linked"
    again = {"result": "ok", "nonce": nonce}
    assert line.does("accountLink", link=again) == "link_failed"
    assert len(of_line(household_id)) == 1


def test_a_link_token_works_once_and_ten_minutes(line, monkeypatch):
    household_id, guardian, session_id = a_guardian()
    token = line.links()
    begin_linking(household_id, guardian, session_id, token)
    with pytest.raises(Conflict, match="used before"):
        begin_linking(household_id, guardian, session_id, token)
    with pytest.raises(NotFound, match="unknown or older"):
        begin_linking(household_id, guardian, session_id, "made-up")
    late = line.links()
    real = clock.real_now
    monkeypatch.setattr(clock, "real_now", lambda: real() + dt.timedelta(minutes=10, seconds=1))
    with pytest.raises(NotFound, match="older than ten minutes"):
        begin_linking(household_id, guardian, session_id, late)


def test_a_nonce_that_comes_too_late_links_nobody(line):
    household_id, guardian, session_id = a_guardian()
    address = begin_linking(household_id, guardian, session_id, line.links())
    late = clock.real_now() + dt.timedelta(minutes=10, seconds=1)
    assert goes_through(line, address, timestamp=round(late.timestamp() * 1000)) == "link_failed"
    assert of_line(household_id) == []


def test_a_link_of_which_we_hear_hours_later_was_in_time(line, monkeypatch):
    household_id, guardian, session_id = a_guardian()
    address = begin_linking(household_id, guardian, session_id, line.links())
    real = clock.real_now
    monkeypatch.setattr(clock, "real_now", lambda: real() + dt.timedelta(hours=3))
    assert goes_through(line, address, timestamp=round(real().timestamp() * 1000)) == "linked"
    assert len(of_line(household_id)) == 1


def test_a_link_of_which_we_hear_after_a_withdrawal_writes_to_nobody(line):
    household_id, guardian, session_id = a_guardian()
    address = begin_linking(household_id, guardian, session_id, line.links())
    clock.shift_to(clock.now() + dt.timedelta(minutes=1))
    withdraw(household_id, None, by="guardian:g1")
    assert goes_through(line, address) == "link_failed"
    assert of_line(household_id) == []


def test_a_leaked_address_links_nobody_else(line):
    """Somebody else's family opens the address that was made for this user, or somebody else's LINE the nonce."""
    household_id, guardian, session_id = a_guardian()
    address = begin_linking(household_id, guardian, session_id, line.links())
    nonce = parse_qs(urlsplit(address).query)["nonce"][0]
    # a platform that did not look would say ok for another user: the nonce was made for this one, and is spent now
    assert line.does("accountLink", OTHER, link={"result": "ok", "nonce": nonce}) == "link_failed"
    assert line.does("accountLink", USER, link={"result": "ok", "nonce": nonce}) == "link_failed"
    # the platform itself finds that another account opened the dialog
    address = begin_linking(household_id, guardian, session_id, line.links())
    assert goes_through(line, address, user_id=OTHER) == "link_failed"
    assert of_line(household_id) == []
    assert "もう一度" in answers()[-1]["altText"]


def test_a_session_that_has_ended_links_nobody(line):
    household_id, guardian, session_id = a_guardian()
    address = begin_linking(household_id, guardian, session_id, line.links())
    with owner_session() as session:
        session.get_one(WebSession, session_id).ended_at = clock.real_now()
        session.commit()
    assert goes_through(line, address) == "link_failed"


def test_one_user_belongs_to_one_household_until_its_user_stops_it(line):
    first, *signed_in = a_guardian()
    assert goes_through(line, begin_linking(first, *signed_in, line.links())) == "linked"
    second, *signed_in = a_guardian()
    assert goes_through(line, begin_linking(second, *signed_in, line.links())) == "linked_elsewhere"
    assert of_line(second) == []
    stop = button(answers()[-1], "postback", "止める")["data"]
    assert line.presses(stop) == "stopped"
    assert goes_through(line, begin_linking(second, *signed_in, line.links())) == "linked"
    assert line.does("follow") == "following_again"
    assert [row.suspended_reason for row in of_line(first)] == ["line_stopped"]
    assert [row.suspended_reason for row in of_line(second)] == [None]


def test_a_blocked_link_does_not_come_back_once_the_user_belongs_elsewhere(line):
    first, *signed_in = a_guardian()
    goes_through(line, begin_linking(first, *signed_in, line.links()))
    line.does("unfollow")
    second, *signed_in = a_guardian()
    assert goes_through(line, begin_linking(second, *signed_in, line.links())) == "linked"
    line.does("follow")
    assert [row.suspended_reason for row in of_line(first)] == ["line_linked_elsewhere"]


def test_linking_again_is_the_same_contact(line):
    household_id, *signed_in = a_guardian()
    goes_through(line, begin_linking(household_id, *signed_in, line.links()))
    line.does("unfollow")
    assert goes_through(line, begin_linking(household_id, *signed_in, line.links())) == "linked"
    (contact,) = of_line(household_id)
    assert contact.suspended_at is None


def test_protection_ends_a_link_on_its_way_and_refuses_who_was_known_before(line):
    household_id, *signed_in = a_guardian()
    goes_through(line, begin_linking(household_id, *signed_in, line.links()))
    on_its_way = begin_linking(household_id, *signed_in, line.links(OTHER))
    protect(household_id, by="staff:1")
    assert goes_through(line, on_its_way) == "link_failed"
    # the new way in: a session opened after the flag
    _, guardian, session_id = a_guardian(household_id=household_id)
    assert goes_through(line, begin_linking(household_id, guardian, session_id, line.links())) == "link_failed"
    new = begin_linking(household_id, guardian, session_id, line.links(OTHER))
    assert goes_through(line, new) == "linked"
    with app_session(Context(household=household_id)) as session:
        (usable,) = usable_contacts(session, session.get_one(Household, household_id))
    old, fresh = of_line(household_id)
    assert usable.id == fresh.id != old.id
    # who was known before is treated like anybody
    assert line.does("follow") == "greeted"


def test_the_stand_ins_dialog_tells_our_webhook(line, monkeypatch):
    """The way of the demo: a browser opens the dialog of the stand-in. Nobody listens in this test, and it says so."""
    household_id, *signed_in = a_guardian()
    address = begin_linking(household_id, *signed_in, line.links())
    answer = httpx.get(address)
    assert answer.status_code == 502 and "no webhook address is set" in answer.json()["message"]
    assert httpx.get(address).status_code == 400  # the token is used up
