"""Documents as the database keeps them, and the digest by which two of them are the same."""

import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from typing import Any


def storable(raw: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Return a document as JSON holds it (dates as text) and the SHA-256 of its canonical text, 64 hex digits."""
    text = json.dumps(raw, ensure_ascii=False, sort_keys=True, default=_as_text)
    return json.loads(text), hashlib.sha256(text.encode()).hexdigest()


def _as_text(value: object) -> str:
    if isinstance(value, dt.date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} in a registry document; expected dates, numbers, texts, lists, mappings")
