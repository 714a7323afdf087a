"""Rendering of messages from `templates/`: a missing variable is an error, HTML is escaped, text is not.

Pages have their own environment in `app.web`; both read the same folder.
"""

import datetime as dt
from functools import lru_cache
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from app.platform.settings import settings

_WEEKDAYS = "月火水木金土日"


def render(template: str, **values: object) -> str:
    """Render one template below `templates/`, without blank lines around it."""
    return environment().get_template(template).render(**values).strip("\n")


@lru_cache
def environment() -> Environment:
    """Return the message environment of this process; templates are compiled once."""
    made = Environment(
        loader=FileSystemLoader(settings().template_directory),
        autoescape=select_autoescape(enabled_extensions=("html",), default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=False,
        keep_trailing_newline=False,
    )
    made.filters["japanese_date"] = japanese_date
    made.policies["json.dumps_kwargs"] = {"ensure_ascii": False}
    return made


@lru_cache
def phrases(name: str) -> dict[str, Any]:
    """Return a catalogue of phrases, `templates/NAME.yaml`, read once."""
    path = settings().template_directory / f"{name}.yaml"
    loaded: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return loaded


def japanese_date(day: dt.date | str) -> str:
    """Return a date as 2026年12月4日(金)."""
    day = dt.date.fromisoformat(day) if isinstance(day, str) else day
    return f"{day.year}年{day.month}月{day.day}日({_WEEKDAYS[day.weekday()]})"


def short_date(day: dt.date | str) -> str:
    """Return a date as 12/4(金)."""
    day = dt.date.fromisoformat(day) if isinstance(day, str) else day
    return f"{day.month}/{day.day}({_WEEKDAYS[day.weekday()]})"
