"""`POST /line/webhook`: the signature is checked over the raw bytes first; events become rows; the answer is at once.

Nobody waits for what an event causes: the platform gives up on slow answers and stops calling after many of them.
"""

import structlog
from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.delivery.incoming_line import read_webhook, signature_is_right
from app.platform.errors import InvalidInput
from app.platform.settings import settings
from app.safeguards.line_events import receive
from app.web.access import without_form

router = APIRouter(prefix="/line")
_log = structlog.get_logger()


@router.post("/webhook", dependencies=[without_form("line_signature")], include_in_schema=False)
async def webhook(request: Request) -> Response:
    """Take the events of one call. An empty list is the platform's own test of the address."""
    body = await request.body()
    secret = settings().line.channel_secret.get_secret_value()
    if not secret or not signature_is_right(secret, body, request.headers.get("x-line-signature", "")):
        return _refusal(401, "the signature does not belong to this body; expected x-line-signature by our channel")
    try:
        told = read_webhook(body)
    except InvalidInput as error:
        return _refusal(400, error.message)
    expected = settings().line.bot_user_id
    if expected and told.destination != expected:
        _log.error("line webhook for another account", expected=expected)
        return _refusal(400, "found another destination; expected our own account's")
    await run_in_threadpool(receive, told.events)
    return JSONResponse({})


def _refusal(status: int, message: str) -> Response:
    return JSONResponse({"message": message}, status_code=status)
