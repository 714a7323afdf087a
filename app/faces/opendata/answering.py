"""Answers that anybody may keep: an ETag, 304 where nothing is new, packed where it is taken, open to any web page.

Where the publication, what was asked and the day alone decide, these are the ETag, and the last answers are kept in
this process by it. What depends on more (changes appear once the transactions before them have ended) has its own
contents as the ETag. Making an answer costs more than handing out a kept one, so only making is limited by address.
"""

import gzip
import hashlib
from collections import OrderedDict
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from app.platform import clock
from app.registry.versions import Published
from app.web.rate_limits import RateLimit, client_address

_MINUTES = 5
_KEPT_BYTES = 64 * 1024 * 1024
_WORTH_PACKING = 1_000
_kept: OrderedDict[str, bytes] = OrderedDict()
made_for_one_address = RateLimit(60, 60)


def conditional(
    request: Request, published: Published, media_type: str, body: Callable[[], bytes], *asked: object
) -> Response:
    """Return `body()` with its ETag, or 304 to a caller that has it. `asked`: every parameter that it depends on.

    Raises:
        TooMany: the caller's address had too many answers made within a minute.
    """
    etag = _digest(repr((published.fingerprint, clock.today(), request.url.path, asked)).encode())
    return _answer(request, etag, media_type, body, kept=True)


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
    packed = "gzip" in request.headers.get("accept-encoding", "") and "gzip" not in media_type
    etag = f"{etag}-packed" if packed else etag
    headers = {
        **open_headers(),
        "ETag": f'"{etag}"',
        "Cache-Control": f"public, max-age={_MINUTES * 60 if kept else 0}",
        "Vary": "Accept-Encoding",
    }
    if _has(request, etag):
        return Response(status_code=304, headers=headers)
    contents = _once(request, etag, body, packed=packed) if kept else _written(body(), packed=packed)
    if contents[:2] == b"\x1f\x8b" and packed:
        headers["Content-Encoding"] = "gzip"
    return Response(contents, media_type=media_type, headers=headers)


def _written(contents: bytes, *, packed: bool) -> bytes:
    return gzip.compress(contents, mtime=0) if packed and len(contents) > _WORTH_PACKING else contents


def _digest(contents: bytes) -> str:
    return hashlib.sha256(contents).hexdigest()[:32]


def _has(request: Request, etag: str) -> bool:
    named = [part.strip().removeprefix("W/") for part in request.headers.get("if-none-match", "").split(",")]
    return f'"{etag}"' in named or "*" in named


def _once(request: Request, etag: str, body: Callable[[], bytes], *, packed: bool) -> bytes:
    if etag not in _kept:
        made_for_one_address.count(client_address(request))
        _kept[etag] = _written(body(), packed=packed)
        while len(_kept) > 1 and sum(map(len, _kept.values())) > _KEPT_BYTES:
            _kept.popitem(last=False)
    _kept.move_to_end(etag)
    return _kept[etag]
