"""The rule for small counts: below ten a figure could point at a family, and exact figures can be taken apart.

Two exact figures whose populations differ by one family give that family away, so a figure that people may ask for
again and again is also rounded to the nearest ten. Lower rooms store figures as people may see them; `insight` words
them.
"""

from typing import Final

LEAST_SHOWN: Final = 10


def rounded(count: int) -> int | None:
    """Return a count as people may see it: the nearest ten, None below ten (zero is as telling as one)."""
    return None if count < LEAST_SHOWN else (count + 5) // 10 * 10
