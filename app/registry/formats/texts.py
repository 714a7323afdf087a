"""Values as they stand in real files: dates in four styles, widths, links inside texts, telephone numbers, 個人番号."""

from __future__ import annotations

import codecs
import datetime as dt
import math
import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any

from app.calendar.era import date_from_era
from app.rules.my_number import holds_my_number

_LINK = re.compile(r"(?P<title>[^\s;|]{0,80});(?P<uri>https?://[^\s|（）()<>。、「」『』]+)")
_ADDRESS = re.compile(r"https?://\S+")
_WESTERN = re.compile(r"(\d{4})(?:[-/.]|年)(\d{1,2})(?:[-/.]|月)(\d{1,2})日?(?:[T ]00:00(?::00)?)?")
_COMPACT = re.compile(r"(\d{4})(\d{2})(\d{2})")
_PHONE = re.compile(r"(?<![\d#])(?:0\d{1,4}-\d{1,4}-\d{3,5}|#\d{4})(?!\d)")
_WITHOUT_ZERO = re.compile(r"[1-9]\d{0,3}-\d{1,4}-\d{3,4}|[1-9]\d{8,9}")
_SERIAL = re.compile(r"[2-7]\d{4}(?:\.\d+)?")
_SHOWN = 40
_HTTPS = re.compile(r"https://[^\s/]+(?:/\S*)?")
_EMAIL = re.compile(r"[^\s@,;、]+@[^\s@,;、]+\.[^\s@,;、]+")
_TWELVE = re.compile(r"\d(?:[ \u3000\-\uff0d‐‑‒–—―−ー]?\d){11}")
_MY_NUMBER = re.compile(r"(?<!\d)\d{12}(?!\d)|(?<![\d-])\d{4}([ -])\d{4}\1\d{4}(?![\d-])")
_DASHES = str.maketrans("‐‑‒–—―−ー", "--------")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
MOST_CHARACTERS = 100_000
MOST_DEPTH = 12


def read_date(value: Any) -> dt.date | None:
    """Return the date of 2024-04-01, 2024/4/1, 2024年4月1日, 20240401, 令和6年4月1日 or R6.4.1; else None."""
    if isinstance(value, dt.datetime):
        return value.date()
    if isinstance(value, dt.date):
        return value
    text = narrow(str(value)) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    match = _WESTERN.fullmatch(text) or _COMPACT.fullmatch(text)
    if match is None:
        return date_from_era(text)
    try:
        return dt.date(*(int(part) for part in match.groups()))
    except ValueError:
        return None


def narrow(text: str) -> str:
    """Return a text with full-width letters, digits and blanks made half-width, without blanks around it."""
    return unicodedata.normalize("NFKC", text).strip()


def plain(value: Any) -> str:
    """Return a field as text: "" for null, false and missing; blanks around it go, line ends become one kind."""
    if value is None or isinstance(value, bool | Mapping | list):
        return ""
    return re.sub(r"\r\n?", "\n", str(value)).strip()


def without_links(text: str) -> tuple[str, tuple[str, ...]]:
    """Take `タイトル;https://…` apart: the text with the titles only, and the addresses."""
    addresses = tuple(match["uri"].rstrip(",") for match in _LINK.finditer(text))
    return (_LINK.sub(lambda match: match["title"], text), addresses) if addresses else (text, ())


def https_address(text: str) -> str | None:
    """Return an address that begins with https and holds no blanks, None for anything else."""
    candidate = plain(text)
    return candidate if _HTTPS.fullmatch(candidate) else None


def telephone_numbers(text: str) -> tuple[str, ...]:
    """Return every telephone number with hyphens that stands in a text, whatever dashes and widths it is written in."""
    return tuple(dict.fromkeys(_PHONE.findall(narrow(text).translate(_DASHES))))


def lost_its_zero(text: str) -> bool:
    """Say whether a text looks like a telephone number that a spreadsheet took for a number: its first 0 is gone."""
    return _WITHOUT_ZERO.fullmatch(narrow(text).translate(_DASHES)) is not None


def is_date_serial(text: str) -> bool:
    """Say whether a text looks like a date that a spreadsheet shows as its number of days: 46000 is 2025-12-09."""
    return _SERIAL.fullmatch(narrow(text)) is not None


def excerpt(content: str | bytes) -> str:
    """Return the beginning of something found, fit to be shown: 40 printable characters, else the first bytes in hex.

    Bytes are taken for UTF-8; one character may be cut off at their end.
    """
    if isinstance(content, bytes):
        try:
            text = codecs.getincrementaldecoder("utf-8")().decode(content)
        except UnicodeDecodeError:
            return f"the bytes {content[:12].hex(' ')}"
    else:
        text = content
    text = re.split(r"[\r\n]", text.lstrip(), maxsplit=1)[0]
    if not text.isprintable():
        raw = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
        return f"the bytes {raw[:12].hex(' ')}"
    return repr(text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…")


def email_address(text: str) -> str | None:
    """Return the first e-mail address of a text, `(at)` and `＠` read as @; None where there is none."""
    match = _EMAIL.search(re.sub(r"\s*[(\[]at[)\]]\s*", "@", narrow(text), flags=re.IGNORECASE))
    return match[0] if match else None


def unusable(record: Any, *, depth: int = 0, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield (path, code) of what no row may hold: a 個人番号, control characters, a huge text, endless nesting."""
    if depth > MOST_DEPTH:
        yield path, "nested_too_deeply"
    elif isinstance(record, str):
        yield from ((path, code) for code in _unusable_text(record))
    elif isinstance(record, Mapping):
        for key, value in record.items():
            if _CONTROL.search(str(key)):
                yield path, "control_characters"
            yield from unusable(value, depth=depth + 1, path=f"{path}.{key}" if path else str(key))
    elif isinstance(record, list | tuple):
        for value in record:
            yield from unusable(value, depth=depth + 1, path=path)
    elif isinstance(record, float) and not math.isfinite(record):
        yield path, "control_characters"
    elif isinstance(record, int) and not isinstance(record, bool) and abs(record) >= 10**11:
        yield from ((path, code) for code in _unusable_text(str(record)))


def _unusable_text(text: str) -> Iterator[str]:
    if len(text) > MOST_CHARACTERS:
        yield "text_too_long"
    elif _CONTROL.search(text):
        yield "control_characters"
    elif _TWELVE.search(text):
        # An address may hold twelve digits of its own; a person's number is written in a text or alone.
        spoken = unicodedata.normalize("NFKC", _ADDRESS.sub(" ", text)).translate(_DASHES)
        if any(holds_my_number(match[0]) for match in _MY_NUMBER.finditer(spoken)):
            yield "my_number"
