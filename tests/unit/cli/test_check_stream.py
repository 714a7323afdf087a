"""JSON lines as a stream: the same answers in the same order however they are worked out, and nothing left behind."""

import datetime as dt
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from app.cli import check_stream
from app.cli.answers import phrases_of
from app.cli.check_stream import Checker, Question, answered
from app.cli.options import READER_GONE
from app.households.synthetic import synthetic_households
from app.registry.loading import Registry
from app.rules.household import read_household
from app.rules.inquiry import answers_on
from app.rules.population import Population
from tests.conftest import registry as registry_of_the_files

REGISTRY_DATA = Path(__file__).parents[3] / "registry_data"
ON = dt.date(2026, 11, 24)
DOCUMENTS = list(synthetic_households(60, on=ON))
LINES = [json.dumps(document, ensure_ascii=False).encode() for document in DOCUMENTS]
KEYS = {
    "programme", "version", "subject", "verdict", "amount", "steps", "eligible_from", "eligible_until", "begins_on",
    "opens_on", "counted_on", "deadline", "lapsed_on", "occasion", "pays_from", "cost_of_delay", "take_up", "form",
    "missing", "questions", "only_by_judgement", "stale", "review_on", "certainty", "reason",
}  # fmt: skip


@pytest.fixture(scope="module")
def registry() -> Registry:
    return registry_of_the_files()


def by_workers(registry: Registry, lines: list[bytes], monkeypatch: pytest.MonkeyPatch, named: str) -> tuple[bytes, list[str]]:
    """Answer with workers, in batches of 1, 10 and 10."""
    for module in ("app.cli.check_stream", "app.cli.household_input"):
        monkeypatch.setattr(f"{module}.LARGEST_BATCH", 10)
    parts = list(answered(registry, Question(ON, (named,), "lines"), enumerate(lines, 1)))
    assert len(parts) > 4
    return b"".join(found for found, _ in parts), [one for _, complaints in parts for one in complaints]


def test_workers_answer_as_one_process_does_and_in_order(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    spoilt = [*LINES]
    spoilt[7], spoilt[25] = b"{no", b'{"municipality": "131122"}'
    alone = Checker(registry, Question(ON, ("000000/child-allowance",), "lines")).answer(list(enumerate(spoilt, 1)))
    assert by_workers(registry, spoilt, monkeypatch, "000000/child-allowance") == alone
    found, complaints = alone
    assert [json.loads(line)["household"] for line in found.splitlines()] == [
        document["id"] for place, document in enumerate(DOCUMENTS) if place not in (7, 25)
    ]
    assert [one.split(": ")[0] for one in complaints] == ["lines:8", "lines:26"]
    assert "131121" in complaints[1]


def test_lines_say_what_the_answers_say(registry: Registry) -> None:
    """The columns written out are the answers that everything else reads, key by key."""
    found, _ = Checker(registry, Question(ON, None, "lines")).answer(list(enumerate(LINES, 1)))
    population = Population.from_documents([read_household(one, registry.facts) for one in DOCUMENTS], registry.facts)
    names = ("programme", "version", "subject", "verdict", "occasion", "pays_from", "cost_of_delay", "take_up", "form",
             "only_by_judgement", "stale", "certainty")  # fmt: skip
    days = ("eligible_from", "eligible_until", "begins_on", "opens_on", "counted_on", "deadline", "lapsed_on", "review_on")
    later = 0
    told = answers_on(registry.rulebook, population, ON, None, phrases_of(registry, "ja"))
    for line, household in zip(found.splitlines(), told, strict=True):
        document = json.loads(line)
        refused: dict[str, list[str]] = {}
        results = iter(document["results"])
        for answer in household.answers:
            if answer.verdict == "ineligible" and answer.begins_on is None:
                refused.setdefault(answer.programme, []).append(answer.subject)
                continue
            result = next(results)
            if answer.verdict == "ineligible" and answer.begins_on is not None:
                begins = {"begins_on": answer.begins_on.isoformat()}
                assert result == {**{name: getattr(answer, name) for name in names[:4]}, **begins}
                later += 1
                continue
            assert set(result) == KEYS
            assert {name: result[name] for name in names} == {name: getattr(answer, name) for name in names}
            assert [result[name] for name in days] == [
                None if (day := getattr(answer, name)) is None else day.isoformat() for name in days
            ]
            assert result["amount"] == (answer.amount and answer.amount.as_document())
            assert result["steps"] == [
                {"from": day.isoformat(), "amount": amount and amount.as_document()} for day, amount in answer.steps
            ]
            assert result["missing"] == [one.fact for one in answer.missing]
            assert result["questions"] == [vars(one) for one in answer.missing]
            assert result["reason"]["ja"] == answer.reason
        assert next(results, None) is None
        assert document["ineligible"] == refused
        assert list(document["ineligible"]) == list(refused)
    assert later


def test_a_key_written_twice_is_refused_also_where_everything_else_is_in_order(registry: Registry) -> None:
    twice = LINES[0].replace(b'{"id"', b'{"municipality": "131121", "id"', 1)
    found, complaints = Checker(registry, Question(ON, None, "lines")).answer([(3, twice)])
    assert found == b""
    assert complaints == ["lines:3: is not JSON: the key 'municipality' is written twice; keep one"]


def started(arguments: list[str], **more: object) -> "subprocess.Popen[bytes]":
    code = (
        "import app.cli.household_input as i, app.cli.check_stream as s; i.LARGEST_BATCH = s.LARGEST_BATCH = 10\n"
        "if __name__ == '__main__':\n    from app.cli import main; main()"
    )
    command = [sys.executable, "-c", code, "check", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True, **more)  # type: ignore[call-overload, no-any-return]


def members(group: int) -> list[int]:
    """Processes of a process group that still run."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            found.append(int(folder.name))
    return found


def wait_until_empty(group: int) -> None:
    until = time.monotonic() + 30
    while members(group) and time.monotonic() < until:
        time.sleep(0.1)
    assert members(group) == []


def test_a_reader_that_goes_away_ends_everything(tmp_path: Path) -> None:
    path = tmp_path / "many.jsonl"
    path.write_bytes(b"\n".join(LINES * 40))
    with started([str(path), "--on", "2026-11-24", "--json"]) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["household"] == "synthetic-0000001"
        process.stdout.close()
        assert process.wait(timeout=60) == READER_GONE
        assert process.stderr is not None
        assert process.stderr.read() == b""
    wait_until_empty(process.pid)


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_check_ends_the_same_way_without_a_reader_in_every_form(form: list[str], tmp_path: Path) -> None:
    path = tmp_path / "many.jsonl"
    path.write_bytes(b"\n".join(LINES * 8))
    with started([str(path), "--on", "2026-11-24", *form]) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert process.wait(timeout=60) == READER_GONE == 141
        assert process.stderr.read() == b""


def test_a_reader_that_was_never_there_gives_the_same_status() -> None:
    """Little output stays in the buffer until the command ends."""
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "app.cli", "registry", "check"]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (READER_GONE, b"")


def test_ctrl_c_leaves_nothing_behind() -> None:
    with started(["-", "--on", "2026-11-24", "--json"], stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"\n".join([*LINES[:45], b""]))
        process.stdin.flush()
        # 45 lines are 1, 10, 10, 10, 10 and four that wait for more; of what is answered one batch at most waits too.
        for _ in range(31):
            process.stdout.readline()
        assert len(members(process.pid)) >= 1 + check_stream.WORKERS
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(timeout=60) != 0
    wait_until_empty(process.pid)
