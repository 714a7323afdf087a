"""Rendering: one Jinja2 environment for all faces, words from templates and catalogues only.

Every template gets `request`, `actor`, `nonce`, `csrf` (the hidden field), `asset(path)`, `demo` and `today`. A page
extends a file of `templates/layouts`; a fragment (for htmx) extends nothing.
"""

import datetime as dt
import hashlib
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from app.platform import clock
from app.platform.rendering import japanese_date, phrases
from app.platform.settings import settings
from app.web.access import signed_in
from app.web.browser import keep_browser_token
from app.web.csrf import FIELD, csrf_token

STATIC_DIRECTORY = Path(__file__).parent / "static"


def page(request: Request, template: str, *, status: int = 200, **values: Any) -> Response:
    """Render a template to an answer; `values` are what the template names."""
    return _finished(request, HTMLResponse(render(request, template, **values), status_code=status))


def see_other(request: Request, path: str) -> Response:
    """Send the browser on after a form was taken (303); htmx gets its own header for the same."""
    if is_fragment_request(request):
        return _finished(request, Response(status_code=204, headers={"HX-Redirect": path}))
    return _finished(request, RedirectResponse(path, status_code=303))


def is_fragment_request(request: Request) -> bool:
    """Tell whether htmx asks for a part of the page it already shows."""
    return request.headers.get("hx-request") == "true"


def render(request: Request, template: str, **values: Any) -> str:
    """Render a template to text, with what every template of a request may use."""
    token = csrf_token(request)
    return (
        environment(settings().template_directory)
        .get_template(template)
        .render(
            request=request,
            actor=signed_in(request),
            nonce=request.state.nonce,
            csrf=Markup('<input type="hidden" name="{}" value="{}">').format(FIELD, token),
            demo=settings().demo,
            now=clock.now().astimezone(clock.JAPAN),
            today=clock.today(),
            **values,
        )
    )


@lru_cache
def environment(directory: Path) -> Environment:
    """Return the environment of one template directory; an unknown name in a template is an error, never a gap."""
    made = Environment(
        loader=FileSystemLoader(directory),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    made.install_null_translations(newstyle=True)  # type: ignore[attr-defined]
    made.globals.update(asset=asset, phrase=phrase)
    made.filters.update(japanese_date=japanese_date, short_date=short_date, yen=yen, with_readings=with_readings)
    return made


def asset(path: str) -> str:
    """Return the address of a static file, with a digest of its contents so that it may be cached for good."""
    return f"/static/{path}?v={_digest(path)}"


def phrase(key: str) -> str:
    """Return a short text of `templates/phrases/web.yaml` by its dotted key.

    Raises:
        KeyError: the catalogue does not have it.
    """
    return phrases("phrases/web")[key]


def short_date(day: dt.date | str) -> str:
    """2026-12-07 → 12月7日(月)."""
    return japanese_date(day).partition("年")[2]


def yen(amount: int) -> str:
    """15000 → 15,000円."""
    return f"{amount:,}円"


def with_readings(text: str) -> Markup:
    """育(そだ)てる → the reading above its 漢字, where a browser can show it there."""
    with_ruby = _READING.sub(r"<ruby>\1<rp>(</rp><rt>\2</rt><rp>)</rp></ruby>", str(escape(text)))
    return Markup(with_ruby)  # noqa: S704 - escaped before the readings were marked


_READING = re.compile(r"([\u4e00-\u9fff々〆ヶ0-9０-９]+)\(([\u3041-\u309fー]+)\)")


def _finished(request: Request, response: Response) -> Response:
    keep_browser_token(request, response)
    return response


@lru_cache
def _digest(path: str) -> str:
    return hashlib.sha256((STATIC_DIRECTORY / path).read_bytes()).hexdigest()[:16]
