"""The invariants of delivery, checked over the logs of a run. Pure: no database, no clock, no knowledge of the run.

It does not call the code that it judges: what the gate allows is written down here a second time, on purpose.

    python -m tests.chaos.checker FOLDER

checks a folder again and ends with 1 where an invariant broke.
"""

import argparse
import bisect
import json
import statistics
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from tests.chaos.evidence import Change, Decision, Evidence, GateChange, Request, read

TERMINAL: Final = frozenset({"delivered", "accepted", "failed", "expired", "cancelled"})
ARRIVED: Final = frozenset({"delivered", "accepted"})
#: Receivers that tell us to stop for good: what waits for them ends with them.
HOPELESS: Final = frozenset({"gone"})
#: Reasons of a cancellation that a change of the household's gate must explain.
BY_THE_GATE: Final = frozenset({"consent_withdrawn", "protected", "person_stopped"})
RECOVERY_SECONDS: Final = 60.0
#: A request and the commit before it are seen by two processes; both read one clock, which counts microseconds.
_TICK: Final = 0.001


@dataclass(frozen=True, slots=True)
class Violation:
    """One invariant that did not hold: its name, and what was found."""

    name: str
    found: str


@dataclass(slots=True)
class Verdict:
    """What the checker says: violations, and figures about the run."""

    violations: list[Violation] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    @property
    def names(self) -> set[str]:
        return {violation.name for violation in self.violations}


class Case:
    """The evidence, put in order once for all checks."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.decisions: dict[str, Decision] = {one.id: one for one in evidence.decisions}
        self.changes: dict[str, list[Change]] = defaultdict(list)
        for change in sorted(evidence.changes, key=lambda one: one.number):
            self.changes[change.id].append(change)
        self._gates: dict[str, list[GateChange]] = defaultdict(list)
        for gate in sorted(evidence.gates, key=lambda one: (one.committed_at, one.number)):
            self._gates[gate.household].append(gate)
        self.links = {link.subject: link for link in evidence.links}

    def state(self, decision: Decision) -> str:
        changes = self.changes.get(decision.id)
        return changes[-1].after if changes else "scheduled"

    def gate_at(self, household: str, at: float) -> GateChange | None:
        """Return the gate by the last commit before an instant."""
        gates = self._gates.get(household, [])
        place = bisect.bisect_right(gates, at, key=lambda gate: gate.committed_at)
        return gates[place - 1] if place else None

    def gates_between(self, household: str, begin: float, end: float) -> list[GateChange]:
        """Return the gate as it was at an instant, and all that it became until another."""
        first = self.gate_at(household, begin)
        later = [gate for gate in self._gates.get(household, []) if begin < gate.committed_at <= end]
        return ([first] if first else []) + later

    def target(self, decision: Decision) -> str:
        return decision.endpoint or decision.channel

    def key(self, decision: Decision) -> str:
        """Return what a receiver knows the decision by."""
        return decision.event if decision.channel == "webhook" else decision.id

    @cached_property
    def by_key(self) -> Mapping[tuple[str, str], list[Decision]]:
        """Decisions by receiver and event: one event is decided again where consent has changed in between."""
        found: dict[tuple[str, str], list[Decision]] = defaultdict(list)
        for decision in self.decisions.values():
            found[self.target(decision), self.key(decision)].append(decision)
        return found

    def decisions_behind(self, request: Request) -> Sequence[Decision]:
        return self.by_key.get((request.target, request.event), ())

    def claims(self, decision: Decision) -> Iterator[Change]:
        return (change for change in self.changes.get(decision.id, ()) if change.is_claim)

    def manner(self, decision: Decision) -> str:
        return self.evidence.endpoints.get(decision.endpoint or "", {}).get("manner", "healthy")


#: Events that tell nothing new about a family and leave a dead notice or link on a screen if they do not arrive.
BEGINS_OR_ENDS: Final = ("link.created", "link.revoked", "notice.cancelled", "notice.expired")


def why_forbidden(decision: Decision, gate: GateChange, *, renewed: bool = False) -> str | None:
    """Say why a gate lets a decision not pass; None if it does.

    With `renewed` what begins or ends something may have been put under the new epoch by the safeguard that raised it.
    """
    was_renewed = renewed and decision.event_type in BEGINS_OR_ENDS
    if decision.epoch is not None and decision.epoch != gate.epoch and not was_renewed:
        return f"decided under epoch {decision.epoch}, the gate is at {gate.epoch}"
    if decision.lane != "transactional" and set(decision.subjects) & set(gate.stopped):
        return "about a person whose messages were stopped"
    if gate.protected_at is not None:
        confirmed = decision.contact_confirmed_at
        if decision.partner is not None or confirmed is None or confirmed <= gate.protected_at:
            return "under protection, to somebody known before"
    return None


def check(evidence: Evidence) -> Verdict:
    """Judge a run."""
    case = Case(evidence)
    verdict = Verdict()
    for rule in RULES:
        verdict.violations += rule(case)
    verdict.figures = figures(case)
    for what in ("kill", "wipe"):
        longest = verdict.figures[f"recovery_after_{what}_max_seconds"]
        if longest is not None and longest > RECOVERY_SECONDS:
            verdict.violations.append(Violation("slow_recovery", f"{longest} s after a {what}"))
    return verdict


def lost(case: Case) -> Iterator[Violation]:
    """Every decision arrives, unless it was called back, expired, or its receiver told us to stop."""
    taken = {(one.target, one.event) for one in case.evidence.requests if one.yes_at is not None}
    for decision in case.decisions.values():
        state = case.state(decision)
        if state in ARRIVED and (case.target(decision), case.key(decision)) not in taken:
            yield Violation("lost", f"{decision.id} is {state}, but its receiver never said yes to it")
        elif state == "failed" and case.manner(decision) not in HOPELESS:
            yield Violation("lost", f"{decision.id} failed: {case.changes[decision.id][-1].reason}")
        elif state not in TERMINAL and case.manner(decision) not in case.evidence.patient:
            yield Violation("lost", f"{decision.id} is still {state} at the end")
        elif state == "cancelled" and (why := _wrongly_cancelled(case, decision)):
            yield Violation("lost", f"{decision.id} was cancelled: {why}")
    if case.evidence.unevaluated:
        yield Violation("lost", f"{case.evidence.unevaluated} changed households were never evaluated")
    if case.evidence.overdue_notices:
        yield Violation("lost", f"{case.evidence.overdue_notices} notices were never released")


def _wrongly_cancelled(case: Case, decision: Decision) -> str | None:
    last = case.changes[decision.id][-1]
    if last.reason == "endpoint_disabled":
        return None if case.manner(decision) in HOPELESS else "its endpoint was disabled, though it lives"
    if last.reason in BY_THE_GATE and decision.household is not None:
        gates = case.gates_between(decision.household, decision.committed_at, last.committed_at)
        if gates and all(why_forbidden(decision, gate) is None for gate in gates):
            return f"{last.reason}, but its family's gate let it pass all the time"
    return None


def claimed_after_stop(case: Case) -> Iterator[Violation]:
    """No claim commits after a withdrawal, protection or stop has."""
    for decision in case.decisions.values():
        if decision.household is None:
            continue
        for claim in case.claims(decision):
            gate = case.gate_at(decision.household, claim.committed_at)
            why = why_forbidden(decision, gate, renewed=True) if gate is not None else None
            if gate is not None and why is not None:
                late = (claim.committed_at - gate.committed_at) * 1000
                yield Violation("claimed_after_stop", f"{decision.id} {late:.1f} ms after: {why}")


def requested_without_claim(case: Case) -> Iterator[Violation]:
    """Every request is one of a decision, to its own receiver, after a claim of it has committed."""
    for request in case.evidence.requests:
        behind = case.decisions_behind(request)
        if not behind:
            yield Violation("request_without_decision", f"{request.event} at {request.target}: nobody decided that")
        elif not any(claim.committed_at <= request.at + _TICK for one in behind for claim in case.claims(one)):
            yield Violation("request_before_claim", f"{request.event} at {request.target}: no claim had committed")


def requested_after_answer(case: Case) -> Iterator[Violation]:
    """No request starts after a family was told that nothing is on its way any more."""
    answers: dict[str, list[float]] = defaultdict(list)
    for answer in sorted(case.evidence.answers, key=lambda one: one.answered_at):
        if answer.stopped:
            answers[answer.household].append(answer.answered_at)
    for request in case.evidence.requests:
        behind = case.decisions_behind(request)
        if behind and all(_answered_before(case, answers, one, request.at) for one in behind):
            yield Violation("request_after_answer", f"{request.event} at {request.target}: its family had been told")


def _answered_before(case: Case, answers: Mapping[str, Sequence[float]], decision: Decision, at: float) -> bool:
    """Say whether a family had its answer about a gate that has let this decision not pass ever since."""
    household = decision.household or ""
    given = answers.get(household, ())
    place = bisect.bisect_left(given, at)
    if not place:
        return False
    gates = case.gates_between(household, given[place - 1], at)
    return bool(gates) and all(why_forbidden(decision, gate, renewed=True) is not None for gate in gates)


def two_ids(case: Case) -> Iterator[Violation]:
    """One decision never comes under two ids."""
    ids: dict[tuple[str, str], set[str]] = defaultdict(set)
    for request in case.evidence.requests:
        if request.digest:
            ids[request.target, request.digest].add(request.event)
    for (target, _), events in ids.items():
        if len(events) > 1:
            yield Violation("two_ids", f"the same message came to {target} as {', '.join(sorted(events))}")


def outside(case: Case) -> Iterator[Violation]:
    """A family's events go to its linked partners alone, its messages to its own addresses, in its municipality."""
    for request in case.evidence.requests:
        if not request.verified:
            yield Violation("outside", f"{request.event} at {request.target}: signed for another endpoint")
        behind = case.decisions_behind(request)
        endpoint = case.evidence.endpoints.get(request.target)
        if endpoint is not None and request.subject is not None:
            link = case.links.get(request.subject)
            if link is None or link.partner != endpoint["partner"]:
                yield Violation(
                    "outside", f"{request.event} at {request.target}: {request.subject} is not of its partner"
                )
            elif any(one.household not in (None, link.household) for one in behind):
                yield Violation("outside", f"{request.event} at {request.target}: about another family")
        own = [case.evidence.addresses.get(one.household or "", []) for one in behind] if request.address else []
        if any(request.address not in addresses for addresses in own):
            yield Violation("outside", f"{request.event} by {request.target}: to an address of another family")
    for decision in case.decisions.values():
        if decision.household is not None:
            gate = case.gate_at(decision.household, decision.committed_at)
            if gate is not None and gate.municipality != decision.municipality:
                yield Violation(
                    "outside", f"{decision.id}: of {decision.municipality}, the family lives in {gate.municipality}"
                )


def tokens(case: Case) -> Iterator[Violation]:
    """Who lost the lease writes nothing, what is over stays so, and nobody takes what another still holds."""
    for changes in case.changes.values():
        holder = ""
        for change in changes:
            if change.before in TERMINAL and change.after != change.before:
                yield Violation("end_undone", f"{change.id} went from {change.before} to {change.after}")
            lapsed = change.lease_before is None or change.lease_before <= change.at + _TICK
            if change.is_claim:
                if change.before == "sending" and not lapsed:
                    yield Violation("lease_broken", f"{change.id} was taken while its lease was still running")
                holder = change.by
            elif change.before == "sending" and change.after != "sending" and change.by != holder and not lapsed:
                yield Violation("late_result_applied", f"{change.id} became {change.after} by one who did not hold it")


RULES: Final[tuple[Callable[[Case], Iterable[Violation]], ...]] = (
    lost, claimed_after_stop, requested_without_claim, requested_after_answer, two_ids, outside, tokens,
)  # fmt: skip


def figures(case: Case) -> dict[str, Any]:
    """Return what a reader of the summary wants to know, besides whether anything broke."""
    evidence = case.evidence
    webhooks = [one for one in evidence.requests if one.target not in ("email", "line")]
    times = Counter((one.target, one.event) for one in webhooks if one.yes_at is not None)
    kills, wipes = recoveries(case), recoveries_after_wipes(case)
    return {
        "decisions": len(case.decisions),
        "of_notices": sum(one.event_type in ("notice.push", "notice.created") for one in case.decisions.values()),
        "states": dict(Counter(case.state(one) for one in case.decisions.values())),
        "claims": sum(1 for one in case.decisions.values() for _ in case.claims(one)),
        "requests": len(evidence.requests),
        "duplicates_with_the_same_id": sum(count - 1 for count in times.values()),
        "safeguards": dict(Counter(one.kind for one in evidence.answers)),
        "safeguards_racing_live_claims": raced(case),
        "answered_still_under_way": sum(not one.stopped for one in evidence.answers),
        "kills": dict(Counter(one.point for one in evidence.kills)),
        "kills_of_whole_workers": sum(one.whole for one in evidence.kills),
        "rows_held_when_killed": sum(len(one.held) for one in evidence.kills),
        "faults": dict(Counter(one.kind for one in evidence.faults)),
        **_spread("recovery_after_kill", kills),
        **_spread("recovery_after_wipe", wipes),
    }


def _spread(name: str, seconds: Sequence[float]) -> dict[str, Any]:
    return {
        f"{name}_measured": len(seconds),
        f"{name}_p50_seconds": round(statistics.median(seconds), 2) if seconds else None,
        f"{name}_max_seconds": round(max(seconds), 2) if seconds else None,
    }


def recoveries(case: Case) -> list[float]:
    """Return, for each kill that held rows, the seconds until the first of them was recorded as arrived.

    A row says something where it was claimed once more and arrived by that claim. One that met another victim then, or
    a receiver that takes nothing, or that was called back, says nothing; a kill whose rows all say nothing is not
    measured.
    """
    found = []
    for kill in case.evidence.kills:
        seconds = [_arrived_after(case, held, kill.at) for held in kill.held]
        measured = [one for one in seconds if one is not None]
        if measured:
            found.append(min(measured))
    return found


def _arrived_after(case: Case, held: str, killed_at: float) -> float | None:
    if held not in case.decisions or case.manner(case.decisions[held]) not in ("healthy", "slow"):
        return None
    after = [change for change in case.changes.get(held, ()) if change.at > killed_at]
    if len(after) < 2 or not after[0].is_claim or after[1].after not in ARRIVED:
        return None
    return after[1].at - killed_at


def recoveries_after_wipes(case: Case) -> list[float]:
    """Return, for each time the broker was wiped or gone, the seconds until somebody claimed again after it."""
    claims = sorted(change.at for changes in case.changes.values() for change in changes if change.is_claim)
    found = []
    for fault in case.evidence.faults:
        if fault.kind.startswith("broker"):
            over = fault.until or fault.at
            place = bisect.bisect_right(claims, over)
            if place < len(claims):
                found.append(claims[place] - over)
    return found


def raced(case: Case) -> int:
    """Count the safeguards that were asked for while a row of the household was claimed."""
    spans: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for decision in case.decisions.values():
        if decision.household is None:
            continue
        begun: float | None = None
        for change in case.changes.get(decision.id, ()):
            if begun is not None and change.before == "sending":
                spans[decision.household].append((begun, change.at))
            begun = change.at if change.after == "sending" else None
        if begun is not None:
            spans[decision.household].append((begun, float("inf")))
    return sum(
        any(begun <= one.answered_at and ended >= one.began_at for begun, ended in spans.get(one.household, ()))
        for one in case.evidence.answers
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of a run that was kept with --keep")
    verdict = check(read(parser.parse_args().folder))
    for violation in verdict.violations[:50]:
        print(f"{violation.name}: {violation.found}")
    print(json.dumps(verdict.figures))
    return 1 if verdict.violations else 0


if __name__ == "__main__":
    sys.exit(main())
