"""Portal pages of API keys. A key is on the page that answers its making, and on no other."""

import uuid

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from app.partners.credentials import credentials_of, new_credential, revoke_credential
from app.platform.clock import real_now
from app.platform.database import app_session
from app.web.access import Partner
from app.web.pages import page, see_other

router = APIRouter(prefix="/partner/keys", include_in_schema=False)


@router.get("")
def keys_page(request: Request, actor: Partner) -> Response:
    """List the keys by their first characters."""
    with app_session(actor.context) as session:
        return page(request, "partner/keys.html", keys=credentials_of(session, actor.partner_id), made=None)


@router.post("")
def make_key(request: Request, actor: Partner) -> Response:
    """Make a key and show it, this once."""
    with app_session(actor.context) as session:
        made = new_credential(session, actor.partner_id)
        session.commit()
        return page(request, "partner/keys.html", keys=credentials_of(session, actor.partner_id), made=made.key)


@router.post("/{credential_id}/revocation")
def revoke_key(request: Request, actor: Partner, credential_id: uuid.UUID) -> Response:
    """End a key."""
    with app_session(actor.context) as session:
        revoke_credential(session, actor.partner_id, credential_id, at=real_now())
        session.commit()
    return see_other(request, "/partner/keys")
