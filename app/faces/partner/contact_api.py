"""`/partner/v1/contact`: the technical contact, which hears when an endpoint fails."""

from app.faces.partner.caller import Caller, api_router
from app.faces.partner.sending import ask_contact
from app.faces.partner.views import NO_JSON, ContactAsked, ContactView, ContactWanted
from app.partners.registration import contact_of, partner_by_id
from app.platform.bell import ring_dispatch
from app.platform.database import app_session

router = api_router("contact")


@router.get("/contact")
def show_contact(caller: Caller) -> ContactView:
    """Show the technical contact."""
    with app_session(caller.context) as session:
        return ContactView(email=contact_of(partner_by_id(session, caller.partner_id)))


@router.put("/contact", status_code=202, responses=NO_JSON)
def change_contact(caller: Caller, wanted: ContactWanted) -> ContactAsked:
    """Ask a new address to become the technical contact. It counts once the link in its mail was followed."""
    with app_session(caller.context) as session:
        address = ask_contact(session, caller.partner_id, wanted.email)
        session.commit()
    ring_dispatch()
    return ContactAsked(asked=address)
