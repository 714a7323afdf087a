"""個人番号 (My Number): recognised only so that it can be refused.

Basis: 番号法 (平成25年法律第27号) 20条; the check digit follows 総務省令第85号 (平成26年) 5条.
"""

from __future__ import annotations

import re
import unicodedata

_TWELVE_DIGITS = re.compile(r"(?<!\d)\d(?:[ \-‐‑–−ー]?\d){11}(?!\d)")
_WEIGHTS = (6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)


def check_digit(first_eleven: str) -> int:
    """The twelfth digit that belongs to eleven digits."""
    remainder = sum(int(digit) * weight for digit, weight in zip(first_eleven, _WEIGHTS, strict=True)) % 11
    return 0 if remainder <= 1 else 11 - remainder


def holds_my_number(text: str) -> bool:
    """True when the text holds twelve digits (full width, hyphens or blanks allowed) with a valid check digit."""
    for match in _TWELVE_DIGITS.finditer(unicodedata.normalize("NFKC", text)):
        digits = "".join(character for character in match[0] if character.isdigit())
        if check_digit(digits[:11]) == int(digits[11]):
            return True
    return False
