"""CSV and Excel: what is read, what is refused, and that no cell ever is a formula."""

import datetime as dt
import io
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from openpyxl import Workbook, load_workbook

from app.platform.errors import InvalidInput
from app.registry.formats import tables
from app.registry.formats.tables import (
    encoding_of,
    guarded,
    read_csv,
    read_xlsx,
    unguarded,
    write_csv,
    write_xlsx,
)

STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


@given(st.text())
@example("'=1")
@example("''")
@example(" =1")
def test_the_guard_is_undone(text):
    assert unguarded(guarded(text)) == text


@given(st.sampled_from(STARTS), st.text())
def test_what_a_spreadsheet_would_run_is_guarded(start, rest):
    assert guarded(start + rest).startswith("'")
    if not start.isspace():
        assert guarded("  " + start + rest).startswith("'")


@settings(max_examples=40)
@given(st.lists(st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"])), min_size=2, max_size=2)))
def test_csv_goes_round(cells):
    header = ["一", "二"]
    rows = [dict(zip(header, row, strict=True)) for row in cells if any(cell.strip() for cell in row)]
    buffer = io.BytesIO()
    assert write_csv(buffer, header, rows, "utf-8-sig") == []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.csv"
        path.write_bytes(buffer.getvalue())
        assert [row.cells for row in read_csv(path)] == rows


def test_lines_are_those_where_rows_begin(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes('a,b\r\n"x\r\ny",1\r\n\r\nz,2\r\n'.encode("utf-8-sig"))
    assert [(row.row, row.cells["a"]) for row in read_csv(path)] == [(2, "x\r\ny"), (5, "z")]


def test_encodings_are_found_out(tmp_path):
    path = tmp_path / "t.csv"
    for encoding, found in (("utf-8", "utf-8-sig"), ("utf-8-sig", "utf-8-sig"), ("cp932", "cp932")):
        path.write_bytes("名前,値\r\n髙﨑①,−\r\n".replace("−", "ー").encode(encoding))
        assert encoding_of(path) == found
        assert [row.cells["名前"] for row in read_csv(path)] == ["髙﨑①"]


def test_what_cp932_lacks_is_reported_and_never_left_out(tmp_path):
    buffer = io.BytesIO()
    lost = write_csv(buffer, ["名"], [{"名": "𠮷野家👶"}], "cp932")
    assert [(one.row, one.column, one.characters) for one in lost] == [(2, "名", "𠮷👶")]
    assert buffer.getvalue().decode("cp932") == "名\r\n〓野家〓\r\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        ("名前\n".encode("utf-16"), "UTF-16"),
        (b"\xff\x00\xff,\x81\n", "neither UTF-8 nor CP932"),
        (b"PK\x03\x04rest", "Excel workbook"),
        (b"\n\nx,y\n", "no header"),
        (b"a,a\n1,2\n", "twice"),
        (b'a,b\n"x,1\n', "quote"),
        (b"a,b\n" + b"x" * 140_000 + b",1\n", "field larger"),
    ],
)
def test_hostile_csv_is_refused_with_a_sentence(content, said, tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=said):
        list(read_csv(path))


def test_surplus_cells_are_noticed(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(b"a,b\n1,2,3\n1,2,\n")
    assert [row.surplus for row in read_csv(path)] == [True, False]


def a_workbook(rows, path):
    book = Workbook()
    for row in rows:
        book.active.append(row)
    book.save(path)
    return path


def test_excel_goes_round_without_formulas(tmp_path):
    rows = [{"a": "=HYPERLINK(1)", "b": "−１\n二行"}, {"a": "+81", "b": "'=x"}, {"a": "2026-04-01", "b": "007"}]
    path = tmp_path / "t.xlsx"
    with path.open("wb") as stream:
        assert write_xlsx(stream, ["a", "b"], rows, "制度") == []
    assert [row.cells for row in read_xlsx(path)] == rows
    cells = [cell for row in load_workbook(path).active.iter_rows() for cell in row]
    assert {cell.data_type for cell in cells} <= {"s", "n"}
    assert not any(str(cell.value).startswith(STARTS) for cell in cells)


def test_excel_values_become_text(tmp_path):
    path = a_workbook(
        [["日", "数", "式"], [dt.datetime.fromisoformat("2026-04-01"), 12.0, "=1+1"], [dt.date(2026, 4, 2), 1.5, None]],
        tmp_path / "t.xlsx",
    )
    assert [row.cells for row in read_xlsx(path)] == [
        {"日": "2026-04-01", "数": "12", "式": "=1+1"},
        {"日": "2026-04-02", "数": "1.5", "式": ""},
    ]


def test_a_text_that_is_no_workbook(tmp_path):
    path = tmp_path / "t.xlsx"
    for content, said in (
        (b"", "is empty"),
        (b"a,b\n", "not an Excel workbook"),
        (b"\xd0\xcf\x11\xe0", "not an Excel"),
    ):
        path.write_bytes(content)
        with pytest.raises(InvalidInput, match=said):
            list(read_xlsx(path))


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "MOST_UNPACKED_BYTES", 5 << 20)
    path = tmp_path / "t.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b" " * (6 << 20))
    assert path.stat().st_size < 20_000
    with pytest.raises(InvalidInput, match="unpack"):
        list(read_xlsx(path))


def test_document_types_and_other_zips_are_refused(tmp_path):
    path = tmp_path / "t.xlsx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("xl/workbook.xml", '<!DOCTYPE x [<!ENTITY a "b">]><x/>')
    with pytest.raises(InvalidInput, match="document type"):
        list(read_xlsx(path))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "not a workbook")
    with pytest.raises(InvalidInput, match="broken workbook"):
        list(read_xlsx(path))


def test_a_cut_off_workbook_is_refused(tmp_path):
    path = a_workbook([["a"], ["1"]], tmp_path / "t.xlsx")
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InvalidInput, match="workbook"):
        list(read_xlsx(path))
