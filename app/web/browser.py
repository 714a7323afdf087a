"""The two cookies: the browser's own random token, and the token of its session.

The browser token lasts as long as the browser stays open. It binds forms (CSRF) and mailed codes to the browser that
asked. Nothing is stored about it on the server.
"""

import secrets

from starlette.requests import Request
from starlette.responses import Response

from app.accounts.sign_in import HOUSEHOLD_LIFETIME
from app.platform.settings import settings


def session_cookie() -> str:
    """Return the name of the session cookie; the `__Host-` prefix needs TLS."""
    return "__Host-todoke" if settings().secure_cookies else "todoke"


def browser_cookie() -> str:
    """Return the name of the cookie that holds the browser token."""
    return "__Host-todoke-browser" if settings().secure_cookies else "todoke-browser"


def session_token(request: Request) -> str:
    """Return the token of the session, or an empty string."""
    return request.cookies.get(session_cookie(), "")


def browser_token(request: Request) -> str:
    """Return the browser's token; a new one is made on the first visit and set with the answer."""
    known = request.cookies.get(browser_cookie(), "")
    if len(known) >= 40:
        return known
    if not hasattr(request.state, "new_browser_token"):
        request.state.new_browser_token = secrets.token_urlsafe(32)
    return request.state.new_browser_token


def keep_browser_token(request: Request, response: Response) -> None:
    """Set the browser cookie where this request made a new token."""
    token = getattr(request.state, "new_browser_token", None)
    if token:
        _set(response, browser_cookie(), token, None)


def sign_in_browser(response: Response, token: str, *, long_lived: bool) -> None:
    """Give the browser its session: for its own long life on a family's device, until it closes in an office."""
    _set(response, session_cookie(), token, int(HOUSEHOLD_LIFETIME.total_seconds()) if long_lived else None)


def sign_out_browser(response: Response) -> None:
    """Take the session and everything kept from it away from the browser."""
    for name in (session_cookie(), browser_cookie()):
        response.delete_cookie(name, path="/", secure=settings().secure_cookies, httponly=True, samesite="lax")
    response.headers["Clear-Site-Data"] = '"cache", "storage"'


def _set(response: Response, name: str, value: str, max_age: int | None) -> None:
    response.set_cookie(
        name, value, max_age=max_age, path="/", secure=settings().secure_cookies, httponly=True, samesite="lax"
    )
