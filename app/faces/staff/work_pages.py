"""How the work stands: sweeps, campaigns that wait for a decision, previews of drafts, quarantine, the last audit."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from fastapi import APIRouter
from sqlmodel import Session, col, select
from starlette.requests import Request
from starlette.responses import Response

from app.accounts.permissions import ROLE_RIGHTS, require
from app.accounts.tables import StaffAccount
from app.matching import reach
from app.matching.campaigns import HOLDING, decide
from app.matching.oversight_tables import Audit, Campaign, ReachRequest
from app.matching.tables import QuarantinedProgramme, Sweep
from app.platform import bell, clock
from app.platform.database import app_session
from app.platform.errors import InvalidInput
from app.registry.drafts import drafts_of, open_draft
from app.registry.loading import Registry
from app.registry.tables import ProgrammeDraft
from app.registry.versions import published_now
from app.rules.municipality_code import covers
from app.web.access import Staff
from app.web.forms import Form, Submitted, fill
from app.web.pages import page, see_other

router = APIRouter(prefix="/staff/work")
_LANGUAGE = "ja"
_SWEEPS_SHOWN = 5


class DecisionForm(Form):
    """What an approver decides about a campaign."""

    decision: Literal["approved", "rejected"]


@dataclass(frozen=True)
class SweepView:
    """A sweep with the names of the programmes that concern this municipality."""

    row: Sweep
    names: Sequence[str]


@dataclass(frozen=True)
class DraftPreview:
    """An open draft with the last answer about exactly what it says; None where nobody asked."""

    draft: ProgrammeDraft
    name: str
    request: ReachRequest | None


@router.get("")
def work(request: Request, actor: Staff) -> Response:
    """Show how the work stands, for one municipality."""
    with app_session(actor.context) as session:
        account = session.get_one(StaffAccount, actor.staff_id)
        require(account.role, "figures:read")
        registry = published_now(session).registry
        held = col(Campaign.state).in_(HOLDING)
        audit = select(Audit).where(col(Audit.finished_at).is_not(None)).order_by(col(Audit.finished_at).desc())
        shown: dict[str, Any] = {
            "sweeps": _sweeps(session, registry, account.municipality_code),
            "campaigns": session.exec(select(Campaign).where(held).order_by(col(Campaign.begun_at))).all(),
            "previews": _previews(session, account.municipality_code),
            "quarantined": _quarantined(session, registry, account.municipality_code),
            "audit": session.exec(audit.limit(1)).first(),
        }
    return page(
        request,
        "staff/work.html",
        account=account,
        may_decide="programmes:approve" in ROLE_RIGHTS[account.role],  # type: ignore[index]
        names={key: _name(registry, key) for key in registry.programmes},
        places={one.code: one.name for one in registry.municipalities},
        **shown,
    )


@router.post("/campaigns/{campaign_id}")
def decide_about(request: Request, actor: Staff, campaign_id: uuid.UUID, form: Submitted) -> Response:
    """Approve or reject a paused campaign; the database asks once more whether this account may."""
    wanted = fill(DecisionForm, form).value
    if wanted is None:
        raise InvalidInput("found no decision; expected approved or rejected", field="decision")
    with app_session(actor.context) as session:
        require(session.get_one(StaffAccount, actor.staff_id).role, "programmes:approve")
        decide(session, campaign_id, wanted.decision, clock.now())
        session.commit()
    bell.ring(bell.ANNOUNCE)
    return see_other(request, "/staff/work")


@router.post("/drafts/{draft_id}/reach")
def ask_for_reach(request: Request, actor: Staff, draft_id: uuid.UUID) -> Response:
    """Ask whom a draft would reach; the worker answers on this page."""
    with app_session(actor.context) as session:
        account = session.get_one(StaffAccount, actor.staff_id)
        require(account.role, "figures:read")
        reach.ask(session, open_draft(session, draft_id), account.id, clock.now())
        session.commit()
    bell.ring(bell.REACH)
    return see_other(request, "/staff/work")


def _sweeps(session: Session, registry: Registry, municipality: str) -> list[SweepView]:
    concerned = set(registry.told_in(municipality))
    rows = session.exec(select(Sweep).order_by(col(Sweep.started_at).desc()).limit(_SWEEPS_SHOWN))
    views = [SweepView(row, [_name(registry, key) for key in row.programme_keys if key in concerned]) for row in rows]
    return [view for view in views if view.names]


def _previews(session: Session, municipality: str) -> list[DraftPreview]:
    def name(draft: ProgrammeDraft) -> str:
        return str(draft.document.get("name", {}).get(_LANGUAGE, draft.programme_key))

    return [DraftPreview(one, name(one), reach.latest(session, one)) for one in drafts_of(session, municipality)]


def _quarantined(session: Session, registry: Registry, municipality: str) -> list[QuarantinedProgramme]:
    unreadable = (key for key in registry.unreadable if covers(key.partition("/")[0], municipality))
    concerned = {*registry.told_in(municipality), *unreadable}
    rows = session.exec(select(QuarantinedProgramme).order_by(col(QuarantinedProgramme.since)))
    return [row for row in rows if row.programme_key in concerned]


def _name(registry: Registry, key: str) -> str:
    return registry.programmes[key][-1].name.in_language(_LANGUAGE) if key in registry.programmes else key
