"""A model of claim, planner and safeguard, explored through every interleaving; and broken builds that it must catch.

What is modelled is what the database gives: row locks that skip or wait, commits that show all at once. The steps are
those of `app.delivery.claim`, `app.delivery.dispatch`, `app.notices.announce` and `app.safeguards`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest


@dataclass(frozen=True)
class Row:
    """One delivery: committed state, the state its holder would commit, who holds its lock, may it be tried again."""

    epoch: int
    state: str = "scheduled"
    taken: str = ""
    locked_by: str = ""
    stopped: bool = False


@dataclass(frozen=True)
class World:
    """Everything that a step may read or change; `at` is how far each actor has come."""

    at: tuple[tuple[str, str], ...]
    rows: tuple[Row, ...]
    epoch: int = 0
    pending_epoch: int = 0
    gate_shared_by: frozenset[str] = frozenset()
    gate_held_by: str = ""
    withdrawn: bool = False
    answered: bool = False
    planner_read: int = 0
    broken: str = ""

    def step_of(self, actor: str) -> str:
        return dict(self.at)[actor]

    def moved(self, actor: str, step: str, **changes: object) -> "World":
        at = tuple((name, step if name == actor else now) for name, now in self.at)
        return replace(self, at=at, **changes)  # type: ignore[arg-type]

    def with_row(self, number: int, **changes: object) -> tuple[Row, ...]:
        return tuple(replace(row, **changes) if at == number else row for at, row in enumerate(self.rows))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Build:
    """The house as it stands; each flag taken away is a bug that somebody might write."""

    claim_locks_gate: bool = True
    claim_compares_epoch: bool = True
    gate_before_rows: bool = True
    gate_is_skipped: bool = True
    answer_waits: bool = True
    unsent_are_given_back: bool = True
    planner_locks_gate: bool = True


def claim(world: World, me: str, build: Build) -> Iterator[World]:
    """Lock a candidate, lock the gate, decide, commit, send, record: the worker's steps."""
    step = world.step_of(me)
    if step == "candidates":
        for number, row in enumerate(world.rows):
            if row.state == "scheduled" and not row.locked_by and not row.stopped:
                yield world.moved(me, f"gates {number}", rows=world.with_row(number, locked_by=me))
        yield world.moved(me, "done")
        return
    name, _, number_text = step.partition(" ")
    if not number_text:
        return
    number = int(number_text)
    row = world.rows[number]
    if name == "gates":
        if build.claim_locks_gate and world.gate_held_by:
            if build.gate_is_skipped:
                yield world.moved(me, "done", rows=world.with_row(number, locked_by=""))
            return
        shared = world.gate_shared_by | {me} if build.claim_locks_gate else world.gate_shared_by
        may_go = not build.claim_compares_epoch or row.epoch == world.epoch
        yield world.moved(
            me, f"commit {number}", gate_shared_by=shared,
            rows=world.with_row(number, taken="sending" if may_go else "cancelled"),
        )  # fmt: skip
    elif name == "commit":
        late = row.taken == "sending" and world.withdrawn and row.epoch != world.epoch
        yield world.moved(
            me, f"start {number}" if row.taken == "sending" else "done",
            rows=world.with_row(number, state=row.taken, taken="", locked_by=""),
            gate_shared_by=world.gate_shared_by - {me},
            broken=world.broken or ("a claim committed after the withdrawal" if late else ""),
        )  # fmt: skip
    elif name == "start":
        late = world.answered and row.epoch != world.epoch
        told = world.broken or ("a request started after the answer" if late else "")
        yield world.moved(me, f"end {number}", broken=told)
        if build.unsent_are_given_back and not row.locked_by:
            yield world.moved(me, "done", rows=world.with_row(number, state="scheduled"))
    elif name == "end" and not row.locked_by:
        yield world.moved(me, "done", rows=world.with_row(number, state="delivered"))


def withdraw(world: World, me: str, build: Build) -> Iterator[World]:
    """Lock and change the gate, cancel what is queued, commit, wait, answer: every safeguard's steps."""
    order = ("gate", "rows", "commit") if build.gate_before_rows else ("rows", "gate", "commit")
    step = world.step_of(me)
    following = dict(zip(order, (*order[1:], "wait"), strict=True))
    if step == "gate" and not world.gate_held_by and not world.gate_shared_by:
        yield world.moved(me, following[step], gate_held_by=me, pending_epoch=world.epoch + 1)
    elif step == "rows":
        if any(row.locked_by not in ("", me) for row in world.rows):
            return  # an update waits for whoever holds a row
        rows = tuple(
            replace(row, taken={"scheduled": "cancelled"}.get(row.state, row.state), locked_by=me) for row in world.rows
        )
        yield world.moved(me, following[step], rows=rows)
    elif step == "commit":
        rows = tuple(
            replace(row, state=row.taken, taken="", locked_by="", stopped=True) if row.locked_by == me else row
            for row in world.rows
        )
        yield world.moved(me, "wait", rows=rows, epoch=world.pending_epoch, gate_held_by="", withdrawn=True)
    elif step == "wait":
        live = [row for row in world.rows if row.state == "sending"]
        unstarted = any(now.startswith("start ") for _, now in world.at)
        # Three seconds end the wait; a claimed row that is not on the wire within one is given back before that.
        timed_out = not (build.unsent_are_given_back and unstarted)
        if not build.answer_waits or not live or timed_out:
            yield world.moved(me, "done", answered=True)


def plan(world: World, me: str, build: Build) -> Iterator[World]:
    """Lock the gate, read the epoch, write a delivery that carries it, commit."""
    step = world.step_of(me)
    if step == "read":
        if build.planner_locks_gate and (world.gate_held_by or world.gate_shared_by):
            return
        held = me if build.planner_locks_gate else world.gate_held_by
        yield world.moved(me, "write", planner_read=world.epoch, gate_held_by=held)
    elif step == "write":
        held = "" if build.planner_locks_gate else world.gate_held_by
        yield world.moved(me, "done", rows=(*world.rows, Row(epoch=world.planner_read)), gate_held_by=held)


ACTORS = {"worker 1": claim, "worker 2": claim, "family": withdraw, "planner": plan}
START = World(
    at=(("worker 1", "candidates"), ("worker 2", "candidates"), ("family", "gate"), ("planner", "read")),
    rows=(Row(epoch=0), Row(epoch=0)),
)


def explore(build: Build) -> tuple[int, set[str]]:
    """Return how many states there are, and everything that went wrong in any of them."""
    start = START if build.gate_before_rows else START.moved("family", "rows")
    seen, waiting, wrong = {start}, [start], set()
    while waiting:
        world = waiting.pop()
        steps = [after for name, act in ACTORS.items() for after in act(world, name, build)]
        if world.broken:
            wrong.add(world.broken)
        if not steps and any(step != "done" for _, step in world.at):
            wrong.add("deadlock")
        if (
            not steps
            and world.answered
            and any(row.state == "scheduled" and row.epoch == 0 and not row.stopped for row in world.rows)
        ):
            wrong.add("a message of before is still queued")
        for after in steps:
            if after not in seen:
                seen.add(after)
                waiting.append(after)
    return len(seen), wrong


def test_no_interleaving_breaks_what_a_family_was_promised():
    states, wrong = explore(Build())
    assert not wrong
    assert states > 1000


@pytest.mark.parametrize(
    ("missing", "caught"),
    [
        ({"planner_locks_gate"}, "a message of before is still queued"),
        ({"planner_locks_gate", "claim_locks_gate"}, "a claim committed after the withdrawal"),
        ({"planner_locks_gate", "claim_compares_epoch"}, "a claim committed after the withdrawal"),
        ({"gate_is_skipped"}, "deadlock"),
        ({"answer_waits"}, "a request started after the answer"),
        ({"unsent_are_given_back"}, "a request started after the answer"),
    ],
)
def test_the_model_catches_a_broken_build(missing, caught):
    _, wrong = explore(replace(Build(), **dict.fromkeys(missing, False)))
    assert caught in wrong


@pytest.mark.parametrize("missing", ["claim_locks_gate", "claim_compares_epoch"])
def test_the_gate_and_the_rows_each_hold_alone_while_planners_wait(missing):
    _, wrong = explore(replace(Build(), **{missing: False}))
    assert not wrong
