"""Households from files and streams: each is checked on its own, the bad ones are named with their place."""

import io
import json
from pathlib import Path

import pytest

from app.cli import household_input
from app.rules.facts import FactCatalogue
from tests.conftest import registry

GOOD = {"municipality": "131121", "children": [{"id": "c1", "birth_date": "2024-04-02"}]}


@pytest.fixture(scope="module")
def catalogue() -> FactCatalogue:
    return registry().facts


def read(source: str, catalogue: FactCatalogue) -> tuple[list[str], list[str]]:
    """Return the ids that were read and what was said about the rest."""
    batches = list(household_input.read_batches(source, catalogue))
    ids = [household.id or "" for batch in batches for household in batch.households]
    return ids, [str(complaint) for batch in batches for complaint in batch.complaints]


def stream(monkeypatch: pytest.MonkeyPatch, content: str | bytes) -> None:
    buffer = io.BytesIO(content if isinstance(content, bytes) else content.encode())
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(buffer))


def test_a_yaml_file_is_named_after_its_file(tmp_path: Path, catalogue: FactCatalogue) -> None:
    path = tmp_path / "anna.yaml"
    path.write_text('municipality: "131121"\nchildren: [{id: c1, birth_date: 2024-04-02}]\n')
    assert read(str(path), catalogue) == (["anna"], [])


def test_a_mistake_in_a_yaml_file_is_named_with_its_line(tmp_path: Path, catalogue: FactCatalogue) -> None:
    path = tmp_path / "anna.yaml"
    path.write_text('municipality: "131121"\nchildren:\n  - id: c1\n    birth_date: 2024-04-31\n')
    ids, said = read(str(path), catalogue)
    assert ids == []
    assert said == [
        f"{path}:4: children[0].birth_date: found '2024-04-31'; expected a date such as 2026-11-21, null or declined"
    ] or (f"{path}:4: children[0].birth_date" in said[0] and "2024-04-31" in said[0])


@pytest.mark.parametrize(
    ("document", "path", "said"),
    [
        ({"municipality": "131122"}, "municipality", "131121"),
        ({"facts": {"single_mother": True}}, "facts", "single_parent"),
        ({"facts": {"single_parent": "yes"}}, "facts.single_parent", "true, false"),
        ({"children": [{"birth_date": "2024-02-30"}]}, "children[0].birth_date", "2024-02-30"),
        ({"childs": []}, "childs", "documented keys"),
        (
            {"guardians": [{"facts": {"income_after_deductions": {"value": 1, "income_year": 26}}}]},
            "income_year",
            "calendar year",
        ),
        ({"guardians": [{"facts": {"income_after_deductions": 1.5}}]}, "income_after_deductions", "whole number"),
        ({"facts": {"memo": "123456789018"}}, "memo", "個人番号"),
    ],
)
def test_bad_input_names_the_place_what_was_found_and_what_is_expected(
    tmp_path: Path, catalogue: FactCatalogue, document: object, path: str, said: str
) -> None:
    file = tmp_path / "bad.json"
    file.write_text(json.dumps(document))
    ids, complaints = read(str(file), catalogue)
    assert ids == []
    assert any(path in complaint and said in complaint for complaint in complaints), complaints
    assert all("123456789018" not in complaint for complaint in complaints)


def test_json_lines_answer_the_good_and_name_the_bad(monkeypatch: pytest.MonkeyPatch, catalogue: FactCatalogue) -> None:
    lines = [json.dumps(GOOD), "{broken", "", json.dumps({**GOOD, "id": "own"}), "[1]", '{"a": 1, "a": 2}', "NaN"]
    stream(monkeypatch, "\n".join(lines))
    ids, said = read("-", catalogue)
    assert ids == ["1", "own"]
    assert [complaint.split(": ")[0] for complaint in said] == [f"standard input:{line}" for line in (2, 5, 6, 7)]
    assert "written twice" in said[2]


def test_a_broken_first_line_does_not_hide_the_others(
    monkeypatch: pytest.MonkeyPatch, catalogue: FactCatalogue
) -> None:
    stream(monkeypatch, "{broken\n" + json.dumps(GOOD) + "\n")
    ids, said = read("-", catalogue)
    assert ids == ["2"]
    assert said[0].startswith("standard input:1: is not JSON")


def test_bytes_that_are_not_utf8_spoil_one_line_only(monkeypatch: pytest.MonkeyPatch, catalogue: FactCatalogue) -> None:
    good = json.dumps(GOOD).encode()
    stream(monkeypatch, good + b"\n\xff\xfe\n" + good + b"\n")
    ids, said = read("-", catalogue)
    assert ids == ["1", "3"]
    assert said[0].startswith("standard input:2")


def test_an_array_is_one_population(monkeypatch: pytest.MonkeyPatch, catalogue: FactCatalogue) -> None:
    stream(monkeypatch, json.dumps([GOOD, {"municipality": "1"}, {**GOOD, "id": "own"}], indent=1))
    batches = list(household_input.read_batches("-", catalogue))
    assert len(batches) == 1
    assert [household.id for household in batches[0].households] == ["1", "own"]
    assert "[1].municipality" in str(batches[0].complaints[0])


def test_a_pretty_printed_object_is_one_household(monkeypatch: pytest.MonkeyPatch, catalogue: FactCatalogue) -> None:
    stream(monkeypatch, json.dumps({**GOOD, "id": "own"}, indent=2))
    assert read("-", catalogue) == (["own"], [])


def test_yaml_on_standard_input(monkeypatch: pytest.MonkeyPatch, catalogue: FactCatalogue) -> None:
    stream(monkeypatch, '# a comment\nid: own\nmunicipality: "131121"\n')
    assert read("-", catalogue) == (["own"], [])


@pytest.mark.parametrize("content", ["", "\n\n", "[" * 100_000, "- " * 5_000 + "1"])
def test_empty_and_endless_input_is_refused(
    monkeypatch: pytest.MonkeyPatch, catalogue: FactCatalogue, content: str
) -> None:
    stream(monkeypatch, content)
    ids, said = read("-", catalogue)
    assert ids == []
    assert said


def test_a_file_that_is_not_there_is_refused(catalogue: FactCatalogue) -> None:
    ids, said = read("nowhere.yaml", catalogue)
    assert ids == []
    assert "cannot be read" in said[0]


def test_the_first_answers_of_a_stream_do_not_wait_for_the_last(
    catalogue: FactCatalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream(monkeypatch, "\n".join([json.dumps(GOOD)] * 30))
    sizes = [len(batch.households) for batch in household_input.read_batches("-", catalogue)]
    assert sizes == [1, 10, 19]
