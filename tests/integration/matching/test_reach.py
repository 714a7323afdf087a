"""Reach: whom a draft would reach, counted by the worker and seen by staff in rounded figures alone."""

import datetime as dt

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from sqlmodel import select

from app.matching import reach
from app.matching.oversight_tables import ReachCount, ReachRequest
from app.platform import clock
from app.platform.database import Context, app_session, owner_session, worker_session
from app.registry import lifecycle
from app.registry.drafts import save_draft
from tests.fixtures.factories import a_child, a_household, enrolled
from tests.integration.registry.conftest import NOW, SETAGAYA, a_programme, context_of, office, office_of

__all__ = ["office"]
YOUNG = "2025-05-05"  # under six on any day of these tests
OLD = "2018-05-05"


def families(count: int, born: str, code: str = SETAGAYA) -> None:
    for _ in range(count):
        enrolled(a_household(code, [a_child(born)]), contacts=())


def asked_about(office, document) -> ReachRequest:
    with app_session(office.context) as session:
        draft = save_draft(session, document, office.author.account_id, NOW, revision=None)
        request = reach.ask(session, draft, office.author.account_id, clock.now())
        session.commit()
    return request


def answer_of(office, request) -> ReachRequest:
    with app_session(office.context) as session:
        return session.exec(select(ReachRequest).where(ReachRequest.id == request.id)).one()


def counts_of(request) -> dict[str, int]:
    with worker_session() as session:
        (row,) = session.exec(select(ReachCount).where(ReachCount.request_id == request.id)).all()
    return {name: getattr(row, name) for name in ("households", *reach.COUNTED)}


def test_a_new_programme_reaches_the_families_it_is_for(office):
    families(12, YOUNG)
    families(3, OLD)
    families(2, YOUNG, "131172")
    enrolled(a_household(SETAGAYA, [a_child(YOUNG), a_child(YOUNG)]), contacts=())  # counted once
    enrolled(a_household(SETAGAYA, [a_child(YOUNG)]), purposes=(), contacts=())  # did not agree to be matched
    request = asked_about(office, a_programme())
    assert reach.count_asked() == 1
    assert counts_of(request) == dict.fromkeys(reach.COUNTED, 0) | {"households": 16, "gains": 13}
    shown = answer_of(office, request)
    assert (shown.state, shown.looked_at_on) == ("counted", clock.today())
    assert [(row["municipality"], row["gains"], row["loses"]) for row in shown.figures] == [
        (None, 10, None), (SETAGAYA, 10, None)
    ]  # fmt: skip


def test_a_narrower_version_takes_from_some_and_leaves_others(office, monkeypatch):
    monkeypatch.setattr(reach, "HOUSEHOLDS_AT_ONCE", 3)  # several chunks
    families(7, YOUNG)
    families(4, "2021-05-05")
    publish(office, a_programme())
    narrower = {**a_programme("2026-11-01", yen=2000), "criteria": {"within": "child.birth_date", "until": "3y"}}
    narrower["examples"] = [{**narrower["examples"][0], "household": {
        **narrower["examples"][0]["household"], "children": [{"id": "c1", "birth_date": "2025-05-05"}]}, "expect": {
        "child:c1": {"verdict": "eligible", "amount": 2000}}}]  # fmt: skip
    request = asked_about(office, narrower)
    reach.count_asked()
    found = counts_of(request)
    assert (found["loses"], found["stays"], found["gets_less"], found["gains"]) == (4, 7, 7, 0)


def test_the_end_of_a_programme_takes_it_from_everybody(office):
    families(5, YOUNG)
    publish(office, a_programme())
    with app_session(office.context) as session:
        key = f"{SETAGAYA}/picture-book-money"
        draft = lifecycle.retire(session, key, dt.date(2026, 12, 31), "予算(架空)", office.author, NOW)
        request = reach.ask(session, draft, office.author.account_id, clock.now())
        session.commit()
    reach.count_asked()
    assert answer_of(office, request).looked_at_on == dt.date(2027, 1, 1)
    assert counts_of(request)["loses"] == 5


def test_the_same_contents_on_the_same_day_are_the_same_question(office):
    request = asked_about(office, a_programme())
    assert asked_about(office, a_programme()).id == request.id
    reach.count_asked()
    assert asked_about(office, a_programme()).id == request.id
    assert reach.count_asked() == 0
    with app_session(office.context) as session:
        draft = save_draft(session, a_programme(yen=4000), office.author.account_id, NOW, revision=1)
        assert reach.ask(session, draft, office.author.account_id, clock.now()).id != request.id


def test_counting_that_stopped_goes_on_where_it_was(office, monkeypatch):
    monkeypatch.setattr(reach, "HOUSEHOLDS_AT_ONCE", 4)
    families(10, YOUNG)
    request = asked_about(office, a_programme())
    assert reach.count_asked(seconds=0) == 0
    assert (counts_of(request)["households"], answer_of(office, request).figures) == (4, None)
    assert reach.count_asked() == 1
    assert counts_of(request)["gains"] == 10


def test_what_cannot_be_counted_says_why(office):
    request = asked_about(office, {**a_programme(), "criteria": {"within": "child.no_such_fact", "until": "6y"}})
    reach.count_asked()
    shown = answer_of(office, request)
    assert shown.state == "failed"
    assert "child.no_such_fact" in shown.problem


def test_the_web_role_asks_and_reads_rounded_figures_and_no_more(office):
    families(3, YOUNG)
    request = asked_about(office, a_programme())
    reach.count_asked()
    shown = answer_of(office, request)
    assert {value for row in shown.figures for name, value in row.items() if name != "municipality"} == {None}
    with app_session(office.context) as session:
        assert session.execute(text("SELECT count(*) FROM reach_counts")).scalar_one() == 0
        with pytest.raises(ProgrammingError, match="permission denied"):
            session.execute(text("UPDATE reach_requests SET state = 'counted'"))
    with (
        app_session(office.context) as session,
        pytest.raises(ProgrammingError, match="permission denied"),
    ):
        session.execute(text("INSERT INTO reach_requests (id, figures) VALUES (gen_random_uuid(), '[]')"))
    elsewhere = Context(municipality="131172", staff=office_of("131172").author.account_id)
    with app_session(elsewhere) as session:
        assert session.exec(select(ReachRequest)).all() == []


def publish(office, document) -> None:
    with app_session(office.context) as session:
        draft = save_draft(session, document, office.author.account_id, NOW)
        submitted = lifecycle.submit(session, draft.id, draft.revision, office.author, NOW)
        session.commit()
    with app_session(context_of(office.approver)) as session:
        lifecycle.approve_and_publish(session, submitted.id, submitted.revision, office.approver, clock.now())
        session.commit()


def test_the_contents_as_published_have_the_digest_of_the_preview(office):
    request = asked_about(office, a_programme())
    reach.count_asked()
    publish_open(office, request)
    with owner_session() as session:
        found = session.execute(
            text("SELECT sha256 FROM programme_versions WHERE draft_id = :draft"), {"draft": request.draft_id}
        ).scalar_one()
    assert answer_of(office, request).published_sha256 == found


def publish_open(office, request) -> None:
    with app_session(office.context) as session:
        lifecycle.submit(session, request.draft_id, 1, office.author, NOW)
        session.commit()
    with app_session(context_of(office.approver)) as session:
        lifecycle.approve_and_publish(session, request.draft_id, 1, office.approver, clock.now())
        session.commit()
