"""Health for probes and metrics for monitoring.

`/health/live` answers while this process does, `/health/ready` while it reaches its database, `/health/progress` while
what is due gets done, whoever does it. Metrics need the token of the settings; without one there are none.
"""

import hmac

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from app.insight.measures import metrics
from app.insight.progress import stalled
from app.platform import clock
from app.platform.database import app_session
from app.platform.errors import NotFound
from app.platform.settings import settings
from app.web.access import Anyone, without_form

router = APIRouter()
_NOT_KEPT = {"cache-control": "no-store"}


@router.get("/health/live", dependencies=[Anyone])
def live() -> Response:
    """Say that this process answers."""
    return JSONResponse({"status": "ok"}, headers=_NOT_KEPT)


@router.get("/health/ready", dependencies=[Anyone])
def ready() -> Response:
    """Say whether this process can serve anyone."""
    try:
        with app_session() as session:
            session.execute(text("SELECT 1"))
    except SQLAlchemyError:
        return _answer(["the database does not answer"])
    return _answer([])


@router.get("/health/progress", dependencies=[Anyone])
def progress() -> Response:
    """Say whether what is due gets done."""
    try:
        with app_session() as session:
            return _answer(stalled(session, clock.real_now()))
    except SQLAlchemyError:
        return _answer(["the database does not answer"])


@router.get("/metrics", dependencies=[without_form("token of the settings")])
def show_metrics(request: Request) -> Response:
    """Return what the worker measured last, for Prometheus."""
    token = settings().metrics_token.get_secret_value()
    given = request.headers.get("authorization", "")
    if not token or not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
        raise NotFound("found no metrics for you; expected the token of TODOKE_METRICS_TOKEN as bearer")
    return Response(metrics(), media_type=CONTENT_TYPE_LATEST, headers=_NOT_KEPT)


def _answer(causes: list[str]) -> Response:
    status = "stalled" if causes else "ok"
    return JSONResponse({"status": status, "causes": causes}, status_code=503 if causes else 200, headers=_NOT_KEPT)
