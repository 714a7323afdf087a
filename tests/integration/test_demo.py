"""The whole way as one command: embedded servers, Celery workers, beat, web, stand-ins, and the committed ledger."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from app.cli.demo import ledger
from app.cli.demo.show import LEDGER

COMMAND = [sys.executable, "-m", "app.cli", "demo", "--generated", "25"]


def environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith("TODOKE_")}


def processes_in(directory: Path) -> list[str]:
    """Command lines of the processes that name a folder, in /proc as nobody else would see them."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/environ"):
        try:
            if str(directory).encode() in entry.read_bytes():
                found.append((entry.parent / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


@pytest.fixture(scope="module")
def shown(tmp_path_factory) -> tuple[str, Path]:
    """What `todoke demo --once` prints, and its folder."""
    directory = tmp_path_factory.mktemp("demo") / "here"
    command = [*COMMAND, "--once", "--directory", str(directory)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, env=environment(), check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout, directory


def test_what_arrived_equals_the_committed_ledger(shown):
    output, _ = shown
    found = [line.strip() for line in output.splitlines() if line.startswith("  ") and line.count(" | ") == 6]
    committed = [line for line in LEDGER.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    assert sorted(found) == sorted(committed)
    assert len(found) > 100
    assert "控え(registry_data/demo/ledger.txt)と同じです" in output


def test_the_ledger_holds_what_the_issue_of_each_family_is(shown):
    text = LEDGER.read_text(encoding="utf-8")
    for line in (
        "newborn-setagaya | email | new_support (overview) | 000000/birth-registration | child:newborn | 2026-12-04 | -",
        "newborn-setagaya | webhook | new_support (overview) | 000000/child-allowance | child:newborn | 2026-12-07 | 月15,000円",
        "single-parent | line | new_support (overview) | 000000/child-rearing-allowance | child:c1 | 2026-11-30 | 月44,080円",
        "single-parent | line | new_support (overview) | 130001/child-development-allowance | child:c1 | 2026-11-30 | 月13,500円",
        "four-children | email | question (overview) | 000000/childcare-for-all",
    ):
        assert line in text
    for silent in ("protected", "consent-withdrawn", "bereaved"):
        told = {line.split(" | ")[1] for line in text.splitlines() if line.startswith(f"{silent} |")}
        assert told <= {"inbox"}
    for twin in ("protected-twin", "consent-withdrawn-twin"):
        told = {line.split(" | ")[1] for line in text.splitlines() if line.startswith(f"{twin} |")}
        assert {"inbox", "email", "webhook"} <= told or {"inbox", "line", "webhook"} <= told


def test_nothing_is_left_running(shown):
    _, directory = shown
    assert processes_in(directory) == []


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_running_when_it_is_interrupted(tmp_path, how):
    running = subprocess.Popen(
        [*COMMAND, "--directory", str(tmp_path / "here")], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=environment(),
    )  # fmt: skip
    assert running.stdout is not None
    for line in running.stdout:
        if line.startswith("世帯を登録しました"):
            break
    time.sleep(3)
    assert processes_in(tmp_path / "here")
    running.send_signal(how)
    running.wait(60)
    running.stdout.close()
    give_up_at = time.monotonic() + 45
    while (left := processes_in(tmp_path / "here")) and time.monotonic() < give_up_at:
        time.sleep(0.2)
    assert left == []


def test_a_ledger_that_differs_is_named_line_by_line(tmp_path):
    committed = tmp_path / "ledger.txt"
    committed.write_text("# heading\na | email | x\nb | email | y\n")
    assert ledger.differences(["a | email | x", "c | line | z"], committed) == ["+ c | line | z", "- b | email | y"]


def test_a_silent_twin_that_heard_something_is_named():
    assert ledger.twins_that_differ_wrongly(["p | email | x", "t | inbox | x"], {"p": "t"}) == [
        "p heard something", "t, the twin of p, heard nothing",
    ]  # fmt: skip
