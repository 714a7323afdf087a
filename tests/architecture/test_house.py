"""House-wide facts: lock files, tasks, templates, documents."""

import re
import subprocess
from pathlib import Path

import pytest

from app.platform import bell
from app.platform.rendering import environment
from workers.celery_app import app as celery
from workers.schedule import SCHEDULE

ROOT = Path(__file__).parents[2]
TRACKED = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
DOCUMENTS = [name for name in TRACKED if name.endswith(".md")]
TOP = re.compile(r"^(app|workers|templates|registry_data|tests|docs|\.ci)/")


@pytest.mark.parametrize(
    "name", [name for name in TRACKED if name.startswith("requirements") or name == "package-lock.json"]
)
def test_lock_files_name_no_host_and_pin_by_hash(name):
    text = (ROOT / name).read_text()
    assert (
        not re.search(r"https?://(?!opencollective|github|www\.patreon|tidelift)", text) or name == "package-lock.json"
    )
    assert '"resolved"' not in text
    assert "sha256:" in text or "sha512-" in text


def test_no_path_of_a_machine_is_committed():
    for name in TRACKED:
        if (ROOT / name).is_file() and not name.endswith((".png", ".svg")):
            text = (ROOT / name).read_text(encoding="utf-8", errors="replace")
            assert str(ROOT) + "/" not in text, name


def test_every_ring_has_a_task_and_every_tick_too():
    celery.loader.import_default_modules()
    rings = {value for name, value in vars(bell).items() if name.isupper() and str(value).startswith("todoke.")}
    assert rings <= set(celery.tasks)
    assert {entry["task"] for entry in SCHEDULE.values()} <= rings


def test_tasks_carry_ids_only_and_wait_for_no_one():
    source = (ROOT / "workers" / "tasks.py").read_text()
    for word in ("eta=", "countdown", ".retry(", "session", "select("):
        assert word not in source


def test_every_message_template_compiles():
    names = [
        name for name in environment().list_templates() if name.startswith("notices/") and not name.endswith(".yaml")
    ]
    assert len(names) > 10
    for name in names:
        environment().get_template(name)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_paths_and_commands_in_documents_exist(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for command in re.findall(r"`make ([a-z]+)", text):
        assert command in targets, f"{name}: make {command}"
    for path in re.findall(r"`([^`\s]+)`", text):
        if TOP.match(path) and not re.search(r"[<*{…]", path):
            assert (ROOT / path.rstrip("/")).exists(), f"{name}: {path}"


def test_nothing_is_committed_empty():
    assert not [name for name in TRACKED if (ROOT / name).is_file() and not (ROOT / name).stat().st_size]


def test_personal_numbers_of_families_stand_in_no_log_call():
    for name in TRACKED:
        if name.startswith(("app/", "workers/")) and name.endswith(".py"):
            for line in (ROOT / name).read_text().splitlines():
                if re.search(r"_?log(ger)?\.(debug|info|warning|error|exception)\(", line):
                    assert "household_id" not in line and "address" not in line, f"{name}: {line.strip()}"
