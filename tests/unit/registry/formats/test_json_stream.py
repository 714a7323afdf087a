"""Records of a JSON file, one at a time, whatever the file is."""

import json
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.platform.errors import InvalidInput
from app.registry.formats.json_stream import DEEPEST, records

TEXTS = st.text('{}[]",:\\\\あ\n x', max_size=8)
VALUES = (
    TEXTS | st.none() | st.integers(-9, 2**53) | st.lists(TEXTS | st.dictionaries(TEXTS, TEXTS, max_size=2), max_size=3)
)


@settings(max_examples=50)
@given(st.lists(st.dictionaries(TEXTS, VALUES, max_size=4), max_size=4), st.sampled_from([None, 2]), st.booleans())
def test_every_array_of_objects(tmp_path_factory, found, indent, escaped):
    path = tmp_path_factory.mktemp("json") / "r.json"
    path.write_bytes(json.dumps(found, indent=indent, ensure_ascii=escaped).encode("utf-8", "surrogatepass"))
    read = list(records(path))
    assert [one.row for one in read] == list(range(1, len(found) + 1))
    assert [one.value for one in read if one.problem is None] == [
        one for one, back in zip(found, read, strict=True) if back.problem is None
    ]
    assert all(0 < one.share <= 1 for one in read)


@pytest.mark.parametrize(
    ("content", "values"),
    [
        (b'\xef\xbb\xbf[{"a": 1}]', [{"a": 1}]),
        (b'{"a": 1}\n{"a": 2}\n', [{"a": 1}, {"a": 2}]),
        (b'{"a": [{"b": "]}"}]}', [{"a": [{"b": "]}"}]}]),
        (b"[]", []),
    ],
)
def test_shapes(content, values, tmp_path):
    path = tmp_path / "r.json"
    path.write_bytes(content)
    assert [one.value for one in records(path)] == values


@pytest.mark.parametrize(
    "record",
    [b'{"a": nope}', b'{"a": "\x00"}', b'{"a": "\\ud800"}', '{"a": "あ"}'.encode("cp932"), b'{"a" 1}', b'{"a": 1e999}'],
)
def test_one_broken_record_does_not_take_the_others_with_it(record, tmp_path):
    path = tmp_path / "r.json"
    path.write_bytes(b'[{"a": 1},' + record + b',{"a": 3}]')
    read = list(records(path))
    assert [one.value for one in read] == [{"a": 1}, None, {"a": 3}]
    assert read[1].problem[0] == "not_json"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"   ", "no record"),
        (b"<html></html>", "found '<html>"),
        ("制度キー,概要\n".encode("cp932"), "found the bytes 90 a7 93 78 83 4c 81 at byte 0; expected .*table"),
        ("制度キー,概要\n架空,架空\n".encode(), "found '制度キー,概要' at byte 0; expected"),
        (("あ" * 400).encode(), f"found '{'あ' * 39}…' at"),
        (b"PK\x03\x04\x14\x00" + bytes(range(200)), "found the bytes 50 4b 03 04 14"),
        (b'"\x1b[2J" [{"a": 1}]', "found the bytes 22 1b 5b"),
        (b'[{"a": 1}', "ends inside"),
        (b'[{"a": "x}]', "found '\"'"),
        (b'[{"a": 1}] and more', "found 'and more'"),
        (b"[1, 2]", "found '1, 2'"),
        (b'["a"]', "not a JSON array of records"),
        (b'[[{"a": 1}]]', "found a list"),
        (b"}{", "found '}'"),
        (b"[" + b'{"a":' * 60, "nested deeper"),
        ('[{"a": 1}]'.encode("utf-16"), "UTF-16"),
    ],
)
def test_what_is_no_file_of_records(content, said, tmp_path):
    path = tmp_path / "r.json"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=said):
        list(records(path))
    assert DEEPEST == 40


def test_a_large_file_needs_little_memory(tmp_path):
    path = tmp_path / "r.json"
    one = json.dumps({"text": "あ" * 3000})
    path.write_text("[" + ",".join([one] * 400) + "]", encoding="utf-8")
    assert path.stat().st_size > 3_000_000
    tracemalloc.start()
    count = sum(1 for _ in records(path))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 400
    assert peak < 1_000_000


def test_a_huge_record_is_refused_alone(tmp_path):
    path = tmp_path / "r.json"
    path.write_text('[{"a": "' + "x" * 5_000_000 + '"}, {"a": 1}]', encoding="utf-8")
    read = list(records(path))
    assert read[0].problem[0] == "record_too_large"
    assert read[1].value == {"a": 1}
