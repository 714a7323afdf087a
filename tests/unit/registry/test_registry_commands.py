"""The commands an editor uses: lint, boundaries, check with its coverage, read-back with the day's figures, new."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import main
from app.registry.loading import load_registry
from tests.unit.registry.test_linting import SOUND, folder

__all__ = ["folder"]
KEY = "131211/birth-gift"


@pytest.fixture
def run(folder: Path):
    (folder / "programmes" / "131211-adachi" / "birth-gift.yaml").write_text(SOUND, encoding="utf-8")

    def ask(*arguments: str):
        return CliRunner().invoke(main, ["registry", *arguments, "--registry", str(folder)])

    return ask


def test_lint_prints_places_and_sentences_and_fails_on_errors_only(run, folder: Path) -> None:
    assert run("lint", "--on", "2026-11-21").stdout == "誤り0件、注意0件\n"
    late = run("lint", "--on", "2027-04-02")
    assert (late.exit_code, late.stdout.splitlines()[0]) == (
        0, "programmes/131211-adachi/birth-gift.yaml:23: 注意 overdue next_check_on: 次に確かめる日(2027-04-01)を過ぎています。 "
           "出どころを読み直し、checked_on と next_check_on を書き直してください。")
    path = folder / "programmes" / "131211-adachi" / "birth-gift.yaml"
    path.write_text(SOUND.replace("出産祝い金, checked_on", "ここに書く, checked_on"), encoding="utf-8")
    failed = run("lint", "--json", "--programme", KEY, "--on", "2026-11-21")
    assert failed.exit_code == 2
    (remark,) = [json.loads(line) for line in failed.stdout.splitlines()]
    assert (remark["level"], remark["code"], remark["path"], remark["programme"]) == ("error", "unfilled", "sources[0]", KEY)


def test_boundaries_can_be_pasted_and_then_hold(run, folder: Path) -> None:
    shown = run("boundaries", "--programme", KEY, "--on", "2026-11-21")
    assert shown.exit_code == 0, shown.output
    pasted = "\n".join(f"  {line}" for line in shown.stdout.splitlines())
    path = folder / "programmes" / "131211-adachi" / "birth-gift.yaml"
    path.write_text(SOUND.replace("next_check_on:", f"{pasted}\nnext_check_on:"), encoding="utf-8")
    assert len(load_registry(folder).versions[0].examples) > 10
    checked = run("check")
    assert checked.exit_code == 0, checked.output
    assert "examples show 2 of 2 sides of 1 tests (100 %)" in checked.stdout


def test_boundaries_as_json_say_the_fact_the_edge_and_both_sides(run) -> None:
    found = json.loads(run("boundaries", "--json", "--programme", KEY, "--on", "2026-11-21").stdout)
    assert (found["programme"], found["on"], found["without"]) == (KEY, "2026-11-21", [])
    verdicts = {side: {pair[side]["expect"]["child:c"]["verdict"] for pair in found["pairs"]} for side in ("inside", "outside")}
    assert verdicts == {"inside": {"eligible"}, "outside": {"ineligible"}}


@pytest.mark.parametrize(("language", "words"), [
    ("ja", "2026年11月21日には: 2023年11月22日〜2026年11月21日生まれのお子さん"), ("ja-easy", "生(う)まれた 子(こ)ども"),
    ("en", "children born from 2023-11-22 to 2026-11-21")])
def test_read_back_on_a_day(run, language: str, words: str) -> None:
    assert words in run("read-back", "--programme", KEY, "--on", "2026-11-21", "--lang", language).stdout


def test_new_prints_the_file_and_refuses_to_write_over_it(run) -> None:
    first = run("new", "--municipality", "131211", "--id", "second-gift")
    assert first.exit_code == 0, first.output
    assert Path(first.stdout.strip()).is_file()
    again = run("new", "--municipality", "131211", "--id", "second-gift")
    assert again.exit_code == 2
    assert "expected a new id" in again.stderr
