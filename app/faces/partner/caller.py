"""Who calls the API: the partner whose key the request carries."""

import uuid
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, HTTPException, Security
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from app.faces.partner.views import PROBLEMS
from app.partners.credentials import CredentialRefused, partner_of_key
from app.platform.database import Context, app_session
from app.web.access import without_form
from app.web.rate_limits import RateLimit

PREFIX = "/partner/v1"
REQUESTS_A_MINUTE = RateLimit(3000, 60)

_bearer = HTTPBearer(
    auto_error=False, scheme_name="ApiKey", description="An API key from the partner portal: `Bearer tdk_…`."
)


@dataclass(frozen=True, slots=True)
class CallingPartner:
    """The partner behind a request."""

    partner_id: uuid.UUID

    @property
    def context(self) -> Context:
        """On whose rows the request acts."""
        return Context(partner=self.partner_id)


def calling_partner(given: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]) -> CallingPartner:
    """Return the partner whose key the request carries.

    Raises:
        HTTPException: 401, without telling a forged key from a revoked one.
        TooMany: more than 3,000 requests in a minute.
    """
    try:
        with app_session() as session:
            partner_id = partner_of_key(session, given.credentials if given else "")
    except CredentialRefused as error:
        raise HTTPException(401, error.message, headers={"WWW-Authenticate": 'Bearer realm="todoke"'}) from error
    REQUESTS_A_MINUTE.count(str(partner_id))
    return CallingPartner(partner_id)


Caller = Annotated[CallingPartner, Security(calling_partner)]


def api_router(tag: str) -> APIRouter:
    """Return a router for a part of the API: its routes answer errors as problem+json and need no form token."""
    return APIRouter(
        prefix=PREFIX,
        tags=[tag],
        dependencies=[without_form("API key")],
        responses=PROBLEMS,
        generate_unique_id_function=operation_name,
    )


def operation_name(route: APIRoute) -> str:
    """Name an operation of the OpenAPI document after its function, so that generated clients read well."""
    return route.name
