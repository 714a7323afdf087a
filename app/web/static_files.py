"""Our own static files, cached for good when asked for by their digest."""

from pathlib import Path

from fastapi import FastAPI
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from app.web.pages import STATIC_DIRECTORY


class _Files(StaticFiles):
    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        by_digest = scope.get("query_string", b"").startswith(b"v=")
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable" if by_digest else "no-cache"
        return response


def install(app: FastAPI, directory: Path = STATIC_DIRECTORY) -> None:
    """Serve the static files under `/static`."""
    app.mount("/static", _Files(directory=directory), name="static")
