"""Spans of time as rules write them: ``2m``, ``3y``, ``1y6m``, ``14w6d``, ``-84d``, ``-1m``."""

from __future__ import annotations

import re
from dataclasses import dataclass

_PATTERN = re.compile(r"(?P<sign>-?)(?:(?P<y>\d+)y)?(?:(?P<m>\d+)m)?(?:(?P<w>\d+)w)?(?:(?P<d>\d+)d)?")


@dataclass(frozen=True, order=True)
class Span:
    """Whole months, or whole days; never both, because the law counts them differently (民法143条).

    ``months`` covers years and months, ``days`` covers weeks and days. A negative span counts back (weeks before a due
    date, the month before the due month).
    """

    months: int = 0
    days: int = 0

    def __post_init__(self) -> None:
        if self.months and self.days:
            raise ValueError(f"a span counts months or days, not both: found {self.months} months and {self.days} days")

    @classmethod
    def parse(cls, text: str) -> Span:
        """Read ``1y6m``, ``90m``, ``24w0d``, ``-84d`` or ``-1m``; raise ``ValueError`` saying what was found."""
        match = _PATTERN.fullmatch(text.strip())
        if match is None or not any(match[unit] for unit in "ymwd"):
            raise ValueError(f"found {text!r}; expected a span such as 2m, 3y, 1y6m, 14w6d or -84d")
        sign = -1 if match["sign"] else 1
        months = 12 * int(match["y"] or 0) + int(match["m"] or 0)
        days = 7 * int(match["w"] or 0) + int(match["d"] or 0)
        return cls(sign * months, sign * days)

    @property
    def in_days(self) -> bool:
        """True when the span counts days or weeks; ``0d`` and the empty span count days."""
        return self.months == 0

    def __str__(self) -> str:
        if self.in_days:
            weeks, days = divmod(abs(self.days), 7)
            body = f"{weeks}w" if weeks and not days else f"{abs(self.days)}d"
            return f"-{body}" if self.days < 0 else body
        years, months = divmod(abs(self.months), 12)
        return ("-" if self.months < 0 else "") + (f"{years}y" if years else "") + (f"{months}m" if months else "")
