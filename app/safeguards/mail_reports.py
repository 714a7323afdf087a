"""What comes back by mail: bounces set an address aside, complaints stop it, and the next channel takes over."""

import logging
import uuid

from sqlmodel import Session, select

from app.delivery import returned
from app.delivery.channels.mail_reports import Kind, Report, read_report
from app.delivery.claim import wait_until_no_live_claim
from app.delivery.mail_setup import return_paths
from app.delivery.tables import Delivery
from app.households.tables import ContactPoint, Household
from app.platform import bell, clock
from app.platform.database import Context, enter, worker_session
from app.platform.errors import Conflict, Misconfigured
from app.safeguards.withdrawal import stop_contact

_logger = logging.getLogger(__name__)

_BOUNCES = (Kind.HARD, Kind.SOFT, Kind.POLICY)
_WISHES = {Kind.COMPLAINT: "complaint", Kind.UNSUBSCRIBE: "unsubscribed"}


class StillSending(Conflict):
    """The report came back before we had written down that its mail had left: read it again in a minute."""


def take_mail_report(raw: bytes, *, recipient: str = "") -> Report:
    """Read one mail that came back and do what it says, in one transaction; reading it twice changes nothing.

    A hard bounce sets the address aside at once, three soft ones in a row do; a refusal by policy is ours to mend and
    is logged as an error. A complaint and a mail to the unsubscribe address stop the address as its link would.

    Args:
        raw: the mail.
        recipient: its envelope recipient, where the mail server tells it.

    Returns:
        what was read; kind `unreadable` or no delivery: a person should look at it.

    Raises:
        StillSending: see there.
        Misconfigured: no return address is set.
    """
    paths = return_paths()
    if paths is None:
        raise Misconfigured("TODOKE_EMAIL__RETURN_ADDRESS is not set; expected the address that bounces come to")
    report = read_report(raw, paths, recipient=recipient)
    _logger.info("mail report: %s %s for delivery %s", report.kind, report.status, report.delivery_id)
    if report.delivery_id is not None and report.kind in (*_BOUNCES, *_WISHES):
        _act(report, report.delivery_id)
    return report


def _act(report: Report, delivery_id: uuid.UUID) -> None:
    with worker_session() as session:
        delivery = session.get(Delivery, delivery_id)
        if delivery is None:
            return
        household_id, municipality_code = delivery.household_id, delivery.municipality_code
        if household_id is not None:
            enter(session, Context(municipality=municipality_code))
            # The gate first, then the row: the order of the claim.
            session.exec(select(Household).where(Household.id == household_id).with_for_update()).one_or_none()
        held = returned.accepted_delivery(session, delivery_id)
        if held is None:
            return
        if held.state == "sending":
            raise StillSending(f"delivery {delivery_id} is still being sent; read its report again in a minute")
        stopped = _bounce(session, held, report) if report.kind in _BOUNCES else _wish(session, held, report)
        session.commit()
    if household_id is not None and stopped:
        wait_until_no_live_claim(household_id)
        bell.ring(bell.ANNOUNCE, municipality_code)
        bell.ring(bell.RELEASE)


def _bounce(session: Session, delivery: Delivery, report: Report) -> bool:
    """Write a bounce down; return whether its address is set aside now."""
    if delivery.state != "accepted":
        return False
    if report.kind is Kind.POLICY:
        _logger.error("delivery %s: our mail is refused by policy (%s); mend it", delivery.id, report.status)
    in_doubt = report.kind is Kind.SOFT and returned.soft_in_a_row(session, delivery)
    for_good = (report.kind is Kind.HARD or in_doubt) and not _confirmed_since(session, delivery)
    returned.mark_failed(session, delivery, report, clock.real_now(), for_good=for_good)
    reason = delivery.last_error or "bounced"
    return for_good and _stop(session, delivery, reason)


def _wish(session: Session, delivery: Delivery, report: Report) -> bool:
    if report.kind is Kind.COMPLAINT and delivery.state == "accepted":
        delivery.last_error = _WISHES[Kind.COMPLAINT]  # it did arrive: the state stays, the figure counts it
        session.add(delivery)
    return not _confirmed_since(session, delivery) and _stop(session, delivery, _WISHES[report.kind])


def _stop(session: Session, delivery: Delivery, reason: str) -> bool:
    if delivery.household_id is None or delivery.contact_point_id is None:
        return False
    return stop_contact(session, delivery.household_id, delivery.contact_point_id, reason)


def _confirmed_since(session: Session, delivery: Delivery) -> bool:
    """Whether its person has confirmed the address after this mail was decided: then an old report proves nothing."""
    contact = session.get(ContactPoint, delivery.contact_point_id) if delivery.contact_point_id is not None else None
    decided_under = delivery.contact_confirmed_at or delivery.created_at
    return contact is not None and contact.confirmed_at is not None and contact.confirmed_at > decided_under
