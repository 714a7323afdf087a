"""Errors become a page, a fragment or problem+json (RFC 9457) here and nowhere else.

An API (`/api/…`, `/partner/v1/…`, `/open/v1/…`, `/staff/api/…`, or a caller that asks for JSON) gets the error's own
English text; a person gets the words of `templates/errors`, because an error text of the system may name things that
mean nothing to a family.
"""

from typing import Any

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.platform.errors import Conflict, InvalidInput, Misconfigured, NotFound, NotPermitted, TodokeError
from app.web.access import SignInNeeded
from app.web.csrf import ForgedRequest
from app.web.forms import HoldsMyNumber
from app.web.pages import is_fragment_request, page, see_other
from app.web.rate_limits import TooMany
from app.web.security import BodyTooLarge, add_headers

STATUS: dict[type[TodokeError], int] = {
    InvalidInput: 422,
    NotPermitted: 403,
    NotFound: 404,
    Conflict: 409,
    Misconfigured: 500,
}
_KNOWN = frozenset({400, 403, 404, 405, 409, 413, 422, 429, 500})
_SHOWN = 80
_log = structlog.get_logger()


class ProblemView(BaseModel):
    """An error (RFC 9457). `type` is stable; `detail` says what was found, what was expected and what to do."""

    type: str = Field(pattern="^urn:todoke:problem:")
    title: str
    status: int
    detail: str
    field: str | None = Field(default=None, description="The member at fault, if it is one.")
    errors: list[dict[str, str]] | None = Field(default=None, description="Every member at fault, with what is wrong.")


def promised_problem(description: str) -> dict[str, Any]:
    """Return the part of a route's OpenAPI `responses` for one status; the document itself adds `ProblemView`."""
    schema = {"$ref": "#/components/schemas/ProblemView"}
    return {"description": description, "content": {"application/problem+json": {"schema": schema}}}


def install(app: FastAPI) -> None:
    """Register the handlers on the application."""
    app.add_exception_handler(TodokeError, _todoke_error)
    app.add_exception_handler(SignInNeeded, _sign_in_needed)
    app.add_exception_handler(ForgedRequest, _forged)
    app.add_exception_handler(BodyTooLarge, _too_large)
    app.add_exception_handler(TooMany, _too_many)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


def problem(request: Request, status: int, slug: str, detail: str, **more: object) -> Response:
    """Return the answer to an error in the form that this caller reads."""
    if wants_json(request):
        body = {"type": f"urn:todoke:problem:{slug}", "title": slug, "status": status, "detail": detail, **more}
        headers = {"Access-Control-Allow-Origin": "*"} if request.url.path.startswith("/open/") else None
        return JSONResponse(body, status_code=status, media_type="application/problem+json", headers=headers)
    shown = status if status in _KNOWN else 400 if status < 500 else 500
    template = "errors/fragment.html" if is_fragment_request(request) else "errors/page.html"
    return page(request, template, status=status, code=shown, my_number=slug == HoldsMyNumber.slug)


def wants_json(request: Request) -> bool:
    """Tell whether the caller is a program."""
    path = request.url.path
    if path.startswith(("/api/", "/partner/v1/", "/open/v1/", "/staff/api/")):
        return True
    accepted = request.headers.get("accept", "")
    return "json" in accepted and "text/html" not in accepted


def _todoke_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, TodokeError)
    status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 500)
    if status == 500:
        _log.error("misconfigured", path=_route(request), detail=error.message)
    more = {"field": error.field, "errors": getattr(error, "errors", None)}
    return problem(request, status, error.slug, error.message, **{name: value for name, value in more.items() if value})


def _sign_in_needed(request: Request, error: Exception) -> Response:
    if wants_json(request):
        return problem(request, 401, "sign-in-needed", "found no session; expected a signed-in browser")
    assert isinstance(error, SignInNeeded)
    return see_other(request, error.page)


def _forged(request: Request, _error: Exception) -> Response:
    return problem(request, 403, "stale-form", "the form's token does not belong to this browser; load the page again")


def _too_large(request: Request, _error: Exception) -> Response:
    return problem(request, 413, "too-large", "the request is larger than 512 KiB")


def _too_many(request: Request, error: Exception) -> Response:
    assert isinstance(error, TooMany)
    answer = problem(request, 429, "too-many-requests", f"wait {error.seconds} seconds before the next try")
    answer.headers["Retry-After"] = str(error.seconds)
    return answer


def _validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [
        {"at": ".".join(map(str, one["loc"])), "found": str(one.get("input"))[:_SHOWN], "expected": one["msg"]}
        for one in error.errors()
    ]
    return problem(request, 422, "invalid-input", "the request does not have the expected shape", errors=errors)


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    answer = problem(request, error.status_code, f"http-{error.status_code}", str(error.detail))
    answer.headers.update(error.headers or {})
    return answer


def _unexpected(request: Request, error: Exception) -> Response:
    _log.error("unexpected error", path=_route(request), kind=type(error).__name__, exc_info=error)
    answer = problem(request, 500, "unexpected", "an unexpected error happened; it was recorded")
    add_headers(answer.headers, request.state.nonce)  # this answer leaves outside the middleware that sets them
    return answer


def _route(request: Request) -> str:
    """The route's pattern: an address itself may hold a secret."""
    return getattr(request.scope.get("route"), "path", None) or "unknown"
