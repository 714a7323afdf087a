"""The real database through every order of the steps of a claim and of a safeguard, on connections of their own.

Two threads run the real code; before each statement that another connection can notice they wait for their turn. Who
waits for a lock is seen in `pg_locks`. The orders are all there are of these steps:
claim: lock candidates, lock gates, commit, request; safeguard: lock gate, call back, commit, look (again) and answer.
What becomes of a row (taking it, recording it) no other connection can notice before the commit that follows.
"""

import datetime as dt
import itertools
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Engine, event, text
from sqlmodel import select

from app.delivery import claim as claims
from app.delivery.channels.contract import Outcome, Stopwatch
from app.delivery.claim import Request
from app.delivery.outbox import EmailMessage, Gate, Lane, enqueue_all
from app.delivery.record import Finished, record
from app.delivery.tables import Delivery
from app.households.tables import ContactPoint, Household
from app.platform import clock
from app.platform.database import owner_session, worker_session
from app.safeguards.bereavement import stop_pushes_about
from app.safeguards.moving import move
from app.safeguards.protection import protect
from app.safeguards.withdrawal import withdraw
from tests.fixtures.factories import a_household, enrolled

SAFEGUARDS = {
    "withdrawal": (4, lambda household_id: withdraw(household_id, None, by="guardian:g1")),
    "protection": (3, lambda household_id: protect(household_id, by="staff:1")),
    "bereavement": (3, lambda household_id: stop_pushes_about(household_id, "child:c1", reason="death", by="g1")),
    "move": (3, lambda household_id: move(household_id, "131130", clock.today(), by="guardian:g1")),
}
"""How many of its steps are put in every order, and the call. Looking again after the commit is the same code in all."""
VISIBLE = {
    "worker": (("FROM deliveries d WHERE d.queue", "candidates"), ("FOR SHARE SKIP LOCKED", "gates")),
    "family": (("FOR UPDATE", "gate"), ("SET stop_reason", "call back"), ("SELECT EXISTS", "look")),
}  # fmt: skip
WORKER_STEPS = 4
_PATIENCE_SECONDS = 20.0


class Actor(threading.Thread):
    """One side: runs the real code and stops before each visible step until it is let go."""

    def __init__(self, name: str, act: Callable[["Actor"], None], log: list[str]) -> None:
        super().__init__(name=name, daemon=True)
        self.act, self.log = act, log
        self.at: str | None = None
        self.pids: set[int] = set()
        self.error: BaseException | None = None
        self.turn, self.reached = threading.Semaphore(0), threading.Event()

    def run(self) -> None:
        _mine.actor = self
        try:
            self.act(self)
        except BaseException as error:
            self.error = error
        finally:
            self.at = "done"
            self.reached.set()

    def pause(self, step: str) -> None:
        self.at = step
        self.reached.set()
        self.turn.acquire()

    def let_go(self) -> None:
        self.reached.clear()
        self.at = None
        self.turn.release()


_mine = threading.local()


def _before_statement(connection, cursor, statement, parameters, context, many) -> None:
    actor = getattr(_mine, "actor", None)
    if actor is None:
        return
    actor.pids.add(cursor.connection.info.backend_pid)
    for part, step in VISIBLE[actor.name]:
        if part in statement and not (step == "gate" and "households" not in statement):
            actor.pause(step)
            return


def _before_commit(connection) -> None:
    actor = getattr(_mine, "actor", None)
    if actor is not None:
        actor.pause("commit")
        actor.log.append(f"{actor.name} commits")


@pytest.fixture
def watched() -> Iterator[None]:
    event.listen(Engine, "before_cursor_execute", _before_statement)
    event.listen(Engine, "commit", _before_commit)
    yield
    event.remove(Engine, "before_cursor_execute", _before_statement)
    event.remove(Engine, "commit", _before_commit)


class Stage:
    """Lets the two sides go one step at a time, in one given order; whoever waits for a lock is passed over."""

    def __init__(self, actors: dict[str, Actor], watching) -> None:
        self.actors, self.watching = actors, watching

    def play(self, order: tuple[str, ...]) -> None:
        for actor in self.actors.values():
            actor.start()
            self._settle(actor)
        for name in (*order, *itertools.islice(itertools.cycle(self.actors), 60)):
            self._step(self.actors[name])
            if all(actor.at == "done" for actor in self.actors.values()):
                break
        for actor in self.actors.values():
            actor.join(_PATIENCE_SECONDS)
            assert not actor.is_alive(), (
                f"{actor.name} hangs at {actor.at}: {[(a.name, a.at) for a in self.actors.values()]}"
            )
            if actor.error is not None:
                raise actor.error

    def _step(self, actor: Actor) -> None:
        if actor.at is None:
            self._settle(actor)  # it waited for a lock: perhaps no longer
        if actor.at not in (None, "done"):
            actor.let_go()
            self._settle(actor)
        for other in self.actors.values():
            if other is not actor and other.at is None:
                self._settle(other)

    def _settle(self, actor: Actor) -> None:
        """Wait until an actor stands at its next step, is done, or waits for a lock."""
        give_up_at = time.monotonic() + _PATIENCE_SECONDS
        while not actor.reached.wait(0.002):
            if actor.pids and self._waits_for_lock(actor.pids):
                return
            assert time.monotonic() < give_up_at, f"{actor.name} stands still"

    def _waits_for_lock(self, pids: set[int]) -> bool:
        waiting = self.watching.execute(
            text("SELECT EXISTS (SELECT FROM pg_locks WHERE pid = ANY(:pids) AND NOT granted)"),
            {"pids": list(pids)},
        ).scalar_one()
        self.watching.rollback()
        return bool(waiting)


def queued_mail() -> tuple:
    household_id = enrolled(a_household())
    with owner_session() as session:
        contact = session.exec(select(ContactPoint).where(ContactPoint.household_id == household_id)).one()
        now = clock.now()
        (delivery_id,) = enqueue_all(
            session,
            [
                EmailMessage(
                    dedupe_key=f"test:{household_id}", event_id=f"test_{household_id.hex}", event_type="notice.push",
                    due_at=now - dt.timedelta(seconds=1), lane=Lane.NOTICE,
                    gate=Gate(household_id=household_id, municipality_code="131121", consent_epoch=0,
                              subjects=("child:c1",)),
                    address="family@home.example", contact_point_id=contact.id,
                    contact_confirmed_at=contact.confirmed_at, subject="s", text="t", html="h", composed_at=now,
                )
            ],
        )  # fmt: skip
        session.commit()
    return household_id, delivery_id


def send(actor: Actor) -> None:
    """Claim, commit, send and record, as the dispatcher does."""
    with worker_session() as session:
        claimed = claims.claim(session, clock.now(), Request(free={"email": 8}))
        actor.log.append(f"claims {len(claimed)}")
        session.commit()
    for row in claimed:
        actor.pause("request")
        actor.log.append("request starts")
        finished = Finished(claimed=row, result=Stopwatch().result(Outcome.ACCEPTED), started_at=clock.real_now())
        with worker_session() as session:
            record(session, [finished], clock.now())
            _mine.actor = None
            session.commit()


@pytest.mark.parametrize("name", SAFEGUARDS)
def test_every_order_keeps_what_was_promised(todoke_environment, watched, name):
    family_steps, safeguard = SAFEGUARDS[name]
    turns = range(WORKER_STEPS + family_steps)
    orders = [
        tuple("worker" if turn in mine else "family" for turn in turns)
        for mine in itertools.combinations(turns, WORKER_STEPS)
    ]
    met = set()
    with owner_session() as watching:
        for order in orders:
            met.add(_play(order, safeguard, watching))
    # Both ends occur: who was first is decided by the order, and only by it.
    assert met == {"accepted", "cancelled"}


def _play(order: tuple[str, ...], safeguard: Callable, watching) -> str:
    household_id, delivery_id = queued_mail()
    log: list[str] = []

    def act(actor: Actor) -> None:
        ended = safeguard(household_id)
        assert getattr(ended, "ended", ended) is True
        actor.log.append("answered")

    Stage({"worker": Actor("worker", send, log), "family": Actor("family", act, log)}, watching).play(order)
    shown = f"{order}: {log}"
    assert log.count("answered") == 1, shown
    taken = "claims 1" in log
    if taken:
        committed = log.index("worker commits")
        assert committed < log.index("family commits"), f"a claim committed after the safeguard: {shown}"
        assert log.index("request starts") < log.index("answered"), f"a request started after the answer: {shown}"
    with owner_session() as session:
        row = session.get_one(Delivery, delivery_id)
        gate = session.get_one(Household, household_id)
    assert gate.consent_epoch == 1 or gate.protected_at is not None
    assert row.state == ("accepted" if taken else "cancelled"), shown
    return row.state
