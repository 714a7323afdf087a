"""`make chaos`: the whole installation with real parts, broken at random for a while, and judged by its logs.

    python -m tests.chaos --minutes 10 --kills 200 --withdrawals 1000 --seed 1

Real PostgreSQL, Valkey, Celery workers and beat, partner apps, mail relay and LINE stand-ins, families who are told of
things and change their minds. Workers are killed with -9 at five points, the broker is wiped, paused and killed,
PostgreSQL restarted and crashed, a worker frozen, the clock moved, a second beat runs. The run goes on until the time
is over and as many kills and safeguards as asked for have happened (at most twice the time), lets everything come to
rest, and judges. The last line is JSON; the exit code is 0 where every invariant held, 1 where one broke or the run fell
short of what was asked for. With --broken NAME a build that is broken on purpose runs instead.
"""

import argparse
import datetime as dt
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import redis

from app.platform import clock, processes
from app.platform.settings import PROJECT_DIRECTORY, settings
from tests.chaos import checker
from tests.chaos.evidence import append, lines, read
from tests.chaos.receiver import join_line_keys
from tests.chaos.stage import Stage, enrol_families, publish_registry, register_partners, stage

_POINTS: Final = ("before_claim", "claiming", "after_claim", "mid_send", "after_yes")
#: Points that hold what was promised by the issue come more often than the fifth, which is a present.
_POINT_WEIGHTS: Final = (2, 1, 3, 3, 3)
_WHOLE_SHARE: Final = 0.12
#: Threads that act for families, in each process of families.
_ACTORS: Final = 3
_DAY: Final = dt.date(2026, 11, 24)
_MOST_SHOWN: Final = 40


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

    def __init__(self, plan: Plan, made: Stage, running: ExitStack) -> None:
        self.plan, self.stage, self._running = plan, made, running
        self.chance = random.Random(plan.seed)
        self.commands: dict[str, list[str]] = {}
        self.children: dict[str, subprocess.Popen[bytes]] = {}
        self.orders = 0
        self._later: list[tuple[float, Any]] = []
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
        arguments += ["-c", str(at_once), "--loglevel", "WARNING", "--without-gossip", "--without-mingle"]
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

    def later(self, seconds: float, undo: Any) -> None:
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
        point = point or self.chance.choices(_POINTS, _POINT_WEIGHTS)[0]
        # In a short run there is no time to start workers anew.
        whole = "-whole" if self.chance.random() < _WHOLE_SHARE and self.plan.minutes >= 0.5 else ""
        (self.stage.folder / "orders" / f"{self.orders:05d}-{point}{whole}").touch()

    def wipe_broker(self) -> None:
        self.valkey.flushall()
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

    def faults(self) -> list[tuple[Any, float]]:
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
        while time.monotonic() - began < (seconds if enough else max(2 * seconds, seconds + 30)):
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

    def _planned_faults(self, began: float, seconds: float) -> list[tuple[float, Any]]:
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
        self._wait(lambda: not any((self.stage.folder / "orders").iterdir()), 6)
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

    def _unfinished(self) -> int:
        patient = [endpoint for endpoint, known in self.stage.endpoints.items() if known["manner"] in self.plan.patient]
        found = self.stage.query(
            "SELECT count(*) AS rows FROM deliveries WHERE state IN ('scheduled', 'sending', 'retrying')"
            f" AND coalesce(endpoint_id::text, '') NOT IN ({', '.join(map(repr, patient))})"
        )
        changed = self.stage.query("SELECT count(*) AS rows FROM changes")
        return int(found[0]["rows"]) + (int(changed[0]["rows"]) if self.plan.real else 0)

    def _wait(self, condition: Any, seconds: float) -> None:
        give_up_at = time.monotonic() + seconds
        while not condition() and time.monotonic() < give_up_at:
            self.tick()
            time.sleep(0.05)


def perform(plan: Plan, folder: Path) -> checker.Verdict:
    """Set the stage, break it, let it come to rest, and judge; nothing is left running."""
    extra = {
        "TODOKE_DELIVERY__LEASE_SECONDS": str(plan.lease_seconds),
        "CHAOS_BROKEN": plan.broken,
        "CHAOS_SLOW_SECONDS": str(plan.slow_seconds),
    }
    if plan.lease_seconds < 20:
        extra["TODOKE_DELIVERY__SWEEP_SECONDS"] = "1"
        if plan.slow_seconds < plan.lease_seconds:
            # A lease must be longer than any request may take, or "nothing is on its way" means nothing.
            extra["CHAOS_TOTAL_SECONDS"] = str(plan.lease_seconds / 3)
    began = time.monotonic()
    with stage(folder, extra) as made, ExitStack() as running:
        play = Play(plan, made, running)
        running.callback(play.end_all)
        clock.shift_to(clock.at_japan_time(_DAY, 10))
        _open_the_world(play)
        if plan.real:
            publish_registry()
        _gather_families(play)
        _tell(f"the stage is set after {time.monotonic() - began:.0f} s; {plan.minutes:g} minutes of faults begin")
        play.run()
        _tell(f"{play.kills_so_far()} kills, {play.answers_so_far()} safeguards; now everything comes to rest")
        play.rest()
        made.write_evidence(plan.patient)
    join_line_keys(folder)
    return checker.check(read(folder))


def _open_the_world(play: Play) -> None:
    folder = play.stage.folder
    play.start("receiver", ["-m", "tests.chaos.receiver"])
    del play.commands["receiver"]  # its ports are in everybody's settings: where it died, the run has failed
    log = folder / "receiver.log"
    play._wait(lambda: log.exists() and "\n" in log.read_text(), 30)
    addresses = json.loads(log.read_text().splitlines()[0])
    os.environ.update(
        {
            "TODOKE_EMAIL__HOST": "127.0.0.1",
            "TODOKE_EMAIL__PORT": str(addresses["smtp_port"]),
            "TODOKE_LINE__BASE_URL": addresses["line"],
            "TODOKE_LINE__CHANNEL_TOKEN": addresses["line_token"],
        }
    )
    settings.cache_clear()
    register_partners(play.stage, addresses["webhook"])


def _gather_families(play: Play) -> None:
    """Enrol the families, start everybody who acts, and wait until the first message has arrived."""
    plan, made = play.plan, play.stage
    families = enrol_families(made.folder, made.partners, plan.families, seed=plan.seed)
    small = plan.senders == 1
    for number in range(plan.senders):
        play.start_worker(f"sender-{number}", "delivery,work" if small else "delivery", 2)
    if not small:
        play.start_worker("work", "work,delivery", 1)
    play.start_beat("beat")
    acting = 1 if small else 2
    pace = plan.minutes * 60 / max(plan.withdrawals, 1)
    for number in range(acting):
        path = made.folder / f"families-{number}.json"
        known = {"families": families[number::acting], "partners": made.partners}
        path.write_text(json.dumps(known, default=str))
        command = ["-m", "tests.chaos.families", "--families", str(path), "--seed", str(plan.seed * 10 + number)]
        command += ["--threads", str(_ACTORS), "--pause", f"{pace * _ACTORS * acting * 0.4:.3f}"]
        command += ["--rate", str(plan.rate / acting), *(["--newcomers"] if plan.real and number == 0 else [])]
        play.start(f"families-{number}", command)
    play._wait(lambda: made.query("SELECT FROM chaos_changes WHERE after = 'delivered' LIMIT 1"), 60)


def _tell(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def judge(plan: Plan, verdict: checker.Verdict) -> int:
    """Print what happened and what broke; return the exit code."""
    for name, count in sorted(Counter(one.name for one in verdict.violations).items()):
        _tell(f"BROKEN {name}: {count}")
    for violation in verdict.violations[:_MOST_SHOWN]:
        _tell(f"  {violation.name}: {violation.found}")
    done = sum(verdict.figures["kills"].values()), sum(verdict.figures["safeguards"].values())
    short = done[0] < plan.kills or done[1] < plan.withdrawals
    if short:
        _tell(f"fell short: {done[0]} of {plan.kills} kills, {done[1]} of {plan.withdrawals} safeguards")
    result = {
        "chaos": "held" if not verdict.violations and not short else "broke" if verdict.violations else "fell short",
        "minutes": plan.minutes,
        "seed": plan.seed,
        "broken_build": plan.broken or None,
        "lease_seconds": plan.lease_seconds,
        "violations": dict(Counter(one.name for one in verdict.violations)),
        **verdict.figures,
    }
    print(json.dumps(result), flush=True)
    if plan.report is not None:
        plan.report.write_text(json.dumps(result) + "\n")
    return 1 if verdict.violations or short else 0


def asked(arguments: Sequence[str] | None = None) -> Plan:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--withdrawals", type=int, default=1000, help="and other safeguards, all together")
    parser.add_argument("--seed", type=int, default=20261124)
    parser.add_argument("--broken", default="", help="a build of tests/chaos/broken.py")
    parser.add_argument("--lease", type=float, default=40.0, help="seconds; production has 40")
    parser.add_argument("--slow", type=float, default=0.5, help="seconds a slow endpoint takes at most")
    parser.add_argument("--rate", type=float, default=10.0, help="decisions a second besides the families' own acts")
    parser.add_argument("--families", type=int, default=120)
    parser.add_argument("--senders", type=int, default=2, help="workers that send, two processes each")
    parser.add_argument("--rest", type=float, default=180.0, help="seconds in which everything must have come to rest")
    parser.add_argument("--without-matching", action="store_true", help="no registry: decisions of the run alone")
    parser.add_argument("--keep", type=Path, help="keep logs and evidence in this folder (it is emptied first)")
    parser.add_argument("--json", type=Path, help="write the last line here as well")
    given = parser.parse_args(arguments)
    return Plan(
        minutes=given.minutes, kills=given.kills, withdrawals=given.withdrawals, seed=given.seed, broken=given.broken,
        real=not given.without_matching, families=given.families, senders=given.senders, lease_seconds=given.lease,
        slow_seconds=given.slow, rate=given.rate, rest_seconds=given.rest, keep=given.keep,
        report=given.json,
    )  # fmt: skip


def main() -> int:
    plan = asked()
    with tempfile.TemporaryDirectory(prefix="todoke-chaos-") as folder:
        return judge(plan, perform(plan, plan.keep or Path(folder) / "run"))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
