"""今すること, all notices, one notice, and what became of it."""

import uuid
from typing import Any

from fastapi import APIRouter
from sqlmodel import Session, col, select
from starlette.requests import Request
from starlette.responses import Response

from app.accounts.permissions import Actor
from app.faces.parent import questions
from app.faces.parent.coverage import own_programmes
from app.households.contacts import mail_came_back, usable_contacts
from app.households.outcomes import current_outcomes, record_outcome, undo_outcome
from app.households.tables import ContactPoint
from app.households.tables import Household as HouseholdRow
from app.matching.tables import Entitlement
from app.notices import inbox
from app.notices.recall import outcome_changed
from app.notices.rows import OVERVIEW
from app.notices.tables import Notice
from app.partners.links import notice_behind
from app.partners.tables import PartnerLink
from app.platform import bell, clock
from app.platform.change_queue import Change
from app.platform.database import app_session
from app.platform.errors import InvalidInput, NotFound
from app.platform.rendering import phrases
from app.registry.loading import Registry
from app.registry.versions import published_now
from app.web.access import Household
from app.web.forms import Submitted
from app.web.pages import is_fragment_request, page, phrase, see_other

router = APIRouter()
_MOST_LOOKS = 20
REASONS = ("age", "income", "residence", "household", "already", "deadline", "other")
"""Why an office said no, as offered on the page; their words are `reason.…` in `templates/phrases/web.yaml`."""


@router.get("/home")
def home(request: Request, actor: Household) -> Response:
    """Show at most three things to do now."""
    return page(request, "parent/home.html", **_home(actor, looks=0), done=request.query_params.get("done", ""))


@router.get("/home/cards")
def home_cards(request: Request, actor: Household, looks: int = 0) -> Response:
    """Return the cards alone: what a page that waits for the first result asks for every few seconds."""
    if not is_fragment_request(request):
        return see_other(request, "/home")
    return page(request, "parent/home_cards.html", **_home(actor, looks=min(max(looks, 0), _MOST_LOOKS) + 1))


@router.get("/notices")
def notices(request: Request, actor: Household, view: str = "soon") -> Response:
    """Show the others: そのうち, 終わったこと, or all of them; and the way to what was laid aside after a loss."""
    if view not in ("soon", "done", "all"):
        raise NotFound("expected view to be soon, done or all")
    with app_session(actor.context) as session:
        cards = inbox.all_notices(session, actor.household_id, clock.today(), actor.guardian)
        now_cards = inbox.todo(session, actor.household_id, clock.today(), actor.guardian)
        laid_aside = bool(inbox.quiet_notices(session, actor.household_id, actor.guardian))
    on_home = {card.notice_id for card in now_cards}
    shown = {
        "soon": [card for card in cards if not card.finished and card.notice_id not in on_home],
        "done": [card for card in cards if card.finished],
        "all": cards,
    }
    return page(
        request,
        "parent/notices.html",
        view=view,
        cards=shown[view],
        counts={name: len(found) for name, found in shown.items()},
        outcomes=phrases("notices/phrases.ja")["outcome"],
        laid_aside=laid_aside,
    )


@router.get("/notices/quiet")
def quiet_notices(request: Request, actor: Household) -> Response:
    """Name what was told about somebody who is stopped: nobody reminds of it, and nothing of it is lost."""
    with app_session(actor.context) as session:
        cards = inbox.quiet_notices(session, actor.household_id, actor.guardian)
        # the bare name: a title says what to do, and nobody is asked to do anything here
        names = {card.notice_id: session.get_one(Notice, card.notice_id).content["name"] for card in cards}
    return page(request, "parent/quiet_notices.html", names=names)


@router.get("/notices/{notice_id}")
def notice(request: Request, actor: Household, notice_id: uuid.UUID) -> Response:
    """Show one notice; from now on it counts as read. A question leads to the page that asks it."""
    with app_session(actor.context) as session:
        row = _own(session, actor, notice_id)
        shown = inbox.read_notice(session, actor.household_id, notice_id, clock.now().astimezone(clock.JAPAN))
        stopped = session.get_one(HouseholdRow, actor.household_id).stopped_subjects
        quiet = row.subject in stopped
        question = _question_of(session, actor, row)
        session.commit()
    if row.kind == "question":
        return see_other(request, f"/questions/{question}" if question else "/questions")
    return page(request, "parent/notice.html", notice=shown, changed="", reasons=REASONS, quiet=quiet)


@router.get("/open/{pairwise_id}")
def open_from_app(request: Request, actor: Household, pairwise_id: str) -> Response:
    """Lead from a partner app's link to the notice it means. The app's name for a notice is of that pair alone."""
    with app_session(actor.context) as session:
        subject_ids = session.exec(select(PartnerLink.subject_id).where(PartnerLink.household_id == actor.household_id))
        notice_ids = session.exec(select(Notice.id).where(Notice.household_id == actor.household_id))
        found = notice_behind(pairwise_id, subject_ids.all(), notice_ids.all())
        row = session.get(Notice, found) if found else None
    if row is None:
        raise NotFound("this link does not lead to a notice of this household")
    return see_other(request, "/home" if row.programme_key == OVERVIEW else f"/notices/{row.id}")


@router.post("/notices/{notice_id}/outcome")
def tell_outcome(request: Request, actor: Household, notice_id: uuid.UUID, form: Submitted) -> Response:
    """Record what became of a support, or take it back; reminders follow at once."""
    outcome, reason = str(form.get("outcome", "")), str(form.get("reason", "")) or None
    if reason is not None and reason not in REASONS:
        raise InvalidInput(f"unknown reason; expected one of {', '.join(REASONS)}", field="reason")
    with app_session(actor.context) as session:
        row = _own(session, actor, notice_id)
        if outcome == "undo":
            for known in current_outcomes(session, actor.household_id):
                if (known.programme_key, known.subject) == (row.programme_key, row.subject):
                    undo_outcome(session, known.id)
        else:
            record_outcome(
                session,
                actor.household_id,
                row.programme_key,
                row.subject,
                outcome,
                by=actor.name,
                reason=reason if outcome == "told_not_eligible" else None,
            )
        outcome_changed(session, actor.household_id, row.programme_key, row.subject)
        session.commit()
        shown = inbox.read_notice(session, actor.household_id, notice_id, clock.now().astimezone(clock.JAPAN))
        session.commit()
    bell.ring(bell.MATCH)
    if is_fragment_request(request):
        changed = phrase("outcome.undone" if outcome == "undo" else "outcome.kept")
        return page(request, "parent/notice_outcome.html", notice=shown, changed=changed, reasons=REASONS)
    return see_other(request, f"/notices/{notice_id}#outcome")


def _home(actor: Actor, looks: int) -> dict[str, Any]:
    with app_session(actor.context) as session:
        registry = published_now(session).registry
        household = session.get_one(HouseholdRow, actor.household_id)
        document = questions.stored_document(session, actor).document
        cards = inbox.todo(session, actor.household_id, clock.today(), actor.guardian)
        waiting = questions.open_questions(session, actor, registry, document)
        checking = _is_being_checked(session, actor)
        morning = _waits_for_morning(session, actor)
        reachable = bool(usable_contacts(session, household))
        own = select(ContactPoint).where(
            ContactPoint.household_id == actor.household_id, ContactPoint.guardian == actor.guardian
        )
        came_back = any(mail_came_back(contact) for contact in session.exec(own))
        total = len(inbox.all_notices(session, actor.household_id, guardian=actor.guardian))
    return {
        "cards": cards[:3],
        "question": waiting[0] if waiting else None,
        "checking": checking and looks < _MOST_LOOKS,
        "slow": checking and looks >= _MOST_LOOKS,
        "looks": looks,
        "morning": morning,
        "reachable": reachable,
        "came_back": came_back,
        "total": total,
        **_coverage(registry, household.municipality_code),
    }


def _coverage(registry: Registry, code: str) -> dict[str, Any]:
    known = registry.municipalities.get(code)
    return {"own": own_programmes(registry, code), "municipality": known.name if known and code != "000000" else ""}


def _is_being_checked(session: Session, actor: Actor) -> bool:
    """Whether an evaluation, or planning what to say about it, is still to come for this household."""
    change = select(Change.id).where(Change.household_id == actor.household_id)
    fresh = select(Entitlement.id).where(
        Entitlement.household_id == actor.household_id,
        col(Entitlement.announced_at).is_(None),
        Entitlement.verdict == "eligible",
        Entitlement.announce_on <= clock.today(),
    )
    return session.exec(change.limit(1)).first() is not None or session.exec(fresh.limit(1)).first() is not None


def _waits_for_morning(session: Session, actor: Actor) -> bool:
    """Whether something was found that quiet hours hold back: a family that looks at night is told so."""
    held = select(Notice.id).where(
        Notice.household_id == actor.household_id,
        Notice.state == "planned",
        Notice.kind == "new_support",
        Notice.release_at > clock.now(),
    )
    return session.exec(held.limit(1)).first() is not None


def _own(session: Session, actor: Actor, notice_id: uuid.UUID) -> Notice:
    row = session.get(Notice, notice_id)
    if row is None or row.guardian not in (None, actor.guardian):
        raise NotFound("this notice does not exist, or not for this guardian")
    return row


def _question_of(session: Session, actor: Actor, row: Notice) -> str | None:
    if row.kind != "question":
        return None
    registry = published_now(session).registry
    document = questions.stored_document(session, actor).document
    wanted = row.content.get("asked_about"), row.content.get("fact")
    for question in questions.open_questions(session, actor, registry, document):
        if (question.subject, question.fact.path) == wanted:
            return question.key
    return None
