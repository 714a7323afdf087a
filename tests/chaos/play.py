"""One chaos run: what is asked of it, its processes, and what is done to them and when."""

import datetime as dt
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import redis

from app.platform import clock, processes
from app.platform.settings import PROJECT_DIRECTORY
from tests.chaos.evidence import append, lines
from tests.chaos.stage import Stage

#: Where workers are killed, and how often in comparison; see `worker`.
_POINTS: Final = {"before_claim": 2, "claiming": 1, "after_claim": 3, "mid_send": 3, "after_yes": 3}
_WHOLE_SHARE: Final = 0.12
_Act = Callable[[], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is asked of a run. `real` runs matching and planning of the published registry as well."""

    minutes: float
    kills: int
    withdrawals: int
    seed: int
    broken: str = ""
    real: bool = True
    families: int = 120
    senders: int = 2
    lease_seconds: float = 40.0
    slow_seconds: float = 0.5
    rate: float = 10.0
    rest_seconds: float = 180.0
    keep: Path | None = None
    report: Path | None = None

    @property
    def patient(self) -> tuple[str, ...]:
        """Return the endpoints for which something may be left over: a breaker needs half a minute to close again."""
        return ("gone",) if self.minutes >= 0.5 else ("gone", "hang", "error", "throttle", "trickle")


class Play:
    """One run: the processes, what is done to them, and when."""

    def __init__(self, plan: Plan, made: Stage) -> None:
        self.plan, self.stage = plan, made
        self.chance = random.Random(plan.seed)
        self.commands: dict[str, list[str]] = {}
        self.children: dict[str, subprocess.Popen[bytes]] = {}
        self.orders = 0
        self._later: list[tuple[float, _Act]] = []
        self.valkey = redis.Redis(unix_socket_path=urlsplit(made.servers.broker_url()).path, socket_timeout=2)
        (made.folder / "orders").mkdir()

    # processes

    def start(self, name: str, command: Sequence[str]) -> None:
        """Start a process, and again whenever it is found dead."""
        self.commands[name] = list(command)
        self.children[name] = processes.start(
            [sys.executable, *command],
            log=self.stage.folder / f"{name}.log",
            environment=os.environ,
            directory=PROJECT_DIRECTORY,
        )

    def start_worker(self, name: str, queues: str, at_once: int) -> None:
        arguments = ["-m", "celery", "-A", "tests.chaos.worker", "worker", "-Q", queues, "-n", f"{name}@chaos"]
        arguments += ["-c", str(at_once), "--loglevel", "WARNING"]
        self.start(name, arguments)

    def start_beat(self, name: str) -> None:
        self.start(name, ["-m", "celery", "-A", "tests.chaos.worker", "beat", "--loglevel", "WARNING"])

    def end(self, name: str, how: signal.Signals = signal.SIGKILL) -> None:
        """End a process and whatever it has started; each is the leader of a group of its own."""
        self.commands.pop(name, None)
        process = self.children.pop(name)
        if how is not signal.SIGKILL:
            processes.stop(process, how, seconds=15)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def end_all(self) -> None:
        for name in list(self.children):
            self.end(name)
        self.valkey.close()

    def start_again_who_died(self) -> None:
        for name, process in list(self.children.items()):
            if process.poll() is not None and name in self.commands:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                self.start(name, self.commands[name])

    def tick(self) -> None:
        """Look after processes, and end the faults whose time is over."""
        self.start_again_who_died()
        now = time.monotonic()
        due = [one for one in self._later if one[0] <= now]
        self._later = [one for one in self._later if one[0] > now]
        for _, undo in due:
            undo()

    def later(self, seconds: float, undo: _Act) -> None:
        self._later.append((time.monotonic() + seconds, undo))

    def undo_all(self) -> None:
        later, self._later = self._later, []
        for _, undo in later:
            undo()

    # faults

    def note(self, kind: str, at: float | None = None) -> None:
        now = time.time()
        append(self.stage.folder / "faults.jsonl", kind=kind, at=at or now, until=now)

    def order_kill(self, point: str = "") -> None:
        self.orders += 1
        point = point or self.chance.choices(list(_POINTS), list(_POINTS.values()))[0]
        # In a short run there is no time to start workers anew.
        whole = "-whole" if self.chance.random() < _WHOLE_SHARE and self.plan.minutes >= 0.5 else ""
        (self.stage.folder / "orders" / f"{self.orders:05d}-{point}{whole}").touch()

    def wipe_broker(self) -> None:
        try:
            self.valkey.flushall()
        except redis.RedisError:  # it is paused just now
            self.later(2, self.wipe_broker)
        else:
            self.note("broker wiped")

    def pause_broker(self) -> None:
        began, server = time.time(), self.stage.servers.valkey
        assert server is not None
        server.send_signal(signal.SIGSTOP)

        def go_on() -> None:
            server.send_signal(signal.SIGCONT)
            self.note("broker paused", began)

        self.later(self.chance.uniform(1, 6), go_on)

    def kill_broker(self) -> None:
        began, servers = time.time(), self.stage.servers
        assert servers.valkey is not None
        servers.valkey.kill()
        servers.valkey.wait()
        time.sleep(self.chance.uniform(0.2, 2))
        servers.start_valkey()
        self.valkey.flushall()
        self.note("broker killed and emptied", began)

    def restart_database(self) -> None:
        began = time.time()
        how = self.chance.choice([signal.SIGINT, signal.SIGQUIT])
        self.stage.servers.restart_postgres(how)
        self.note("PostgreSQL restarted" if how is signal.SIGINT else "PostgreSQL crashed", began)

    def second_beat(self) -> None:
        if "beat-2" not in self.children:
            self.start_beat("beat-2")
            self.later(20, lambda: self.end("beat-2"))
            self.note("two beats")

    def move_clock(self) -> None:
        minutes = self.chance.choice([-20, -5, 5, 20, 60])
        clock.shift_to(clock.now() + dt.timedelta(minutes=minutes))
        self.note("clock moved forward" if minutes > 0 else "clock moved back")
        self.later(8, lambda: clock.shift_to(clock.now() - dt.timedelta(minutes=minutes)))

    def freeze_sender(self) -> None:
        """Stop one sending process for a while, at times for longer than its lease: its results come too late."""
        senders = [process for name, process in self.children.items() if name.startswith("sender")]
        main = self.chance.choice([process for process in senders if process.poll() is None] or senders).pid
        with suppress(FileNotFoundError, ProcessLookupError, IndexError):
            # Its children alone: the main process of a worker sends nothing.
            children = Path(f"/proc/{main}/task/{main}/children").read_text().split()
            victim, began = int(self.chance.choice(children)), time.time()
            os.kill(victim, signal.SIGSTOP)

            def go_on() -> None:
                with suppress(ProcessLookupError):
                    os.kill(victim, signal.SIGCONT)
                self.note("worker frozen", began)

            self.later(self.chance.choice([1, 4, self.plan.lease_seconds + 4]), go_on)

    # the course

    def faults(self) -> list[tuple[_Act, float]]:
        """Return what may be done, and how often in comparison."""
        return [
            (self.wipe_broker, 3),
            (self.pause_broker, 2),
            (self.kill_broker, 1),
            (self.restart_database, 2),
            (self.second_beat, 1),
            (self.move_clock, 2),
            (self.freeze_sender, 2),
        ]

    def kills_so_far(self) -> int:
        return len(lines(self.stage.folder / "kills.jsonl"))

    def answers_so_far(self) -> int:
        return len(lines(self.stage.folder / "answers.jsonl"))

    def run(self) -> None:
        """Break things until the time is over and enough has happened, but not for much longer than that."""
        seconds = self.plan.minutes * 60
        began = time.monotonic()
        every = seconds / max(self.plan.kills, 1) * 0.85
        next_kill, next_look = began + 2, began
        faults = self._planned_faults(began, seconds)
        enough = False
        while time.monotonic() - began < (seconds if enough else max(2 * seconds, seconds + 60)):
            self.tick()
            now = time.monotonic()
            # One at a time: where nobody is ever spared, nothing can recover.
            if now >= next_kill and not any((self.stage.folder / "orders").iterdir()):
                self.order_kill()
                next_kill = now + self.chance.uniform(0.5, 1.5) * every
            if faults and now >= faults[0][0]:
                faults.pop(0)[1]()
            if now >= next_look:
                next_look = now + 2
                enough = self.kills_so_far() >= self.plan.kills and self.answers_so_far() >= self.plan.withdrawals
            time.sleep(0.05)
        self.undo_all()

    def _planned_faults(self, began: float, seconds: float) -> list[tuple[float, _Act]]:
        """Return every fault at least once, and one more for each twelve seconds of the run, at random instants."""
        kinds, weights = zip(*self.faults(), strict=True)
        count = int(seconds / 12)
        chosen = [*kinds, *self.chance.choices(kinds, weights, k=max(0, count - len(kinds)))]
        self.chance.shuffle(chosen)
        # Only after the first seconds, in which everybody starts up, and never at the very end.
        first, last = min(4.0, seconds * 0.2), seconds * 0.92
        times = sorted(self.chance.uniform(first, last) for _ in chosen)
        return [(began + at, fault) for at, fault in zip(times, chosen, strict=True)]

    def rest(self) -> None:
        """Let everybody finish: no new faults, receivers that behave, then time that passes quickly."""
        (self.stage.folder / "rest").touch()
        for path in (self.stage.folder / "orders").iterdir():
            path.unlink(missing_ok=True)
        for name in [name for name in self.children if name.startswith("families")]:
            self.commands.pop(name)
            with suppress(subprocess.TimeoutExpired):
                self.children[name].wait(30)
            self.end(name)
        # The last words: a worker dies with rows in its hands, and nobody who could ring is left.
        self.order_kill("after_claim")
        self.wait(lambda: not any((self.stage.folder / "orders").iterdir()), 6)
        (self.stage.folder / "orders").joinpath(f"{self.orders:05d}-after_claim").unlink(missing_ok=True)
        self.wipe_broker()
        (self.stage.folder / "healed").touch()
        self._let_time_pass()

    def _let_time_pass(self) -> None:
        give_up_at = time.monotonic() + self.plan.rest_seconds
        moves = [dt.timedelta(minutes=minutes) for minutes in (10, 45, 180, 420)]
        next_move = time.monotonic() + self.plan.lease_seconds + 2
        while time.monotonic() < give_up_at:
            self.tick()
            if not self._unfinished():
                return
            if moves and time.monotonic() > next_move:
                clock.shift_to(clock.now() + moves.pop(0))
                next_move = time.monotonic() + 6
            time.sleep(0.5)
        self._ask_where_they_stand()

    def _ask_where_they_stand(self) -> None:
        for name in self.commands:
            if "worker" in self.commands[name]:
                with suppress(ProcessLookupError):
                    os.killpg(self.children[name].pid, signal.SIGUSR2)
        time.sleep(0.5)

    def _unfinished(self) -> int:
        patient = [endpoint for endpoint, known in self.stage.endpoints.items() if known["manner"] in self.plan.patient]
        found = self.stage.query(
            "SELECT count(*) AS rows FROM deliveries WHERE state IN ('scheduled', 'sending', 'retrying')"
            f" AND coalesce(endpoint_id::text, '') NOT IN ({', '.join(map(repr, patient))})"
        )
        changed = self.stage.query("SELECT count(*) AS rows FROM changes")
        return int(found[0]["rows"]) + (int(changed[0]["rows"]) if self.plan.real else 0)

    def wait(self, condition: Callable[[], object], seconds: float) -> None:
        give_up_at = time.monotonic() + seconds
        while not condition() and time.monotonic() < give_up_at:
            self.tick()
            time.sleep(0.05)
