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
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from app.platform import clock
from app.platform.settings import settings
from tests.chaos import checker
from tests.chaos.evidence import read
from tests.chaos.play import Plan, Play
from tests.chaos.receiver import join_line_keys
from tests.chaos.stage import enrol_families, publish_registry, register_partners, stage

#: Threads that act for families, in each process of families.
_ACTORS: Final = 3
_DAY: Final = dt.date(2026, 11, 24)
_MOST_SHOWN: Final = 40


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
        play = Play(plan, made)
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
    play.wait(lambda: log.exists() and "\n" in log.read_text(), 30)
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
    play.wait(lambda: made.query("SELECT FROM chaos_changes WHERE after = 'delivered' LIMIT 1"), 60)


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
