"""Builds that are broken on purpose under short chaos runs: the checker must find each of them out.

Not part of the suite (seven minutes, and by its name not collected); `make chaos-self-test` runs it.
"""

import json
import subprocess
import sys

import pytest

from app.platform.settings import PROJECT_DIRECTORY
from tests.chaos.broken import EXPECTED

SHORT = (
    "--minutes", "0.25", "--kills", "5", "--withdrawals", "20", "--families", "16", "--senders", "1", "--rate", "20",
    "--rest", "25", "--without-matching",
)  # fmt: skip
#: No request outlives its lease, as in production: what a sound build keeps, only the broken one breaks.
SOUND = ("--lease", "6", "--slow", "1")
#: Requests that outlive their lease all the time, so that results come too late.
LATE = ("--lease", "3", "--slow", "5", "--minutes", "0.4")


@pytest.mark.parametrize("name", EXPECTED)
def test_a_broken_build_is_found_out(name, tmp_path):
    report = tmp_path / "report.json"
    command = [
        sys.executable,
        "-m",
        "tests.chaos",
        *SHORT,
        *(LATE if name == "record_without_token" else SOUND),
        "--broken",
        name,
        "--json",
        str(report),
    ]
    ended = subprocess.run(command, cwd=PROJECT_DIRECTORY, capture_output=True, text=True, timeout=240, check=False)
    assert report.exists(), ended.stderr[-3000:]
    found = json.loads(report.read_text())
    assert set(found["violations"]) & EXPECTED[name], (found, ended.stderr[-3000:])
    assert (ended.returncode, found["chaos"]) == (1, "broke")
