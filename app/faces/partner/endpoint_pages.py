"""Portal pages of endpoints: list, register, edit, rotate, stop and remove.

A secret is on the page that answers its making, and on no other.
"""

import uuid
from typing import Annotated, Any

from fastapi import APIRouter
from markupsafe import Markup
from pydantic import Field, StringConstraints
from sqlmodel import Session
from starlette.requests import Request
from starlette.responses import Response

from app.delivery import endpoint_ends
from app.delivery.endpoint_tests import send_ping
from app.delivery.log import deliveries_of
from app.delivery.recovery import last_replay
from app.faces.partner.sending import resume
from app.partners import endpoint_keys, endpoints
from app.partners.endpoint_keys import Signing
from app.partners.events import EVENT_TYPES, PLANNED_EVENT_TYPES
from app.partners.registration import partner_by_id
from app.partners.tables import PartnerEndpoint
from app.platform.bell import ring_dispatch
from app.platform.clock import real_now
from app.platform.database import app_session
from app.platform.errors import Conflict, InvalidInput
from app.platform.outbound import LONGEST_URL
from app.web.access import Partner
from app.web.forms import Filled, Form, Submitted, fill
from app.web.pages import page, render, see_other

router = APIRouter(prefix="/partner", include_in_schema=False)
_RECENT = 10
#: Every type that can be chosen, and whether it is still to come.
_CHOICES = {event_type: event_type in PLANNED_EVENT_TYPES for event_type in EVENT_TYPES}


class EndpointForm(Form):
    """The form of an endpoint; no type chosen means all of them."""

    url: Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_URL)]
    event_types: list[str] = Field(default_factory=list)
    signing: Signing = "hmac"
    requests_a_second: int | None = Field(default=None, ge=1, le=endpoints.MOST_REQUESTS_A_SECOND)
    most_in_flight: int | None = Field(default=None, ge=1, le=endpoints.MOST_IN_FLIGHT)

    def chosen(self) -> dict[str, Any]:
        """Return what the services of endpoints take; an empty limit is none."""
        limits = {"requests_a_second": self.requests_a_second or 0, "most_in_flight": self.most_in_flight or 0}
        return self.model_dump() | limits


@router.get("")
def start_page(request: Request, actor: Partner) -> Response:
    """Show the endpoints and what went out last."""
    with app_session(actor.context) as session:
        rows, at = endpoints.endpoints_of(session, actor.partner_id), real_now()
        return page(
            request,
            "partner/start.html",
            partner=partner_by_id(session, actor.partner_id),
            endpoints=rows,
            states={row.id: endpoints.state_of(row, at) for row in rows},
            recent=deliveries_of(session, actor.partner_id, limit=_RECENT),
        )


@router.get("/endpoints/new")
def new_endpoint_page(request: Request, actor: Partner) -> Response:
    """Show the form for a new endpoint."""
    return _form_page(request, Filled(given={"url": "", "event_types": [], "signing": "hmac"}))


@router.post("/endpoints")
def register_endpoint(request: Request, actor: Partner, form: Submitted) -> Response:
    """Register an endpoint and show its secret, this once."""
    filled = fill(EndpointForm, form)
    if filled.value is None:
        return _form_page(request, filled)
    with app_session(actor.context) as session:
        try:
            shown = endpoints.register_endpoint(session, actor.partner_id, **filled.value.chosen())
        except (InvalidInput, Conflict) as error:
            return _form_page(request, _refused(request, filled, error))
        session.commit()
    return page(request, "partner/secret.html", endpoint=shown.endpoint, secret=shown.secret, rotated=False)


@router.get("/endpoints/{endpoint_id}")
def endpoint_page(request: Request, actor: Partner, endpoint_id: uuid.UUID) -> Response:
    """Show one endpoint."""
    with app_session(actor.context) as session:
        row = endpoints.endpoint_by_id(session, actor.partner_id, endpoint_id)
        return _endpoint_page(request, session, row, _filled(row))


@router.post("/endpoints/{endpoint_id}")
def edit_endpoint(request: Request, actor: Partner, endpoint_id: uuid.UUID, form: Submitted) -> Response:
    """Take the changed form of an endpoint."""
    filled = fill(EndpointForm, form)
    with app_session(actor.context) as session:
        row = endpoints.endpoint_by_id(session, actor.partner_id, endpoint_id)
        if filled.value is None:
            return _endpoint_page(request, session, row, filled)
        try:
            endpoints.edit_endpoint(session, row, **filled.value.chosen())
        except (InvalidInput, Conflict) as error:
            return _endpoint_page(request, session, row, _refused(request, filled, error))
        session.commit()
    return see_other(request, f"/partner/endpoints/{endpoint_id}")


@router.post("/endpoints/{endpoint_id}/rotation")
def rotate_secret(request: Request, actor: Partner, endpoint_id: uuid.UUID, form: Submitted) -> Response:
    """Make a new secret and show it, this once."""
    with app_session(actor.context) as session:
        row = endpoints.endpoint_by_id(session, actor.partner_id, endpoint_id)
        shown = endpoint_keys.rotate_secret(session, row, at=real_now(), immediately=form.get("immediately") == "yes")
        session.commit()
    return page(request, "partner/secret.html", endpoint=shown.endpoint, secret=shown.secret, rotated=True)


@router.post("/endpoints/{endpoint_id}/key-rotation")
def rotate_signing_key(request: Request, actor: Partner, endpoint_id: uuid.UUID, form: Submitted) -> Response:
    """Make a new Ed25519 key; its public half is on the endpoint's page."""
    with app_session(actor.context) as session:
        row = endpoints.endpoint_by_id(session, actor.partner_id, endpoint_id)
        endpoint_keys.rotate_signing_key(session, row, at=real_now(), immediately=form.get("immediately") == "yes")
        session.commit()
    return see_other(request, f"/partner/endpoints/{endpoint_id}")


@router.post("/endpoints/{endpoint_id}/test-event")
def send_test_event(request: Request, actor: Partner, endpoint_id: uuid.UUID) -> Response:
    """Send a test event and show its delivery."""
    with app_session(actor.context) as session:
        delivery_id = send_ping(
            session, endpoints.endpoint_by_id(session, actor.partner_id, endpoint_id), at=real_now()
        )
        session.commit()
    ring_dispatch()
    return see_other(request, f"/partner/deliveries/{delivery_id}")


@router.post("/endpoints/{endpoint_id}/disable")
def disable_endpoint(request: Request, actor: Partner, endpoint_id: uuid.UUID) -> Response:
    """Stop sending to an endpoint."""
    with app_session(actor.context) as session:
        row = endpoints.endpoint_by_id(session, actor.partner_id, endpoint_id)
        endpoint_ends.disable(session, row, at=real_now())
        session.commit()
    ring_dispatch()
    return see_other(request, f"/partner/endpoints/{endpoint_id}")


@router.post("/endpoints/{endpoint_id}/enable")
def enable_endpoint(request: Request, actor: Partner, endpoint_id: uuid.UUID) -> Response:
    """Send to an endpoint again: at once, or once its test was received."""
    with app_session(actor.context) as session:
        row = endpoints.endpoint_by_id(session, actor.partner_id, endpoint_id)
        try:
            resume(session, row)
        except InvalidInput as error:
            return _endpoint_page(request, session, row, _refused(request, _filled(row), error))
        session.commit()
    ring_dispatch()
    return see_other(request, f"/partner/endpoints/{endpoint_id}")


@router.post("/endpoints/{endpoint_id}/remove")
def remove_endpoint(request: Request, actor: Partner, endpoint_id: uuid.UUID) -> Response:
    """Remove an endpoint for good."""
    with app_session(actor.context) as session:
        row = endpoints.endpoint_by_id(session, actor.partner_id, endpoint_id)
        endpoint_ends.remove(session, row, at=real_now())
        session.commit()
    ring_dispatch()
    return see_other(request, "/partner")


def _filled(row: PartnerEndpoint) -> Filled[EndpointForm]:
    limits = {"requests_a_second": row.requests_a_second or "", "most_in_flight": row.most_in_flight or ""}
    return Filled(given={"url": row.url, "event_types": row.event_types, "signing": row.signing, **limits})


def _refused(request: Request, filled: Filled[EndpointForm], error: InvalidInput | Conflict) -> Filled[EndpointForm]:
    """Put a service's refusal beside its field, in the words of the portal."""
    field = error.field if error.field in EndpointForm.model_fields else "url"
    filled.errors[field] = Markup(render(request, "partner/refusal.txt", error=error).strip())  # noqa: S704 - escaped
    return filled


def _form_page(request: Request, filled: Filled[EndpointForm]) -> Response:
    return page(
        request,
        "partner/endpoint_new.html",
        status=422 if filled.errors else 200,
        filled=filled,
        event_types=_CHOICES,
    )


def _endpoint_page(request: Request, session: Session, row: PartnerEndpoint, filled: Filled[EndpointForm]) -> Response:
    recent = deliveries_of(session, row.partner_id, endpoint_id=row.id, limit=_RECENT)
    at = real_now()
    return page(
        request,
        "partner/endpoint.html",
        status=422 if filled.errors else 200,
        endpoint=row,
        state=endpoints.state_of(row, at),
        own_choice=row.disabled_reason == endpoints.BY_PARTNER,
        filled=filled,
        event_types=_CHOICES,
        recent=recent,
        public_keys=endpoint_keys.public_keys(row, at),
        replay=last_replay(session, row),
        rotating=row.previous_secret_until is not None and at < row.previous_secret_until,
    )
