"""A ward's variant follows the metropolitan programme it is based on; where both changed, somebody is asked."""

import datetime as dt

import pytest
from sqlmodel import select

from app.matching.sweep import drain
from app.matching.tables import Entitlement
from app.platform.database import app_session, owner_session
from app.platform.errors import Conflict
from app.registry import lifecycle
from app.registry.drafts import drafts_of
from app.registry.readiness import NotReady
from app.registry.upkeep import upkeep
from app.registry.versions import published, published_now
from tests.fixtures.factories import enrolled
from tests.integration.registry.conftest import NOW, SETAGAYA, a_programme, office_of
from tests.integration.registry.test_lifecycle import approve, publish_document, save, submit

TOKYO, KEY = "130001", "131121/ward-book-money"
OWN = ("id", "municipality", "valid", "certainty", "sources", "examples")


def later(hours):
    return NOW + dt.timedelta(hours=hours)


def of_tokyo(first="2026-04-01", yen=3000, **more):
    """Tokyo's document; its examples live where no ward has a programme of its own."""
    document = a_programme(first, yen, **{"municipality": TOKYO, **more})
    for example in document["examples"]:
        example["household"] = {**example["household"], "municipality": "131091"}
    return document


def of_the_ward(yen=3000, **more):
    """What the ward's own document says: the rest is Tokyo's."""
    own = {name: part for name, part in a_programme(yen=yen).items() if name in OWN}
    name = {"ja": "区のえほん手当(架空)"}
    return {**own, "id": "ward-book-money", "based_on": "130001/picture-book-money", "name": name, **more}


def versions(known_at=None):
    with app_session() as session:
        found = published(session, known_at=known_at).registry.programmes.get(KEY, ())
    return [(one.version, str(one.valid.until or ""), int(one.amount[0].yen), one.name.ja) for one in found]


def listed(office):
    with app_session(office.context) as session:
        rows = upkeep(session, published_now(session).registry, dt.date(2026, 11, 24), SETAGAYA)
    return [(row.due_on, row.fields) for row in rows if (row.subject, row.reason) == (KEY, "template")]


@pytest.fixture
def tokyo(published_registry):
    tokyo = office_of(TOKYO)
    publish_document(tokyo, of_tokyo())
    return tokyo


def test_what_changes_in_the_original_changes_here_on_the_day(office, tokyo):
    household = enrolled()
    publish_document(office, of_the_ward(), later(1))
    name = "区のえほん手当(架空)"
    assert versions() == [("2026-04-01", "", 3000, name)]
    publish_document(tokyo, of_tokyo("2027-04-01", 5000), later(2))
    assert versions() == [("2026-04-01", "2027-03-31", 3000, name), ("2027-04-01", "", 5000, name)]
    assert versions(known_at=later(1)) == [("2026-04-01", "", 3000, name)]
    assert listed(office) == [(dt.date(2027, 4, 1), ())]
    drain()
    # The ward's families are evaluated anew for what Tokyo corrects.
    publish_document(tokyo, of_tokyo(yen=4000), later(3))
    assert [one[2] for one in versions()] == [4000, 5000]
    drain()
    with owner_session() as session:
        mine = select(Entitlement).where(Entitlement.household_id == household, Entitlement.programme_key == KEY)
        rows = session.exec(mine).all()
        assert [row.answer["amount"]["yen"] for row in rows] == [4000]


def test_what_both_changed_stays_until_the_ward_decides(office, tokyo):
    publish_document(office, of_the_ward(3500, amount=[{"yen": 3500, "per": "month"}]), later(1))
    publish_document(tokyo, of_tokyo("2027-04-01", 5000, summary={"ja": "変わりました。"}), later(2))
    assert [one[:3] for one in versions()] == [("2026-04-01", "2027-03-31", 3500), ("2027-04-01", "", 3500)]
    assert listed(office) == [(dt.date(2027, 4, 1), ("amount",))]
    with pytest.raises(NotReady, match="template_conflict"):  # nor may it be written again over the edge
        publish_document(office, of_the_ward(3600, amount=[{"yen": 3600, "per": "month"}]), later(3))
    withdraw_all(office)
    with app_session(office.context) as session:
        adopt = (session, KEY, dt.date(2027, 12, 1), office.author, later(4))
        draft = lifecycle.adopt_template(*adopt)
        assert lifecycle.adopt_template(*adopt).revision == 1
        with pytest.raises(Conflict, match="found nothing new in the template"):
            lifecycle.adopt_template(session, KEY, dt.date(2026, 12, 1), office.author, later(4))
        session.commit()
    assert (draft.document["valid"], draft.document["summary"]) == ({"from": "2027-04-01"}, {"ja": "変わりました。"})
    assert draft.document["amount"] == [{"yen": 3500, "per": "month"}]
    examples = a_programme("2027-04-01", 5500)["examples"]
    decided = {**draft.document, "amount": [{"yen": 5500, "per": "month"}], "examples": examples}
    draft = save(office, decided, revision=1, now=later(5))
    submit(office, draft, later(5))
    publish_document(tokyo, of_tokyo("2027-04-01", 5000, summary={"ja": "また変わりました。"}), later(6))
    with pytest.raises(NotReady, match="derived from another version"):
        approve(office, draft, later(7))
    draft = save(office, {**decided, "summary": {"ja": "また変わりました。"}}, revision=2, now=later(7))
    submit(office, draft, later(7))
    approve(office, draft, later(8))
    assert [one[:3] for one in versions()] == [("2026-04-01", "2027-03-31", 3500), ("2027-04-01", "", 5500)]
    assert listed(office) == []


def test_nothing_here_outlives_the_original(office, tokyo):
    publish_document(office, of_the_ward(), later(1))
    with app_session(tokyo.context) as session:
        end = lifecycle.retire(
            session, "130001/picture-book-money", dt.date(2027, 3, 31), "終了", tokyo.author, later(2)
        )
        session.commit()
    approve(tokyo, end, later(3))
    assert [one[:2] for one in versions()] == [("2026-04-01", "2027-03-31")]
    publish_document(tokyo, of_tokyo("2027-04-01", 3000), later(4))
    assert [one[:2] for one in versions()] == [("2026-04-01", "")]


def withdraw_all(office):
    with app_session(office.context) as session:
        for one in drafts_of(session, SETAGAYA):
            lifecycle.withdraw(session, one.id, one.revision, office.author, later(3))
        session.commit()
