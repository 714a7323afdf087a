"""Remarks: what lint has to say, as a code with values; the sentence for the clerk is in the phrases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Remark:
    """``level`` is ``error`` (must not be published) or ``warning``; ``code`` names the kind; ``path`` the place.

    ``values`` fill the sentence; a value under ``fact`` is the path of a fact, to be shown by its label.
    """

    level: str
    code: str
    path: str
    values: Mapping[str, str] = field(default_factory=dict)


def error(code: str, path: str, **values: object) -> Remark:
    """A remark that must be settled before a version is published."""
    return Remark("error", code, path, {name: str(value) for name, value in values.items()})


def warning(code: str, path: str, **values: object) -> Remark:
    """A remark that somebody should look at."""
    return Remark("warning", code, path, {name: str(value) for name, value in values.items()})
