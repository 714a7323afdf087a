"""Answers that anybody may keep: an ETag, 304 where nothing is new, open to any web page.

Where the publication, the address asked and the day alone decide, these three are the ETag, and the last answers are
kept in this process by it. What depends on more (changes appear once the transactions before them have ended) has its
own contents as the ETag.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from app.platform import clock
from app.registry.versions import Published

_MINUTES = 5
_KEPT_BYTES = 64 * 1024 * 1024
_kept: OrderedDict[str, bytes] = OrderedDict()


def conditional(request: Request, published: Published, media_type: str, body: Callable[[], bytes]) -> Response:
    """Return `body()` with its ETag, or 304 to a caller that has it."""
    asked = f"{published.fingerprint} {clock.today()} {request.url.path}?{request.url.query}"
    return _answer(request, _digest(asked.encode()), media_type, body, kept=True)


def of_contents(request: Request, media_type: str, body: bytes) -> Response:
    """Return a body with its own digest as the ETag, or 304 to a caller that has it."""
    return _answer(request, _digest(body), media_type, lambda: body, kept=False)


def open_headers() -> dict[str, str]:
    """Return what lets a page of another origin read an answer; there is nothing in it that a cookie could change."""
    return {
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Expose-Headers": "ETag, Link",
        "Cross-Origin-Resource-Policy": "cross-origin",
    }


def _answer(request: Request, etag: str, media_type: str, body: Callable[[], bytes], *, kept: bool) -> Response:
    headers = {
        **open_headers(),
        "ETag": f'"{etag}"',
        "Cache-Control": f"public, max-age={_MINUTES * 60 if kept else 0}",
    }
    if _has(request, etag):
        return Response(status_code=304, headers=headers)
    return Response(_once(etag, body) if kept else body(), media_type=media_type, headers=headers)


def _digest(contents: bytes) -> str:
    return hashlib.sha256(contents).hexdigest()[:32]


def _has(request: Request, etag: str) -> bool:
    named = [part.strip().removeprefix("W/") for part in request.headers.get("if-none-match", "").split(",")]
    return f'"{etag}"' in named or "*" in named


def _once(etag: str, body: Callable[[], bytes]) -> bytes:
    if etag not in _kept:
        _kept[etag] = body()
        while len(_kept) > 1 and sum(map(len, _kept.values())) > _KEPT_BYTES:
            _kept.popitem(last=False)
    return _kept[etag]
