"""The import contracts hold, and each of them really catches what it forbids."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

WRONG_IMPORTS = [
    ("app/rules/smuggled.py", "import app.platform.clock", "Calendar and rules are pure"),
    ("app/calendar/smuggled.py", "import sqlmodel", "Calendar and rules are pure"),
    ("app/households/smuggled.py", "import app.registry.loading", "Rooms stand on floors"),
    ("app/registry/smuggled.py", "import app.matching.sweep", "Rooms stand on floors"),
    ("app/matching/smuggled.py", "import app.delivery.outbox", "Rooms stand on floors"),
    ("app/platform/smuggled.py", "import app.households.tables", "Rooms stand on floors"),
    ("app/unknown_room/__init__.py", "", "Rooms stand on floors"),
    ("workers/smuggled.py", "import app.faces.parent", "Workers know no pages"),
    ("app/main_smuggled.py", "import workers.tasks", "Workers stand above the app"),
    ("app/faces/parent/smuggled.py", "import app.faces.staff", "Faces do not know one another"),
    ("app/delivery/channels/webhook.py", "import app.delivery.channels.line", "Channels do not know one another"),
    ("app/notices/smuggled.py", "import fastapi", "FastAPI only at the edge"),
    ("app/matching/smuggled.py", "import celery", "Celery only in workers"),
    ("app/households/smuggled.py", "import httpx", "Outbound HTTP only"),
]


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()", "--no-cache"]
    return subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(folder), "PATH": "", "LC_ALL": "C.UTF-8"},
    )


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("house")
    for name in ("app", "workers"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "vendor"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def test_the_contracts_hold(copy):
    result = lint(copy)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(("path", "line", "contract"), WRONG_IMPORTS, ids=lambda value: str(value)[:40])
def test_a_wrong_import_is_caught(copy, path, line, contract):
    target = copy / path
    before = target.read_text() if target.exists() else None
    target.parent.mkdir(exist_ok=True)
    target.write_text((before or "") + f"\n{line}\n")
    try:
        result = lint(copy)
    finally:
        if before is None:
            target.unlink()
            if target.parent.name == "unknown_room":
                target.parent.rmdir()
        else:
            target.write_text(before)
    broken = [text for text in result.stdout.splitlines() if "BROKEN" in text]
    missing = contract == "Rooms stand on floors" and "unknown_room" in path and result.returncode != 0
    assert missing or any(contract in text for text in broken), result.stdout[-3000:]


def test_no_exceptions_are_made():
    assert "ignore_imports" not in (ROOT / "pyproject.toml").read_text()
