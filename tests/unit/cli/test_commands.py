"""The commands as people run them: their JSON, their exit statuses, and what they do not need."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.core import TyperGroup, TyperOption
from typer.main import get_command
from typer.testing import CliRunner, Result

from app.cli import main

REGISTRY_DATA = Path(__file__).parents[3] / "registry_data"
HOUSEHOLDS = REGISTRY_DATA / "households"
NEWBORN = str(HOUSEHOLDS / "newborn-setagaya.yaml")
ALLOWANCE = "000000/child-allowance"


def run(*arguments: str, given: str | None = None) -> Result:
    return CliRunner().invoke(main, list(arguments), input=given)


def test_the_shape_of_check_json_is_stable() -> None:
    done = run("check", NEWBORN, "--on", "2026-11-21", "--programme", ALLOWANCE, "--json")
    assert done.exit_code == 0
    answered = json.loads(done.stdout)
    assert {"household", "on", "results"} <= set(answered)
    assert (answered["household"], answered["on"]) == ("newborn-setagaya", "2026-11-21")
    result = next(result for result in answered["results"] if result["subject"] == "child:newborn")
    reason = result.pop("reason")
    assert set(reason) == {"ja"}
    assert reason["ja"]
    expected = {
        "programme": ALLOWANCE, "version": "2024-10-01", "subject": "child:newborn", "verdict": "eligible",
        "amount": {"yen": 15000, "per": "month"}, "eligible_from": "2026-11-21", "eligible_until": "2045-03-31",
        "counted_on": "2026-12-06", "deadline": "2026-12-07", "pays_from": "2026-12", "missing": [],
    }  # fmt: skip
    assert {name: result[name] for name in expected} == expected


def test_a_day_in_the_past_uses_the_figures_of_then() -> None:
    for on, yen in (("2025-03-31", 41_740), ("2025-04-01", 42_830), ("2026-04-01", 44_080)):
        done = run("check", str(HOUSEHOLDS / "single-parent.yaml"), "--on", on, "--programme",
                   "000000/child-rearing-allowance", "--json")  # fmt: skip
        assert json.loads(done.stdout)["results"][0]["amount"]["yen"] == yen


def test_before_the_first_version_nothing_is_said() -> None:
    done = run("check", NEWBORN, "--on", "2024-09-30", "--programme", ALLOWANCE, "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout)["results"] == []


def test_a_table_for_people_says_amount_deadline_reason_and_that_it_is_no_decision() -> None:
    done = run("check", NEWBORN, "--on", "2026-11-24")
    assert done.exit_code == 0
    for part in ("児童手当", "月15,000円", "2026-12-07まで(数えると2026-12-06)", "これは目安です"):
        assert part in done.stdout


def test_what_decides_an_open_amount_is_said() -> None:
    done = run("check", str(HOUSEHOLDS / "four-children.yaml"), "--on", "2026-11-24", "--programme", ALLOWANCE)
    assert "15,000〜30,000円" in done.stdout
    assert "「親が生活費を出し、見守っている」かどうかが分かると額が決まります" in done.stdout


def test_a_stream_answers_the_good_lines_names_the_bad_and_leaves_with_2() -> None:
    lines = [
        '{"id": "a", "municipality": "131121", "children": [{"id": "c", "birth_date": "2024-04-02"}]}',
        "{no",
        '{"municipality": "131122"}',
    ]
    done = run("check", "-", "--on", "2026-11-24", "--json", "--programme", ALLOWANCE, given="\n".join(lines))
    assert done.exit_code == 2
    assert [json.loads(line)["household"] for line in done.stdout.splitlines()] == ["a"]
    assert "standard input:2: is not JSON" in done.stderr
    assert "standard input:3: municipality: found" in done.stderr
    assert "131121" in done.stderr


def test_an_array_gives_one_object_per_household() -> None:
    households = [{"id": name, "municipality": "131121", "children": []} for name in ("a", "b")]
    done = run("check", "-", "--on", "2026-11-24", "--json", given=json.dumps(households))
    assert done.exit_code == 0
    assert [json.loads(line)["household"] for line in done.stdout.splitlines()] == ["a", "b"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["check", NEWBORN, "--on", "2026-13-01"], "--on: found '2026-13-01'; expected a date"),
        (["check", NEWBORN, "--programme", "000000/child-alowance"], "expected CODE/ID such as 000000/child-allowance"),
        (["check", "nobody.yaml", "--on", "2026-11-24"], "nobody.yaml: cannot be read"),
        (["check", NEWBORN, "--registry", str(HOUSEHOLDS)], "is not a registry"),
        (["timeline", NEWBORN, "--from", "2026-11-24", "--until", "2026-11-23"], "--until: found 2026-11-23"),
        (
            ["explain", NEWBORN, "--programme", ALLOWANCE, "--on", "2020-01-01"],
            "no version of 000000/child-allowance is law",
        ),
    ],
)
def test_bad_arguments_leave_with_2_and_a_sentence(arguments: list[str], said: str) -> None:
    done = run(*arguments)
    assert done.exit_code == 2
    assert said in done.stderr
    assert done.stdout == ""


def test_the_timeline_lists_periods_in_order_without_gaps() -> None:
    done = run("timeline", NEWBORN, "--from", "2026-11-01", "--until", "2028-12-31", "--programme", ALLOWANCE, "--json")
    periods = json.loads(done.stdout)["periods"]
    newborn = [period for period in periods if period["subject"] == "child:newborn"]
    assert [(period["verdict"], period["from"], period["until"]) for period in newborn] == [
        ("ineligible", "2026-11-01", "2026-11-20"),
        ("eligible", "2026-11-21", "2028-12-31"),
    ]


def test_the_timeline_of_a_move_shows_what_ends_and_what_begins() -> None:
    household = str(HOUSEHOLDS / "moving-into-kita.yaml")
    done = run("timeline", household, "--from", "2026-11-24", "--until", "2027-03-31", "--json")
    rights = {
        period["programme"]: period for period in json.loads(done.stdout)["periods"] if period["verdict"] == "eligible"
    }
    assert (rights[ALLOWANCE]["from"], rights[ALLOWANCE]["until"]) == ("2026-11-24", "2026-12-09")
    assert (rights["131172/child-allowance"]["from"], rights["131172/child-allowance"]["until"]) == (
        "2026-12-10",
        "2027-03-31",
    )
    assert run("timeline", household, "--from", "2026-11-24", "--until", "2027-03-31").exit_code == 0


@pytest.mark.parametrize("language", ["ja", "ja-easy", "en"])
def test_explain_shows_every_condition_in_three_languages(language: str) -> None:
    arguments = ["explain", str(HOUSEHOLDS / "single-parent.yaml"), "--programme", "000000/child-rearing-allowance",
                 "--on", "2026-11-24", "--lang", language]  # fmt: skip
    shown = run(*arguments)
    assert shown.exit_code == 0
    assert "1,220,000" in shown.stdout
    document = json.loads(run(*arguments, "--json").stdout)
    assert document["language"] == language
    (subject,) = document["subjects"]
    assert subject["verdict"] == "eligible"
    criteria, contradiction = subject["conditions"]["parts"]
    assert len(criteria["parts"]) == 4
    assert (contradiction["verdict"], contradiction["path"]) == ("eligible", "unmodelled[0].contradicted_by")


def test_registry_check_runs_the_examples() -> None:
    done = run("registry", "check")
    assert done.exit_code == 0
    assert "no errors" in done.stdout


def test_registry_check_names_the_example_that_fails(tmp_path: Path) -> None:
    copy = shutil.copytree(REGISTRY_DATA, tmp_path / "registry_data")
    path = copy / "programmes/131121-setagaya/birth-cost-grant.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("amount: 50000", "amount: 40000"), encoding="utf-8")
    done = run("registry", "check", "--registry", str(copy), "--programme", "131121/birth-cost-grant")
    assert done.exit_code == 2
    assert "examples[0].expect.child:newborn.amount: found 50000; expected 40000" in done.stderr


def test_read_back_is_japanese_sentences() -> None:
    done = run("registry", "read-back", "--programme", "131121/birth-cost-grant")
    assert done.exit_code == 0
    assert "世田谷区 出産費助成" in done.stdout
    assert "制度の対象地域に住んでいた" in done.stdout


def test_lint_remarks_without_failing_and_notices_what_is_overdue() -> None:
    assert run("registry", "lint", "--on", "2026-11-24").exit_code == 0
    later = run("registry", "lint", "--on", "2028-01-01", "--programme", "000000/child-allowance")
    assert "overdue" in later.stdout


def test_start_up_imports_neither_database_nor_web() -> None:
    code = (
        "import sys; from typer.testing import CliRunner; from app.cli import main;"
        f"done = CliRunner().invoke(main, ['check', {NEWBORN!r}, '--on', '2026-11-24', '--json']);"
        "assert done.exit_code == 0, done.output;"
        "found = {'fastapi', 'sqlalchemy', 'sqlmodel', 'psycopg', 'celery', 'pydantic_settings'} & set(sys.modules);"
        "sys.exit(', '.join(found) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_python_dash_m_is_the_same_command() -> None:
    done = subprocess.run([sys.executable, "-m", "app.cli", "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "todoke" in done.stdout


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


def test_every_command_reads_its_municipality_in_the_same_way() -> None:
    # What is given is read first, so that what else a command needs may be left out here.
    found = 0
    for path, command in commands(get_command(main)):
        required = [one for one in command.params if one.name == "municipality"]
        for parameter in required:
            given = ["--municipality", "131122"] if isinstance(parameter, TyperOption) else ["131122"]
            done = CliRunner().invoke(main, [*path, *given])
            assert done.exit_code == 2, (path, done.output)
            assert "found 131122, whose check digit is wrong; expected 131121" in done.stderr, (path, done.output)
            found += 1
    assert found >= 12


def test_five_digits_are_completed_as_everywhere(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["registry", "export", "--format", "staff-csv", "--municipality", "13112"])
    assert done.exit_code == 0
    assert b"131121/birth-cost-grant" in done.stdout_bytes
