"""CSV and Excel with a header row: bounded reading, writing that no spreadsheet takes for a formula.

A text that a spreadsheet could run (it begins with = + - @, a tab or a line end, also full-width) is written with an
apostrophe before it, and the apostrophe is taken off again on reading, so that a table comes back as it left.
"""

from __future__ import annotations

import codecs
import csv
import datetime as dt
import io
import re
import warnings
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple

from openpyxl import Workbook, load_workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.utils.exceptions import IllegalCharacterError

from app.platform.errors import InvalidInput

Encoding = Literal["utf-8", "utf-8-sig", "cp932"]
READING_ORDER: tuple[Encoding, ...] = ("utf-8-sig", "cp932")
"""utf-8-sig reads UTF-8 with and without its mark; what is no UTF-8 is tried as CP932."""
REPLACEMENT = "〓"
"""What stands for a character that CP932 does not have (下駄記号)."""
_RUNS = re.compile(r"\s*['=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n]")
MOST_ROWS, MOST_COLUMNS = 200_000, 300
MOST_UNPACKED_BYTES = 200 * 1024 * 1024
_CHUNK = 1 << 20


class TableRow(NamedTuple):
    """One row: where it begins (line or sheet row, from 1), how much is read (0–1), its cells by header."""

    row: int
    share: float
    cells: dict[str, str]
    surplus: bool = False


class Lost(NamedTuple):
    """Characters that an encoding does not have, and where they stood."""

    row: int
    column: str
    characters: str


def guarded(text: str) -> str:
    """Return a text as a spreadsheet may see it: never a formula."""
    return f"'{text}" if _RUNS.match(text) else text


def unguarded(text: str) -> str:
    """Undo `guarded`; any other text comes back as it is."""
    return text[1:] if text.startswith("'") and _RUNS.match(text[1:]) else text


# ---- reading --------------------------------------------------------------------------------------------------------


def read_csv(path: Path, encoding: Encoding | None = None) -> Iterator[TableRow]:
    """Yield the rows of a CSV file; the encoding is found out where none is named.

    Raises:
        InvalidInput: empty, unreadable in any encoding, broken quotes, no usable header; said with the line.
    """
    chosen = encoding or encoding_of(path)
    size = max(path.stat().st_size, 1)
    with path.open("rb") as raw:
        text = io.TextIOWrapper(raw, encoding="utf-8-sig" if chosen == "utf-8" else chosen, newline="")
        reader = csv.reader(text, strict=True)
        try:
            header = _header(next(reader, []), path.name)
            begins = reader.line_num + 1
            for cells in reader:
                if len(cells) > MOST_COLUMNS or begins > MOST_ROWS * 20:
                    raise InvalidInput(f"{path.name}: line {begins} is beyond what a registry table holds")
                if any(cell.strip() for cell in cells):
                    yield _row(begins, min(raw.tell() / size, 1.0), header, [unguarded(cell) for cell in cells])
                begins = reader.line_num + 1
        except csv.Error as problem:
            raise InvalidInput(f"{path.name}: line {reader.line_num}: {problem}; quote cells with line ends") from None
        except UnicodeDecodeError as problem:
            message = f"{path.name} is not {chosen} (byte {problem.start} of a part); name its --encoding"
            raise InvalidInput(message) from None


def encoding_of(path: Path) -> Encoding:
    """Return the first encoding of `READING_ORDER` that the whole file is valid in.

    Raises:
        InvalidInput: it is empty, UTF-16, or valid in none.
    """
    with path.open("rb") as raw:
        beginning = raw.read(4)
    if not beginning:
        raise InvalidInput(f"{path.name} is empty; expected a header row and rows below it")
    if beginning[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise InvalidInput(f"{path.name} is UTF-16 (Excel's 'Unicode text'); save it as CSV UTF-8")
    if beginning[:2] == b"PK":
        raise InvalidInput(f"{path.name} is an Excel workbook or a zip file; expected CSV (use the xlsx format for it)")
    for name in READING_ORDER:
        decoder = codecs.getincrementaldecoder(name)()
        try:
            with path.open("rb") as raw:
                while chunk := raw.read(_CHUNK):
                    decoder.decode(chunk)
                decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            continue
        return name
    raise InvalidInput(f"{path.name} is neither UTF-8 nor CP932 (Shift_JIS); save it as CSV UTF-8")


def read_xlsx(path: Path) -> Iterator[TableRow]:
    """Yield the rows of the first sheet of a workbook.

    Raises:
        InvalidInput: no workbook, one that would unpack to more than 200 MB, or one with an XML document type.
    """
    _refuse_bombs(path)
    with path.open("rb") as stream:
        try:
            book = _quietly(load_workbook, stream, read_only=True, data_only=False, keep_links=False)
        except Exception as problem:  # a broken workbook makes openpyxl raise nearly anything
            raise InvalidInput(f"{path.name} is a broken workbook ({type(problem).__name__}); save it again") from None
        try:
            yield from _sheet_rows(book, path.name)
        finally:
            book.close()


def _quietly(step: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """Take one step of openpyxl without its warnings of what it leaves aside: styles, pictures, strange dates."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return step(*arguments, **named)


def _sheet_rows(book: Any, name: str) -> Iterator[TableRow]:
    sheet = book.worksheets[0] if book.worksheets else None
    if sheet is None:
        raise InvalidInput(f"{name} has no sheet; expected a header row and rows below it")
    sheet.reset_dimensions()
    rows = iter(sheet.iter_rows(max_col=MOST_COLUMNS, values_only=True))
    header: list[str] = []
    for number in range(1, MOST_ROWS + 2):
        try:
            values = _quietly(next, rows, None)
        except Exception as problem:  # the sheet is parsed while it is read; see above
            raise InvalidInput(
                f"{name}: row {number} cannot be read ({type(problem).__name__}); save it again"
            ) from None
        if values is None:
            break
        cells = [_cell_text(value) for value in values]
        if not any(cell.strip() for cell in cells):
            continue
        if not header:
            header = _header(cells, name)
            continue
        yield _row(number, 0.0, header, [unguarded(cell) for cell in cells])
    else:
        raise InvalidInput(f"{name} has more than {MOST_ROWS:,} rows; split it")
    if not header:
        raise InvalidInput(f"{name} is empty; expected a header row and rows below it")


def _cell_text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, dt.datetime):
        return value.date().isoformat() if value.time() == dt.time() else value.isoformat(" ")
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, str | int | float | dt.date | dt.time):
        return str(value)
    return f"={type(value).__name__}"  # an array formula: no value of its own


def _refuse_bombs(path: Path) -> None:
    if not zipfile.is_zipfile(path):
        what = "empty" if path.stat().st_size == 0 else "not an Excel workbook (.xlsx)"
        raise InvalidInput(f"{path.name} is {what}; an old .xls has to be saved as .xlsx")
    try:
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
            unpacked = sum(part.file_size for part in parts)
            if unpacked > MOST_UNPACKED_BYTES or len(parts) > 2_000:
                raise InvalidInput(f"{path.name} would unpack to {unpacked:,} bytes; expected under 200 MB")
            for part in parts:
                with archive.open(part) as opened:
                    if b"<!DOCTYPE" in opened.read(4_096):
                        raise InvalidInput(f"{path.name} holds an XML document type, which no workbook needs")
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError) as problem:
        raise InvalidInput(f"{path.name} is a broken workbook ({problem}); save it again") from None


def _header(cells: Sequence[str], name: str) -> list[str]:
    header = [unguarded(cell.strip()) for cell in cells]
    while header and not header[-1]:
        header.pop()
    if not header:
        raise InvalidInput(f"{name} has no header in its first row; expected the names of the columns")
    twice = sorted({cell for cell in header if cell and header.count(cell) > 1})
    if twice:
        raise InvalidInput(f"{name}: the column {twice[0]!r} stands in the header twice; keep one")
    return header


def _row(row: int, share: float, header: Sequence[str], cells: Sequence[str]) -> TableRow:
    surplus = any(cell.strip() for cell in cells[len(header) :])
    named = {column: cell for column, cell in zip(header, cells, strict=False) if column}
    return TableRow(row, share, named, surplus)


# ---- writing --------------------------------------------------------------------------------------------------------


def write_csv(
    stream: BinaryIO, header: Sequence[str], rows: Iterable[Mapping[str, str]], encoding: Encoding = "utf-8-sig"
) -> list[Lost]:
    """Write a table as CSV with CRLF line ends; returns the characters that the encoding does not have.

    Each of them is written as 〓, never left out.
    """
    lost: list[Lost] = []
    text = io.TextIOWrapper(stream, encoding=encoding, newline="", write_through=True)
    try:
        writer = csv.writer(text)
        writer.writerow([_fitting(guarded(column), encoding)[0] for column in header])
        for number, row in enumerate(rows, 2):
            cells = []
            for column in header:
                cell, missing = _fitting(guarded(row.get(column, "")), encoding)
                cells.append(cell)
                if missing:
                    lost.append(Lost(number, column, missing))
            writer.writerow(cells)
    finally:
        text.detach()
    return lost


def _fitting(text: str, encoding: Encoding) -> tuple[str, str]:
    """Return a text with what does not fit replaced, and the characters that did not fit."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        missing = "".join(dict.fromkeys(one for one in text if not _fits(one, encoding)))
        return "".join(one if _fits(one, encoding) else REPLACEMENT for one in text), missing
    return text, ""


def _fits(character: str, encoding: Encoding) -> bool:
    try:
        character.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def came_back(cell: str, before: str) -> bool:
    """Say whether a cell still holds a text, as far as the encodings we write let it come back (〜 and ～, 〓)."""
    return cell == before or cell == _fitting(before, "cp932")[0].encode("cp932").decode("cp932")


def write_xlsx(stream: BinaryIO, header: Sequence[str], rows: Iterable[Mapping[str, str]], title: str) -> list[Lost]:
    """Write a table as one sheet of text cells; returns the characters that a workbook cannot hold (written as 〓)."""
    lost: list[Lost] = []
    book = Workbook(write_only=True)
    sheet = book.create_sheet(title)
    sheet.freeze_panes = "A2"
    cell_of = _text_cell(sheet)
    sheet.append([cell_of(guarded(column)) for column in header])
    for number, row in enumerate(rows, 2):
        cells = []
        for column in header:
            text = guarded(row.get(column, ""))
            try:
                cells.append(cell_of(text))
            except IllegalCharacterError:
                cells.append(cell_of(re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f]", REPLACEMENT, text)))
                lost.append(Lost(number, column, "control characters"))
        sheet.append(cells)
    book.save(stream)
    return lost


def _text_cell(sheet: Any) -> Callable[[str], Any]:
    def cell_of(text: str) -> Any:
        cell = WriteOnlyCell(sheet, value=text)
        cell.data_type = "s"
        cell.number_format = "@"
        return cell

    return cell_of
