"""The open-data face (`/open`): the published registry for everybody, without a key.

Belongs here: the API under `/open/v1`, readable pages and leaflets of programmes. Not here: the shapes themselves (they
are `app.registry.formats`), drafts, and anything about a household.

To add a shape, write it in `app.registry.formats` and add a line to `contents.SHAPES`.
"""

from fastapi import APIRouter

from app.faces.opendata import change_api, index_api, openapi, pages, programme_api, vocabulary_api

routers: tuple[APIRouter, ...] = (
    programme_api.router,
    vocabulary_api.router,
    change_api.router,
    openapi.router,
    index_api.router,
    pages.router,
)
