"""YAML with lines: the words stay words, and every value knows where it stands."""

from pathlib import Path

import pytest

from app.registry.positions import parse_documents, read_documents


def test_values_are_read_as_json_would_carry_them() -> None:
    (document,) = parse_documents(
        "on: {from: 2026-04-01}\nyes: no\ncode: 000000\nnumber: 12\nnothing: null\ntrue_one: true\nday: 04-01\n",
        file="a",
    )
    assert document.complaints == []
    assert document.value == {
        "on": {"from": "2026-04-01"}, "yes": "no", "code": "000000", "number": 12, "nothing": None, "true_one": True,
        "day": "04-01",
    }  # fmt: skip


def test_each_path_has_its_line_and_a_missing_one_that_of_its_parent() -> None:
    (document,) = parse_documents("a: 1\nb:\n  - c: 2\n  - d:\n      e: 3\n", file="a")
    assert document.line_of("b[1].d.e") == 5
    assert document.line_of("b[1].d.missing") == 4
    assert document.line_of("b[1].other.deeper") == 4
    assert document.line_of("nowhere") == 1


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "written twice (first on line 1)"),
        ("a: 1\n  b: 2\n", 2, "not valid YAML"),
        ("a: &x 1\nb: *x\n", 2, "alias"),
        ("a: !!python/object:os.system x\n", 1, "cannot be read"),
        ("? [1]\n: 2\n", 1, "a key must be a word"),
        ("a: \x00\n", 1, "not valid YAML"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text: str, line: int, said: str) -> None:
    complaints = [complaint for document in parse_documents(text, file="a.yaml") for complaint in document.complaints]
    assert complaints
    assert said in complaints[0].message
    assert complaints[0].line == line
    assert str(complaints[0]).startswith(f"a.yaml:{line}: ")


def test_several_documents_keep_the_lines_of_the_file() -> None:
    first, second = parse_documents("a: 1\n---\nb: 2\n", file="a")
    assert (first.line_of("a"), second.line_of("b")) == (1, 3)


def test_a_missing_file_is_a_complaint(tmp_path: Path) -> None:
    (document,) = read_documents(tmp_path / "none.yaml")
    assert "cannot be read" in document.complaints[0].message
