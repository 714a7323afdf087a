"""The events: thin, valid by their own exported schema, stable in their bytes."""

import datetime as dt
import json
import re
import uuid

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from pydantic import ValidationError

from app.partners import events
from app.platform.errors import NotFound
from app.platform.sealing import generate_key
from app.platform.settings import settings

AT = dt.datetime(2026, 11, 24, 9, 5, tzinfo=dt.timezone(dt.timedelta(hours=9)))
SUBJECT = "sub_" + "0" * 32
NOTICE = uuid.UUID("019ab1f0-7c00-7000-8000-000000000001")

#: Everything a payload may say. A new member is a decision, not an accident.
MEMBERS = {
    "type",
    "timestamp",
    "data",
    "subject_id",
    "notice_id",
    "programme_id",
    "category",
    "kind",
    "urgency",
    "deadline_on",
    "sequence",
    "link",
    "linked_at",
    "revoked_at",
    "endpoint_id",
    "reason",
    "disabled_at",
}


@pytest.fixture(autouse=True)
def index_key(monkeypatch):
    monkeypatch.setenv("TODOKE_SEALING__INDEX_KEY", generate_key())
    monkeypatch.setenv("TODOKE_PUBLIC_URL", "https://todoke.example/")
    settings.cache_clear()
    yield
    settings.cache_clear()


def content(**changes):
    told = {
        "subject_id": SUBJECT,
        "notice_id": NOTICE,
        "programme_id": "000000/child-allowance",
        "category": None,
        "kind": "new_support",
        "deadline_on": dt.date(2026, 12, 7),
        "sequence": 1,
        "today": dt.date(2026, 11, 24),
    }
    return events.notice_content(**(told | changes))


def bodies():
    return [
        events.notice_created(content(), at=AT),
        events.notice_updated(content(sequence=2, deadline_on=None), at=AT),
        events.notice_created(content(programme_id=None, category="single_parent_family"), at=AT),
        events.notice_cancelled(subject_id=SUBJECT, notice_id=NOTICE, sequence=3, at=AT),
        events.notice_expired(subject_id=SUBJECT, notice_id=NOTICE, sequence=4, at=AT),
        events.link_created(subject_id=SUBJECT, at=AT),
        events.link_revoked(subject_id=SUBJECT, at=AT),
        events.endpoint_disabled(endpoint_id=NOTICE, reason="gone", at=AT),
        events.ping(endpoint_id=NOTICE, at=AT),
    ]


def members_of(value):
    if isinstance(value, dict):
        return set(value).union(*(members_of(part) for part in value.values()))
    return set()


def test_every_built_body_is_valid_by_the_exported_schema():
    seen = set()
    for body in bodies():
        event = json.loads(body)
        Draft202012Validator(events.json_schema(event["type"]), format_checker=FormatChecker()).validate(event)
        seen.add(event["type"])
    assert seen == set(events.EVENT_TYPES)


@pytest.mark.parametrize("event_type", events.EVENT_TYPES)
def test_every_example_is_valid_and_of_its_type(event_type):
    schema = events.json_schema(event_type)
    Draft202012Validator.check_schema(schema)
    [example] = schema["examples"]
    Draft202012Validator(schema, format_checker=FormatChecker()).validate(example)
    assert example["type"] == event_type
    assert set(schema["required"]) == {"type", "timestamp", "data"}


@pytest.mark.parametrize("event_type", events.EVENT_TYPES)
def test_the_schema_refuses_an_event_without_its_data(event_type):
    schema = events.json_schema(event_type)
    broken = events.example_of(event_type) | {"data": {}}
    assert not Draft202012Validator(schema).is_valid(broken)
    assert not Draft202012Validator(schema).is_valid(events.example_of(event_type) | {"type": "notice.opened"})


def test_nothing_beyond_the_known_members_is_ever_said():
    for body in bodies():
        assert members_of(json.loads(body)) <= MEMBERS


def test_bodies_are_small_minified_and_in_utc():
    for body in bodies():
        assert body == json.dumps(json.loads(body), separators=(",", ":"), ensure_ascii=False).encode()
        assert len(body) < 1000
        assert json.loads(body)["timestamp"] == "2026-11-24T00:05:00Z"
        assert next(iter(json.loads(body))) == "type"


def test_our_own_ids_do_not_travel():
    told = [body for body in bodies() if b'"notice.' in body]
    assert told
    for body in told:
        assert str(NOTICE).encode() not in body
        assert NOTICE.hex.encode() not in body


def test_two_partners_cannot_join_what_they_are_told():
    other = "sub_" + "1" * 32
    mine, theirs = content(), content(subject_id=other)
    shared = {name for name in type(mine).model_fields if getattr(mine, name) == getattr(theirs, name)}
    assert shared == {"programme_id", "category", "kind", "urgency", "deadline_on", "sequence"}
    assert mine.link == f"https://todoke.example/open/{mine.notice_id}"


@pytest.mark.parametrize("extra", ["name", "birth_date", "income", "reason", "municipality"])
def test_a_personal_member_is_refused(extra):
    with pytest.raises(ValidationError, match="Extra inputs"):
        events.NoticeContent.model_validate({**content().model_dump(), extra: "x"})


@pytest.mark.parametrize(("programme_id", "category"), [(None, None), ("131121/a", "disability")])
def test_a_sensitive_programme_is_a_category_and_nothing_else(programme_id, category):
    with pytest.raises(ValidationError, match="either programme_id or category"):
        content(programme_id=programme_id, category=category)


def test_the_instant_must_know_its_time_zone():
    with pytest.raises(ValidationError, match="timezone"):
        events.link_created(subject_id=SUBJECT, at=dt.datetime(2026, 11, 24))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("days", "urgency"),
    [(-1, "immediate"), (0, "immediate"), (7, "immediate"), (8, "soon"), (30, "soon"), (31, "later")],
)
def test_urgency_follows_the_deadline(days, urgency):
    today = dt.date(2026, 11, 24)
    assert events.urgency_of(today + dt.timedelta(days=days), today) == urgency
    assert events.urgency_of(None, today) == "none"


def test_types_follow_the_standard():
    assert all(re.fullmatch(r"[a-zA-Z0-9_]+(\.[a-zA-Z0-9_]+)+", name) for name in events.EVENT_TYPES)


def test_an_unknown_type_has_no_schema():
    with pytest.raises(NotFound, match=r"notice\.opened.*test\.ping"):
        events.json_schema("notice.opened")
