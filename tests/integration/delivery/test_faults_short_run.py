"""The chaos run of `make chaos`, shortened: real parts, kills at every point, crashes, withdrawals, and every invariant."""

import json
import subprocess
import sys
from pathlib import Path

from app.platform.settings import PROJECT_DIRECTORY

KILLS, SAFEGUARDS = 10, 30
COMMAND = (
    "--minutes", "0.12", "--kills", str(KILLS), "--withdrawals", str(SAFEGUARDS), "--families", "18", "--senders", "1",
    "--lease", "6", "--rate", "15", "--rest", "60", "--seed", "7", "--without-matching",
)  # fmt: skip


def test_nothing_that_was_promised_breaks(tmp_path):
    report, folder = tmp_path / "report.json", tmp_path / "run"
    command = [sys.executable, "-m", "tests.chaos", *COMMAND, "--keep", str(folder), "--json", str(report)]
    ended = subprocess.run(command, cwd=PROJECT_DIRECTORY, capture_output=True, text=True, timeout=200, check=False)
    assert report.exists(), ended.stderr[-3000:]
    found = json.loads(report.read_text())
    assert (ended.returncode, found["chaos"]) == (0, "held"), ended.stderr[-3000:]
    assert sum(found["kills"].values()) >= KILLS
    assert sum(found["safeguards"].values()) >= SAFEGUARDS
    assert found["faults"]["broker wiped"] >= 1
    assert {"PostgreSQL restarted", "PostgreSQL crashed"} & found["faults"].keys()
    assert found["safeguards_racing_live_claims"] > 0
    assert found["recovery_after_kill_measured"] > 0
    assert not [pid for pid in still_running() if str(folder).encode() in pid], "a process was left behind"


def still_running() -> list[bytes]:
    """Return the environments of all processes: everybody of a run has its folder in there."""
    found = []
    for process in Path("/proc").glob("[0-9]*/environ"):
        try:
            found.append(process.read_bytes())
        except OSError:
            continue
    return found
