"""`/partner/v1/endpoints`: where events are sent, their secrets, and test events."""

import uuid

from sqlmodel import Session
from starlette.responses import Response

from app.delivery import endpoint_ends
from app.delivery.endpoint_tests import send_ping
from app.faces.partner.answers import Once
from app.faces.partner.caller import Caller, api_router
from app.faces.partner.sending import resume
from app.faces.partner.views import (
    CONFLICT,
    NO_JSON,
    NOT_FOUND,
    DeliveryMade,
    EndpointChange,
    EndpointList,
    EndpointView,
    EndpointWithSecret,
    NewEndpoint,
    RotationWanted,
)
from app.partners import endpoint_keys, endpoints
from app.partners.tables import PartnerEndpoint
from app.platform.bell import ring_dispatch
from app.platform.clock import real_now
from app.platform.database import app_session

router = api_router("endpoints")


@router.get("/endpoints")
def list_endpoints(caller: Caller) -> EndpointList:
    """List your endpoints, oldest first."""
    with app_session(caller.context) as session:
        rows = endpoints.endpoints_of(session, caller.partner_id)
        return EndpointList(endpoints=[EndpointView.of(row) for row in rows])


@router.post("/endpoints", status_code=201, response_model=EndpointWithSecret, responses={**NO_JSON, **CONFLICT})
def register_endpoint(caller: Caller, once: Once, wanted: NewEndpoint) -> Response:
    """Register an endpoint. The answer shows its secret, this once."""

    def work(session: Session) -> EndpointWithSecret:
        return _shown(endpoints.register_endpoint(session, caller.partner_id, **wanted.model_dump()))

    return once.answer(201, work)


@router.get("/endpoints/{endpoint_id}", responses=NOT_FOUND)
def show_endpoint(caller: Caller, endpoint_id: uuid.UUID) -> EndpointView:
    """Show one endpoint."""
    with app_session(caller.context) as session:
        return EndpointView.of(endpoints.endpoint_by_id(session, caller.partner_id, endpoint_id))


@router.patch("/endpoints/{endpoint_id}", responses={**NO_JSON, **NOT_FOUND, **CONFLICT})
def change_endpoint(caller: Caller, endpoint_id: uuid.UUID, change: EndpointChange) -> EndpointView:
    """Change an endpoint's address, event types, signing or limits, stop sending to it, or resume."""
    with app_session(caller.context) as session:
        row = endpoints.endpoint_by_id(session, caller.partner_id, endpoint_id)
        endpoints.edit_endpoint(session, row, **change.model_dump(exclude={"enabled"}))
        _switch(session, row, change.enabled)
        view = EndpointView.of(row)
        session.commit()
    ring_dispatch()
    return view


@router.delete("/endpoints/{endpoint_id}", status_code=204, responses=NOT_FOUND)
def remove_endpoint(caller: Caller, endpoint_id: uuid.UUID) -> None:
    """Remove an endpoint for good. Its deliveries stay in the log."""
    with app_session(caller.context) as session:
        row = endpoints.endpoint_by_id(session, caller.partner_id, endpoint_id)
        endpoint_ends.remove(session, row, at=real_now())
        session.commit()
    ring_dispatch()


@router.post(
    "/endpoints/{endpoint_id}/secret-rotations",
    status_code=201,
    response_model=EndpointWithSecret,
    responses={**NO_JSON, **NOT_FOUND, **CONFLICT},
)
def rotate_secret(caller: Caller, once: Once, endpoint_id: uuid.UUID, wanted: RotationWanted) -> Response:
    """Make a new secret. For 24 hours both sign, unless the old one is to end immediately."""

    def work(session: Session) -> EndpointWithSecret:
        row = endpoints.endpoint_by_id(session, caller.partner_id, endpoint_id)
        return _shown(endpoint_keys.rotate_secret(session, row, at=real_now(), immediately=wanted.immediately))

    return once.answer(201, work)


@router.post(
    "/endpoints/{endpoint_id}/key-rotations",
    status_code=201,
    response_model=EndpointView,
    responses={**NO_JSON, **NOT_FOUND, **CONFLICT},
)
def rotate_signing_key(caller: Caller, once: Once, endpoint_id: uuid.UUID, wanted: RotationWanted) -> Response:
    """Make a new Ed25519 key. For 24 hours both sign, unless the old one is to end immediately."""

    def work(session: Session) -> EndpointView:
        row = endpoints.endpoint_by_id(session, caller.partner_id, endpoint_id)
        endpoint_keys.rotate_signing_key(session, row, at=real_now(), immediately=wanted.immediately)
        return EndpointView.of(row)

    return once.answer(201, work)


@router.post(
    "/endpoints/{endpoint_id}/test-events",
    status_code=202,
    response_model=DeliveryMade,
    responses={**NOT_FOUND, **CONFLICT},
)
def send_test_event(caller: Caller, once: Once, endpoint_id: uuid.UUID) -> Response:
    """Send `test.ping` to an endpoint, whichever types it wants. A disabled one is enabled if it answers 2xx."""

    def work(session: Session) -> DeliveryMade:
        row = endpoints.endpoint_by_id(session, caller.partner_id, endpoint_id)
        return DeliveryMade(delivery_id=send_ping(session, row, at=real_now()))

    answer = once.answer(202, work)
    ring_dispatch()
    return answer


def _switch(session: Session, row: PartnerEndpoint, enabled: bool | None) -> None:
    if enabled is False:
        endpoint_ends.disable(session, row, at=real_now())
    elif enabled:
        resume(session, row)


def _shown(shown: endpoint_keys.SecretShown) -> EndpointWithSecret:
    return EndpointWithSecret(endpoint=EndpointView.of(shown.endpoint), secret=shown.secret)
