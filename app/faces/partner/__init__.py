"""The partner face (`/partner`): the API `/partner/v1` for servers, and the portal for the people who build them.

Belongs here: routes, what the API shows of a row, the OpenAPI document. Not here: the rows (`partners`), sending
(`delivery`), the words of a page (`templates/partner`). The API is called with a key and never with a cookie; the
portal with a session that a single-use link opens. To add a route: name what it shows in `views.py`, and the contract
test calls it from the OpenAPI document by itself.
"""

from fastapi import APIRouter

from app.faces.partner import (
    contact_api,
    contact_pages,
    delivery_api,
    delivery_pages,
    endpoint_api,
    endpoint_pages,
    event_api,
    event_pages,
    key_pages,
    openapi,
    recovery_api,
    recovery_pages,
    sign_in_pages,
)

routers: tuple[APIRouter, ...] = (
    event_api.router,
    endpoint_api.router,
    delivery_api.router,
    recovery_api.router,
    contact_api.router,
    openapi.router,
    sign_in_pages.router,
    endpoint_pages.router,
    recovery_pages.router,
    delivery_pages.router,
    key_pages.router,
    contact_pages.router,
    event_pages.router,
)
