"""全国地方公共団体コード: six digits, the last one a check digit; 000000 stands for the whole country."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

NATIONAL = "000000"
_DESIGNATED_CITIES = (
    "01100", "04100", "11100", "12100", "14100", "14130", "14150", "15100", "22100", "22130", "23100", "26100",
    "27100", "27140", "28100", "33100", "34100", "40100", "40130", "43100",
)  # fmt: skip
"""政令指定都市, each followed by the codes of its wards. Basis: 地方自治法 252条の19、252条の20."""
_LAST_WARD = "199"


def check_digit(five_digits: str) -> int:
    """The sixth digit: 11 − (6a + 5b + 4c + 3d + 2e mod 11), last digit."""
    weighted = sum(int(digit) * weight for digit, weight in zip(five_digits, (6, 5, 4, 3, 2), strict=True))
    return (11 - weighted % 11) % 10


def read_municipality_code(value: Any) -> str:
    """Return the six-digit code; a five-digit code (JIS X 0402) is completed.

    Raises ``ValueError`` saying what was found and what the check digit would have to be.
    """
    text = value if isinstance(value, str) else repr(value)
    if not isinstance(value, str) or not value.isascii() or not value.isdigit() or len(value) not in (5, 6):
        raise ValueError(f'found {text}; expected a municipality code of six digits as text, such as "131121"')
    expected = f"{value[:5]}{check_digit(value[:5])}"
    if value == NATIONAL or len(value) == 5:
        return NATIONAL if value in (NATIONAL, NATIONAL[:5]) else expected
    if value != expected:
        raise ValueError(f"found {value}, whose check digit is wrong; expected {expected} if the first five are right")
    return value


def is_prefecture(code: str) -> bool:
    """True for a code whose municipality part is 000, such as 130001 (東京都)."""
    return code != NATIONAL and code[2:5] == "000"


def covers(area: str, municipality: str) -> bool:
    """Say whether a programme of ``area`` covers people living in ``municipality``."""
    if area == NATIONAL:
        return True
    return area[:2] == municipality[:2] if is_prefecture(area) else area == municipality


def municipality_of_ward(code: str) -> str:
    """The city that a ward of a designated city (行政区) belongs to; any other code, 特別区 included, stays as it is.

    Such a ward is no municipality of its own: who moves from one to another of a city stays with the same authority.
    """
    if not code[2:5] <= _LAST_WARD:
        return code
    cities = [city for city in _DESIGNATED_CITIES if city[:2] == code[:2] and city <= code[:5]]
    return f"{cities[-1]}{check_digit(cities[-1])}" if cities else code


MunicipalityCode = Annotated[
    str,
    BeforeValidator(read_municipality_code),
    WithJsonSchema({"type": "string", "pattern": r"^\d{5,6}$", "examples": ["131121"]}),
]
