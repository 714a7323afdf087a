"""法人番号 (Corporate Number) of a local government: check digit + 000020 + its six-digit 団体コード.

Basis: 法人番号の指定等に関する省令 (平成26年財務省令第70号) 2条.
"""

from __future__ import annotations

from app.rules.municipality_code import NATIONAL, read_municipality_code

_LOCAL_GOVERNMENT = "000020"


def check_digit(twelve_digits: str) -> int:
    """The first digit that belongs to the other twelve: 9 − (Σ Pₙ·Qₙ mod 9), n from the right, Q 1 for odd n else 2."""
    weighted = sum(int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(twelve_digits)))
    return 9 - weighted % 9


def of_municipality(code: str) -> str | None:
    """Return the 法人番号 of a municipality or prefecture; None for the nation, which is not one corporation."""
    if code == NATIONAL:
        return None
    digits = f"{_LOCAL_GOVERNMENT}{code}"
    return f"{check_digit(digits)}{digits}"


def municipality_of(number: str) -> str:
    """Return the 団体コード inside a local government's 法人番号.

    Raises:
        ValueError: saying what was found: not 13 digits, a wrong check digit, no local government.
    """
    if len(number) != 13 or not number.isascii() or not number.isdigit():
        raise ValueError(f"found {number!r}; expected 13 digits")
    if int(number[0]) != check_digit(number[1:]):
        raise ValueError(f"found {number}, whose check digit is wrong; expected {check_digit(number[1:])}{number[1:]}")
    if number[1:7] != _LOCAL_GOVERNMENT:
        raise ValueError(f"found {number}; expected the number of a local government (?000020 and its code)")
    return read_municipality_code(number[7:])
