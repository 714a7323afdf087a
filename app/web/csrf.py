"""The check that a form came from our own page.

The token in the form is a keyed digest of the browser's token and its session, so that it changes at sign-in and
another site can neither read nor guess it. Browsers also say where a request comes from; a foreign origin is refused
before the form is read.
"""

import hmac
from urllib.parse import urlsplit

from starlette.requests import Request

from app.platform.sealing import blind_index
from app.web.browser import browser_token, session_token

FIELD = "_csrf"
HEADER = "x-csrf-token"
"""Where a program of ours that sends JSON puts the token; another site can set no header of its own."""
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class ForgedRequest(Exception):
    """The form did not come from this browser's own page, or the page is older than its sign-in."""


def csrf_token(request: Request) -> str:
    """Return the token that forms of this page carry."""
    return blind_index(f"{browser_token(request)}\x1f{session_token(request)}", "csrf").hex()


async def csrf_checked(request: Request) -> None:
    """Refuse an unsafe request that does not carry the token of its own page.

    Raises:
        ForgedRequest: shown as a page that asks to go back and try again.
    """
    if request.method in SAFE_METHODS:
        return
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise ForgedRequest
    origin = request.headers.get("origin")
    if origin and origin != "null" and urlsplit(origin).netloc != request.headers.get("host"):
        raise ForgedRequest
    given: object = request.headers.get(HEADER)
    if given is None:
        form = await request.form(max_files=4, max_fields=400, max_part_size=256 * 1024)
        given = form.get(FIELD)
    if not isinstance(given, str) or not hmac.compare_digest(given.encode(), csrf_token(request).encode()):
        raise ForgedRequest
