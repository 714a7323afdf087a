"""The checker over synthetic logs: a sound run is held to be sound, and each broken promise is named."""

import dataclasses
import json

import pytest

from tests.chaos import broken
from tests.chaos.checker import Case, check, raced
from tests.chaos.evidence import (
    Answer,
    Change,
    Decision,
    Evidence,
    Fault,
    GateChange,
    Kill,
    Link,
    Request,
    append,
    read,
)

FAMILY, PARTNER, ENDPOINT = "family-1", "partner-1", "endpoint-1"


def decision(**changes):
    values = {
        "id": "d1", "committed_at": 100.0, "event": "evt_1", "event_type": "notice.created", "lane": "event",
        "channel": "webhook", "municipality": "131121", "household": FAMILY, "partner": PARTNER,
        "endpoint": ENDPOINT, "epoch": 0, "subjects": ("child:c1",),
    }  # fmt: skip
    return Decision(**values | changes)


def claim(at, *, number=1, by="worker-1", token="t1", lease=None, before="scheduled", lease_before=None, id="d1"):
    return Change(number=number, id=id, at=at - 0.01, committed_at=at, by=by, before=before, after="sending", token=token, lease=lease or at + 40, lease_before=lease_before)  # fmt: skip


def result(
    at, state="delivered", *, number=2, by="worker-1", lease_before=None, before="sending", reason=None, id="d1"
):
    return Change(number=number, id=id, at=at - 0.01, committed_at=at, by=by, before=before, after=state, token_before="t1", lease_before=lease_before or at + 30, reason=reason)  # fmt: skip


def request(at, **changes):
    values = {"at": at, "target": ENDPOINT, "event": "evt_1", "subject": "sub_1", "digest": "b1", "yes_at": at + 0.01}
    return Request(**values | changes)


def gate(at, *, number=1, epoch=0, protected_at=None, stopped=(), municipality="131121"):
    return GateChange(number=number, household=FAMILY, committed_at=at, epoch=epoch, municipality=municipality, protected_at=protected_at, stopped=stopped)  # fmt: skip


def answer(at, stopped=True, kind="withdrawal"):
    return Answer(household=FAMILY, kind=kind, began_at=at - 0.2, answered_at=at, stopped=stopped)


def run(**parts):
    """One event that was decided, claimed, sent, taken and recorded, unless told otherwise."""
    values = {
        "decisions": [decision()],
        "changes": [claim(101.0), result(102.0)],
        "requests": [request(101.5)],
        "gates": [gate(1.0)],
        "links": [Link(subject="sub_1", partner=PARTNER, household=FAMILY)],
        "endpoints": {ENDPOINT: {"partner": PARTNER, "manner": "healthy"}},
        "addresses": {FAMILY: ["own@home.example"]},
    }
    return Evidence(**values | parts)


def found(**parts):
    return check(run(**parts)).names


def test_a_sound_run_is_sound():
    verdict = check(run())
    assert verdict.violations == []
    assert verdict.figures["states"] == {"delivered": 1}


LATER = [gate(1.0), gate(101.2, number=2, epoch=1)]
PROTECTED = [gate(1.0), gate(101.2, number=2, protected_at=50.0)]


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        # lost
        ({"changes": [], "requests": []}, "lost"),
        ({"changes": [claim(101.0)]}, "lost"),
        ({"requests": []}, "lost"),
        ({"requests": [request(101.5, yes_at=None)]}, "lost"),
        ({"changes": [claim(101.0), result(102.0, "failed", reason="worker_lost")]}, "lost"),
        ({"changes": [claim(101.0), result(102.0, "cancelled", reason="consent_withdrawn")]}, "lost"),
        ({"changes": [claim(101.0), result(102.0, "cancelled", reason="endpoint_disabled")]}, "lost"),
        ({"unevaluated": 1}, "lost"),
        ({"overdue_notices": 1}, "lost"),
        # claims after a stop
        ({"gates": [gate(1.0), gate(100.9, number=2, epoch=1)]}, "claimed_after_stop"),
        ({"gates": [gate(1.0), gate(100.9, number=2, protected_at=50.0)]}, "claimed_after_stop"),
        ({"gates": [gate(1.0), gate(100.9, number=2, stopped=("child:c1",))]}, "claimed_after_stop"),
        # requests
        ({"requests": [request(101.5), request(101.6, event="evt_9", digest="b9")]}, "request_without_decision"),
        ({"requests": [request(100.5)]}, "request_before_claim"),
        ({"gates": LATER, "answers": [answer(101.4)]}, "request_after_answer"),
        ({"gates": PROTECTED, "answers": [answer(101.4, kind="protection")]}, "request_after_answer"),
        # ids
        ({"decisions": [decision(), decision(id="d2", event="evt_2")],
          "changes": [claim(101.0), result(102.0), claim(101.0, id="d2"), result(102.0, id="d2")],
          "requests": [request(101.5), request(101.6, event="evt_2")]}, "two_ids"),
        # outside
        ({"links": [Link(subject="sub_1", partner="partner-2", household=FAMILY)]}, "outside"),
        ({"links": [Link(subject="sub_1", partner=PARTNER, household="family-2")]}, "outside"),
        ({"links": []}, "outside"),
        ({"requests": [request(101.5, verified=False)]}, "outside"),
        ({"gates": [gate(1.0, municipality="131041")]}, "outside"),
        ({"decisions": [decision(channel="email", endpoint=None, partner=None)],
          "requests": [request(101.5, target="email", event="d1", subject=None, address="other@home.example")]}, "outside"),
        # tokens and leases
        ({"changes": [claim(101.0), result(102.0), result(103.0, "cancelled", number=3, before="delivered", reason="unsubscribed")]}, "end_undone"),
        ({"changes": [claim(101.0), claim(103.0, number=2, by="worker-2", token="t2", before="sending", lease_before=141.0),
                      result(104.0, number=3, by="worker-2")]}, "lease_broken"),
        ({"changes": [claim(101.0), claim(142.0, number=2, by="worker-2", token="t2", before="sending", lease_before=141.0),
                      result(143.0, number=3, by="worker-1")]}, "late_result_applied"),
        # recovery
        ({"changes": [claim(101.0), claim(190.0, number=2, token="t2", before="sending", lease_before=141.0), result(191.0, number=3)],
          "kills": [Kill(at=101.2, point="mid_send", held=("d1",))]}, "slow_recovery"),
        ({"decisions": [decision(committed_at=20.0)], "faults": [Fault(at=30.0, kind="broker wiped", until=31.0)]}, "slow_recovery"),
    ],
)  # fmt: skip
def test_each_broken_promise_is_named(parts, name):
    assert found(**parts) == {name}


@pytest.mark.parametrize(
    "parts",
    [
        # called back by the family before it went, and after it went
        {"gates": LATER, "answers": [answer(101.8)], "requests": [], "changes": [result(101.2, "cancelled", number=1, before="scheduled", reason="consent_withdrawn")]},
        {"gates": LATER, "answers": [answer(101.4, stopped=False)]},
        {"gates": LATER, "answers": [answer(101.8)]},
        # agreed to again, and the same event decided again: the row of before is history
        {"decisions": [decision(), decision(id="d2", epoch=1, committed_at=101.45)], "gates": LATER, "answers": [answer(101.4)],
         "changes": [claim(101.0), result(101.3, "cancelled", reason="consent_withdrawn"), claim(101.46, id="d2"), result(102.0, id="d2")]},
        # protection that was lowered again before the decision
        {"gates": [gate(1.0), gate(50.0, number=2, protected_at=50.0), gate(60.0, number=3)], "answers": [answer(51.0, kind="protection")]},
        # under protection, to a contact confirmed after it
        {"decisions": [decision(channel="email", endpoint=None, partner=None, contact_confirmed_at=70.0)],
         "gates": [gate(1.0), gate(50.0, number=2, protected_at=60.0)], "answers": [answer(51.0)],
         "requests": [request(101.5, target="email", event="d1", subject=None, address="own@home.example")]},
        # killed after the yes: it comes again, with the same id
        {"changes": [claim(101.0), claim(142.0, number=2, by="worker-2", token="t2", before="sending", lease_before=141.0), result(143.0, number=3, by="worker-2")],
         "requests": [request(101.5), request(142.5)], "kills": [Kill(at=101.6, point="after_yes", held=("d1",))]},
        # a late result whose lease had lapsed, but whose row nobody had taken
        {"changes": [claim(101.0), result(150.0, lease_before=141.0)]},
        # a receiver that said that it is gone
        {"changes": [claim(101.0), result(102.0, "failed")], "requests": [request(101.5, yes_at=None)], "endpoints": {ENDPOINT: {"partner": PARTNER, "manner": "gone"}}},
    ],
)  # fmt: skip
def test_what_is_allowed_is_not_named(parts):
    verdict = check(run(**parts))
    assert verdict.violations == []


def test_recovery_is_measured_by_rows_that_no_other_kill_held():
    changes = [claim(101.0), claim(142.0, number=2, token="t2", before="sending", lease_before=141.0), claim(183.0, number=3, token="t3", before="sending", lease_before=182.0), result(184.0, number=4)]  # fmt: skip
    kills = [Kill(at=101.5, point="mid_send", held=("d1",)), Kill(at=142.5, point="mid_send", held=("d1",))]
    figures = check(run(changes=changes, kills=kills)).figures
    assert figures["recovery_after_kill_measured"] == 1
    assert figures["recovery_after_kill_max_seconds"] == pytest.approx(41.49)


def test_a_safeguard_races_a_claim_that_is_under_way():
    assert raced(Case(run(answers=[answer(101.9)]))) == 1
    assert raced(Case(run(answers=[answer(110.0)]))) == 0


def test_a_row_killed_nowhere_is_no_recovery():
    figures = check(run(kills=[Kill(at=99.0, point="before_claim")])).figures
    assert (figures["recovery_after_kill_measured"], figures["recovery_after_kill_p50_seconds"]) == (0, None)


def test_logs_are_read_as_they_are_written(tmp_path):
    whole = run(
        answers=[answer(110.0)], kills=[Kill(at=99.0, point="before_claim")], faults=[Fault(at=1.0, kind="two beats")]
    )
    append(
        tmp_path / "changes.jsonl", **dataclasses.asdict(whole.decisions[0]), before=None, after="scheduled", number=0
    )
    for name in ("changes", "gates", "links", "answers", "kills", "faults"):
        for one in getattr(whole, name):
            append(tmp_path / f"{name}.jsonl", **dataclasses.asdict(one))
    arrived = dataclasses.asdict(whole.requests[0])
    yes_at = arrived.pop("yes_at")
    append(tmp_path / "requests.jsonl", number=1, **arrived)
    append(tmp_path / "requests.jsonl", number=1, yes_at=yes_at)
    with (tmp_path / "requests.jsonl").open("a") as log:
        log.write('{"number":2,"at":10')  # the receiver was ended in the middle of a line
    stage = {
        "endpoints": whole.endpoints,
        "addresses": whole.addresses,
        "patient": ["gone"],
        "unevaluated": 0,
        "overdue_notices": 0,
    }
    (tmp_path / "stage.json").write_text(json.dumps(stage))
    assert read(tmp_path) == whole


def test_every_broken_build_has_a_violation_that_the_checker_can_find():
    known = {"lost", "claimed_after_stop", "request_without_decision", "request_before_claim", "request_after_answer", "two_ids", "outside", "end_undone", "lease_broken", "late_result_applied", "slow_recovery"}  # fmt: skip
    assert set().union(*broken.EXPECTED.values()) <= known
    with pytest.raises(ValueError, match="expected one of claim_without_gate"):
        broken.break_worker("no_such_build")


@pytest.mark.parametrize(
    ("event_type", "named"),
    [("notice.cancelled", False), ("link.created", False), ("notice.created", True), ("survey.asked", True)],
)
def test_what_begins_or_ends_something_may_go_under_the_next_epoch_and_nothing_else_may(event_type, named):
    gates = [gate(1.0), gate(100.9, number=2, epoch=1)]
    assert ("claimed_after_stop" in found(decisions=[decision(event_type=event_type)], gates=gates)) == named
