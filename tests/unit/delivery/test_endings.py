"""What an attempt makes of its row, and what keeps a row from going out."""

import datetime as dt
import uuid

import pytest

from app.delivery.channels.contract import AttemptResult, Outcome
from app.delivery.claim import Claimed, Refusal, why_not
from app.delivery.record import Ending, Finished, ending
from app.delivery.retry import STEPS

NOW = dt.datetime(2026, 4, 1, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


def finished(outcome, *, retries=0, expires_at=None, channel="webhook", pause=None):
    claimed = Claimed(
        id=uuid.uuid4(), token=uuid.uuid4(), queue="q", channel=channel, event_id="evt_1", requests=retries + 1,
        retries=retries, first_attempted_at=NOW, expires_at=expires_at, municipality_code="", contact_point_id=None,
        endpoint_id=None, claimed_at=0.0, content={},
    )
    result = AttemptResult(outcome=outcome, duration_seconds=0.1, retry_after_seconds=pause)
    return Finished(claimed=claimed, result=result, started_at=NOW)


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        (Outcome.DELIVERED, "delivered"),
        (Outcome.ACCEPTED, "accepted"),
        (Outcome.RETRY, "retrying"),
        (Outcome.TARGET_BLOCKED, "retrying"),
        (Outcome.THROTTLED, "retrying"),
        (Outcome.PERMANENT_FAILURE, "failed"),
        (Outcome.ENDPOINT_GONE, "failed"),
        (Outcome.UNDELIVERABLE, "failed"),
    ],
)
def test_every_outcome_leads_to_a_state(outcome, state):
    assert ending(finished(outcome), NOW, 0.5).state == state


def test_a_failure_uses_up_a_step_and_a_throttling_does_not():
    assert ending(finished(Outcome.RETRY, retries=3), NOW, 0.5) == Ending(
        state="retrying", retries=4, next_attempt_at=NOW + STEPS[4]
    )
    assert ending(finished(Outcome.THROTTLED, retries=3, pause=90), NOW, 0.5) == Ending(
        state="retrying", retries=3, next_attempt_at=NOW + dt.timedelta(seconds=90)
    )


def test_the_last_step_fails():
    assert ending(finished(Outcome.RETRY, retries=len(STEPS) - 1), NOW, 0.5).state == "failed"


def test_what_would_come_too_late_expires_now():
    assert ending(finished(Outcome.RETRY, retries=4, expires_at=NOW + HOUR), NOW, 0.5).state == "expired"
    assert ending(finished(Outcome.RETRY, expires_at=NOW + HOUR), NOW, 0.5).state == "retrying"


def row(**changes):
    return {
        "stop_reason": None, "expires_at": None, "consent_epoch": 4, "lane": "notice", "subjects": ["child:c1"],
        "channel": "email", "partner_id": None, "contact_confirmed_at": NOW, "state": "scheduled", "losses": 0,
    } | changes  # fmt: skip


def gate(**changes):
    return {"consent_epoch": 4, "protected_at": None, "stopped_subjects": []} | changes


@pytest.mark.parametrize(
    ("changed_row", "changed_gate", "refusal"),
    [
        ({}, {}, None),
        ({"stop_reason": "link_revoked"}, {}, Refusal("cancelled", "link_revoked")),
        ({"expires_at": NOW}, {}, Refusal("expired", "expired")),
        ({"expires_at": NOW + HOUR}, {}, None),
        ({}, {"consent_epoch": 5}, Refusal("cancelled", "consent_withdrawn")),
        ({"lane": "transactional", "consent_epoch": None}, {"consent_epoch": 5}, None),
        ({}, {"stopped_subjects": ["child:c1"]}, Refusal("cancelled", "person_stopped")),
        ({}, {"stopped_subjects": ["child:c2"]}, None),
        ({"lane": "transactional"}, {"stopped_subjects": ["child:c1"]}, None),
        ({}, {"protected_at": NOW}, Refusal("cancelled", "protected")),
        ({}, {"protected_at": NOW - HOUR}, None),
        ({"contact_confirmed_at": None}, {"protected_at": NOW - HOUR}, Refusal("cancelled", "protected")),
        ({"lane": "transactional", "consent_epoch": None}, {"protected_at": NOW}, Refusal("cancelled", "protected")),
        ({"channel": "webhook"}, {"protected_at": NOW - HOUR}, Refusal("cancelled", "protected")),
        ({"partner_id": uuid.uuid4()}, {"protected_at": NOW - HOUR}, Refusal("cancelled", "protected")),
        ({"state": "sending", "losses": 10}, {}, None),
        ({"state": "sending", "losses": 11}, {}, Refusal("failed", "worker_lost")),
    ],
)
def test_what_keeps_a_row_from_going_out(changed_row, changed_gate, refusal):
    assert why_not(row(**changed_row), gate(**changed_gate), NOW) == refusal


def test_without_a_household_only_time_and_stops_count():
    assert why_not(row(consent_epoch=None, lane="transactional", contact_confirmed_at=None), None, NOW) is None
