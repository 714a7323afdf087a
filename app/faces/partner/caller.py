"""Who calls the API, the partner whose key the request carries; and what every route of it has in common."""

import uuid
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Security
from fastapi.dependencies.utils import get_flat_params
from fastapi.params import ParamTypes
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.requests import Request

from app.faces.partner.views import PROBLEMS
from app.partners.credentials import CredentialRefused, partner_of_key
from app.platform.database import Context, app_session
from app.platform.errors import InvalidInput
from app.web.access import Anyone, without_form
from app.web.rate_limits import RateLimit

PREFIX = "/partner/v1"
REQUESTS_A_MINUTE = RateLimit(3000, 60)
_SHOWN = 80

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


def declared_query_only(request: Request) -> None:
    """Refuse a query parameter that the route does not know: FastAPI would ignore it, and a typing error with it.

    Raises:
        InvalidInput: naming the parameters that were found and those that are expected.
    """
    if not request.query_params:
        return
    declared = [
        field.alias
        for field in get_flat_params(request.scope["route"].dependant)
        if getattr(field.field_info, "in_", None) is ParamTypes.query
    ]
    unknown = [name for name in request.query_params if name not in declared]
    if unknown:
        expected = f"at most {', '.join(declared)}" if declared else "none"
        raise InvalidInput(
            f"found the query parameter {unknown[0][:_SHOWN]!r}; expected {expected}", field=unknown[0][:_SHOWN]
        )


def api_router(tag: str, *, with_key: bool = True) -> APIRouter:
    """Return a router for a part of the API: its routes refuse unknown query parameters.

    Those with a key answer errors as problem+json and need no form token; the others are open to everybody.
    """
    # In this order: whoever has no key hears of the key first.
    proof = [without_form("API key"), Security(calling_partner)] if with_key else [Anyone]
    return APIRouter(
        prefix=PREFIX,
        tags=[tag],
        dependencies=[*proof, Depends(declared_query_only)],
        responses=PROBLEMS if with_key else {422: PROBLEMS[422]},
        generate_unique_id_function=operation_name,
    )


def operation_name(route: APIRoute) -> str:
    """Name an operation of the OpenAPI document after its function, so that generated clients read well."""
    return route.name
