"""The web application: `create_app()` puts the faces together. Started by uvicorn (`app.main:create_app`, factory)."""

from fastapi import FastAPI

# Rooms refer to each other's tables by name only; a process that uses one loads them all.
import app.delivery.tables
import app.households.tables
import app.insight.tables
import app.matching.tables
import app.notices.tables
import app.partners.tables
import app.registry.tables  # noqa: F401
from app.faces import line, opendata, operator, parent, partner, staff
from app.platform.logs import configure_logs
from app.web import assets, demo, problems, static_files
from app.web.head_requests import HeadRequests
from app.web.security import SecurityHeaders


def create_app() -> FastAPI:
    """Return the application with all faces.

    Raises:
        Misconfigured: the front-end files are missing.
    """
    assets.require_assets()
    configure_logs()
    app = FastAPI(title="Todoke", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(HeadRequests, below=("/open", "/help"))
    app.add_middleware(SecurityHeaders)
    problems.install(app)
    static_files.install(app)
    app.include_router(demo.router)
    for face in (opendata, parent, staff, partner, line, operator):
        for router in face.routers:
            app.include_router(router)
    return app
