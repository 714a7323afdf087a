"""Names of notices and events that hold for one pair of family and app only."""

import uuid

import pytest

from app.partners.links import notice_behind, pairwise_event_id, pairwise_notice_id
from app.platform.sealing import generate_key
from app.platform.settings import settings

ONE, TWO = "sub_" + "1" * 32, "sub_" + "2" * 32


@pytest.fixture(autouse=True)
def index_key(monkeypatch):
    monkeypatch.setenv("TODOKE_SEALING__INDEX_KEY", generate_key())
    settings.cache_clear()
    yield
    settings.cache_clear()


def test_names_are_stable_for_a_pair_and_differ_between_pairs():
    notice = uuid.uuid4()
    assert pairwise_notice_id(ONE, notice) == pairwise_notice_id(ONE, notice)
    assert pairwise_notice_id(ONE, notice) != pairwise_notice_id(TWO, notice)


def test_a_webhook_id_is_the_same_for_the_same_telling_only():
    first = pairwise_event_id(ONE, "notice.created", "n1")
    assert first == pairwise_event_id(ONE, "notice.created", "n1", 1)
    others = {
        pairwise_event_id(TWO, "notice.created", "n1"),
        pairwise_event_id(ONE, "notice.updated", "n1"),
        pairwise_event_id(ONE, "notice.created", "n2"),
        pairwise_event_id(ONE, "notice.created", "n1", 2),
    }
    assert first not in others
    assert len(others) == 4
    assert "." not in first  # it becomes part of what is signed


def test_the_opened_address_finds_the_notice_of_the_family():
    notices = [uuid.uuid4() for _ in range(5)]
    name = pairwise_notice_id(TWO, notices[3])
    assert notice_behind(name, [ONE, TWO], notices) == notices[3]
    assert notice_behind(name, [ONE], notices) is None
    assert notice_behind("ntc_é", [ONE, TWO], notices) is None
