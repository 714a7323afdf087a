"""Campaigns: what a publication may send is counted, compared, held, tried with a few, and decided by people."""

import datetime as dt
import uuid

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, ProgrammingError
from sqlmodel import col, select

from app.households.outcomes import record_outcome
from app.matching import campaigns, reach
from app.matching.campaigns import Size, decide, question
from app.matching.oversight_tables import Campaign, CampaignCount
from app.matching.sweep import drain
from app.matching.tables import Entitlement
from app.notices import canary
from app.notices.announce import announce
from app.notices.canary import advance
from app.notices.tables import Notice
from app.platform import clock
from app.platform.database import Context, app_session, worker_session
from app.platform.errors import NotFound, NotPermitted
from app.platform.settings import settings
from app.registry import lifecycle
from app.registry.drafts import save_draft
from tests.fixtures.factories import a_child, a_household, enrolled
from tests.integration.registry.conftest import NOW, SETAGAYA, a_programme, context_of, office, office_of

__all__ = ["office"]
KEY = f"{SETAGAYA}/picture-book-money"
YOUNG, FOUR = "2025-05-05", "2022-05-05"


def families(count: int, born: str = YOUNG, **more) -> list[uuid.UUID]:
    return [enrolled(a_household(SETAGAYA, [a_child(born)]), **{"contacts": (), **more}) for _ in range(count)]


def draft_of(office, document):
    with app_session(office.context) as session:
        draft = save_draft(session, document, office.author.account_id, NOW)
        session.commit()
    return draft


def looked_at(office, draft) -> None:
    with app_session(office.context) as session:
        reach.ask(session, draft, office.author.account_id, clock.now())
        session.commit()
    assert reach.count_asked() == 1


def published(office, draft) -> None:
    with app_session(office.context) as session:
        submitted = lifecycle.submit(session, draft.id, draft.revision, office.author, NOW)
        session.commit()
    with app_session(context_of(office.approver)) as session:
        lifecycle.approve_and_publish(session, draft.id, submitted.revision, office.approver, clock.now())
        session.commit()
    drain()


def campaign(key: str = KEY) -> Campaign:
    """The latest campaign of a programme."""
    with worker_session() as session:
        statement = select(Campaign).where(Campaign.programme_key == key).order_by(col(Campaign.begun_at).desc())
        return session.exec(statement.limit(1)).one()


def told(key: str = KEY) -> set[uuid.UUID]:
    """The households for which a support is told, today or when caps allow, and not taken back."""
    with worker_session() as session:
        statement = select(Notice.household_id).where(
            Notice.programme_key == key,
            col(Notice.state).in_(("planned", "released")),
            Notice.kind == "new_support",
        )
        return set(session.exec(statement))


def taken_back(key: str = KEY) -> set[uuid.UUID]:
    """The households that were told of a support they no longer get."""
    with worker_session() as session:
        ended = Notice.programme_key == key, Notice.state == "cancelled", Notice.closed_reason == "no longer so"
        return set(session.exec(select(Notice.household_id).where(*ended)))


def decided(office, decision: str, wanted: Campaign | None = None) -> str:
    with app_session(context_of(office.approver)) as session:
        state = decide(session, (wanted or campaign()).id, decision, clock.now(), comment="確認済み(架空)")
        session.commit()
    return state


@pytest.fixture(autouse=True)
def settled(office):
    """The whole registry's own publication is over: nobody lived here then."""
    drain()


@pytest.fixture
def limits(monkeypatch):
    """Other limits than those of a real office."""

    def use(**values) -> None:
        for name, value in values.items():
            monkeypatch.setenv(f"TODOKE_CAMPAIGNS__{name.upper()}", str(value))
        settings.cache_clear()

    return use


def test_what_was_looked_at_before_goes_out_by_itself(office):
    ids = families(12)
    draft = draft_of(office, a_programme())
    looked_at(office, draft)
    published(office, draft)
    found = campaign()
    assert (found.state, found.question) == ("open", None)
    assert found.figures["found"] == {"gains": 10, "loses": None, "changes": None}
    announce()
    assert told() == set(ids)


def test_another_size_than_the_preview_asks_and_tells_nobody_until_approved(office):
    families(3)
    draft = draft_of(office, a_programme())
    looked_at(office, draft)
    families(12)
    published(office, draft)
    found = campaign()
    assert (found.state, found.question) == ("paused", "size")
    assert (found.figures["expected"]["gains"], found.figures["found"]["gains"]) == (None, 20)
    announce()
    assert told() == set()
    assert decided(office, "approved") == "approved"
    announce()
    assert len(told()) == 15
    assert (campaign().state, campaign().decided_by) == ("open", f"staff:{office.approver.account_id}")
    assert decided(office, "approved") == "open"  # a second time has no further effect
    with pytest.raises(NotPermitted, match="found the campaign open"):
        decided(office, "rejected")


def test_what_was_rejected_stays_untold_until_a_publication_that_somebody_looks_at(office):
    families(2)
    draft = draft_of(office, a_programme())
    looked_at(office, draft)
    families(12)
    published(office, draft)
    decided(office, "rejected")
    announce()
    assert told() == set()
    published(office, draft_of(office, a_programme(yen=4000)))
    found = campaign()
    assert (found.state, found.question, found.follows) == ("paused", "earlier", "rejected")
    announce()
    assert told() == set()
    decided(office, "approved")
    announce()
    assert len(told()) == 14


def test_nothing_told_is_taken_back_before_somebody_approved_the_loss(office):
    young, old = families(2), families(12, FOUR)
    published(office, draft_of(office, a_programme()))
    announce()
    assert told() == {*young, *old}
    narrower = a_programme("2026-11-01")
    narrower["criteria"] = {"within": "child.birth_date", "until": "3y"}
    (example, *_) = narrower["examples"]
    of = {name: [{"id": "c1", "birth_date": born}] for name, born in (("young", YOUNG), ("old", FOUR))}
    family = example["household"]
    narrower["examples"] = [
        {**example, "household": {**family, "children": of["young"]}},
        {**example, "household": {**family, "children": of["old"]}, "expect": {"child:c1": {"verdict": "ineligible"}}},
    ]
    draft = draft_of(office, narrower)
    looked_at(office, draft)
    with worker_session() as session:  # as if somebody had looked before these families were there
        session.execute(text("UPDATE reach_counts SET loses = 0"))
        session.commit()
    published(office, draft)
    assert (campaign().state, campaign().question) == ("paused", "size")
    announce()
    assert (told(), taken_back()) == ({*young, *old}, set())
    decided(office, "approved")
    announce()
    assert taken_back() == set(old)


def test_many_without_a_preview_are_asked_about(office, limits):
    limits(most_without_preview=5)
    families(6)
    published(office, draft_of(office, a_programme()))
    assert (campaign().state, campaign().question) == ("paused", "no_preview")


def test_a_large_campaign_begins_with_a_few_and_goes_on_when_nothing_went_wrong(office, limits):
    limits(canary_over=10, canary_share=0.4, most_without_preview=100)
    ids = set(families(16))
    published(office, draft_of(office, a_programme()))
    found = campaign()
    assert found.state == "canary"
    few = {one for one in ids if campaigns.is_canary(found.id, 0.4, one)}
    assert 0 < len(few) < len(ids)
    announce()
    assert told() == few
    clock.shift_to(clock.now() + dt.timedelta(minutes=29))
    announce()
    assert told() == few
    clock.shift_to(clock.now() + dt.timedelta(minutes=2))
    announce()
    assert campaign().state == "open"
    assert told() == ids


def test_families_who_say_that_it_is_not_theirs_stop_the_rest(office, limits):
    limits(canary_over=10, canary_share=0.5, most_without_preview=100, least_judged=2)
    families(16)
    published(office, draft_of(office, a_programme()))
    announce()
    few = sorted(told())
    for household_id in few[: len(few) // 2]:
        with app_session(Context(household=household_id)) as session:
            record_outcome(session, household_id, KEY, "child:c1", "told_not_eligible", by="guardian:g1")
            session.commit()
    clock.shift_to(clock.now() + dt.timedelta(minutes=31))
    announce()
    found = campaign()
    assert (found.state, found.question) == ("paused", "canary")
    assert told() == set(few)
    decided(office, "approved")
    announce()
    assert campaign().state == "open"  # the few were asked once, not again
    assert len(told()) == 16


def test_messages_that_failed_stop_the_rest(office, limits):
    limits(canary_over=10, canary_share=0.5, most_without_preview=100, least_judged=2)
    families(12, contacts=(("email", "family@home.example"),))
    published(office, draft_of(office, a_programme()))
    announce()
    with worker_session() as session:
        session.execute(text("UPDATE deliveries SET state = 'failed', finished_at = now()"))
        session.commit()
    clock.shift_to(clock.now() + dt.timedelta(minutes=31))
    assert advance(clock.now()) == 0
    assert (campaign().state, campaign().question) == ("paused", "canary")


def test_a_campaign_that_fails_stays_held_and_the_others_move_on(office, limits, monkeypatch, caplog):
    limits(canary_over=10, canary_share=0.5, most_without_preview=100)
    families(12)
    published(office, draft_of(office, a_programme()))
    broken = campaign()
    other = Campaign(
        sweep_id=broken.sweep_id, programme_key="000000/child-allowance", municipality_code="000000", state="approved",
        looked_at_on=broken.looked_at_on, begun_at=clock.now(), counted_at=clock.now(),
    )  # fmt: skip
    with worker_session() as session:
        session.add(other)
        session.commit()
        other_id = other.id
    assert broken.id < other_id, "the one that fails comes first"
    with monkeypatch.context() as patch:
        patch.setattr(canary, "read_aftermath", lambda *_: {}["no such figure"])
        assert advance(clock.now()) == 1
    with worker_session() as session:
        assert session.get_one(Campaign, other_id).state == "open"
    assert campaign().state == "canary"
    assert f"campaign {broken.id} stays held: KeyError" in caplog.text
    announce()
    clock.shift_to(clock.now() + dt.timedelta(minutes=31))
    assert advance(clock.now()) == 1
    assert campaign().state == "open"


def test_the_condition_in_sql_is_the_one_in_python(office, limits):
    limits(canary_over=10, canary_share=0.4, most_without_preview=100)
    families(12)
    published(office, draft_of(office, a_programme()))
    with worker_session(Context(municipality=SETAGAYA)) as session:
        held = campaigns.held(session)
        rows = session.exec(select(Entitlement)).all()
        through = set(
            session.exec(
                select(Entitlement.id).where(
                    held.lets_through(col(Entitlement.programme_key), col(Entitlement.household_id))
                )
            )
        )
    assert through == {row.id for row in rows if not held.holds(row.programme_key, row.household_id)}
    assert sum(row.id not in through for row in rows) > 0
    assert {row.programme_key for row in rows if row.id not in through} == {KEY}


def test_a_correction_of_many_amounts_is_large_although_nobody_gains(office, limits):
    families(12)
    published(office, draft_of(office, a_programme()))
    announce()
    limits(most_without_preview=10)
    published(office, draft_of(office, a_programme(yen=4000)))
    with worker_session() as session:
        (counts,) = session.exec(select(CampaignCount).where(CampaignCount.campaign_id == campaign().id)).all()
    assert (counts.gains, counts.loses, counts.changes) == (0, 0, 12)
    assert (campaign().state, campaign().question) == ("paused", "no_preview")


def test_only_an_approver_of_the_municipality_decides_and_nobody_writes_past_the_function(office, limits):
    limits(most_without_preview=5)
    families(6)
    published(office, draft_of(office, a_programme()))
    found = campaign()
    with app_session(office.context) as session, pytest.raises(DBAPIError, match="may decide"):
        decide(session, found.id, "approved", clock.now())  # an editor
    elsewhere = office_of("131172")
    with app_session(context_of(elsewhere.approver)) as session, pytest.raises(NotFound):
        decide(session, found.id, "approved", clock.now())
    with app_session(context_of(office.approver)) as session, pytest.raises(ProgrammingError, match="permission"):
        session.execute(text("UPDATE campaigns SET state = 'open'"))
    with app_session(context_of(office.approver)) as session:
        assert session.execute(text("SELECT count(*) FROM campaign_counts")).scalar_one() == 0
    with worker_session() as session:  # an operator, by name
        assert decide(session, found.id, "rejected", clock.now(), by="運用担当(架空)") == "rejected"
        session.commit()
    assert campaign().decided_by == "運用担当(架空)"


def test_when_somebody_is_asked():
    expected = Size(1000, 0, 0)
    assert question(expected, Size(1200, 0, 0), None) is None
    assert question(expected, Size(1201, 0, 0), None) == "size"
    assert question(expected, Size(799, 0, 0), None) == "size"
    assert question(expected, Size(1000, 10, 0), None) == "size"
    assert question(Size(2, 0, 0), Size(11, 0, 0), None) is None  # a few households are no anomaly
    assert question(None, Size(10_000, 0, 0), None) is None
    assert question(None, Size(10_001, 0, 0), None) == "no_preview"
    assert question(expected, Size(1000, 0, 0), "paused") == "earlier"
