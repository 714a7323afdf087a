"""One question on one screen; わからない and 答えたくない are answers too.

After a few answers comes a rest: a family sees that the rest can wait, and goes on only where it wants to.
"""

import re

from fastapi import APIRouter
from sqlmodel import Session
from starlette.requests import Request
from starlette.responses import Response

from app.accounts.permissions import Actor
from app.faces.parent import questions
from app.faces.parent.questions import Question
from app.households import consent
from app.households.profiles import save_document
from app.platform import bell, clock
from app.platform.database import app_session
from app.platform.errors import Conflict, InvalidInput, NotFound
from app.registry.loading import Registry
from app.registry.versions import published_now
from app.web.access import Household
from app.web.forms import Submitted
from app.web.pages import page, phrase, see_other

router = APIRouter()

SITTING = 5
"""Questions after which a family is offered a rest."""
_KEY = re.compile(r"[0-9a-f]{16}")
_LONGEST = 100 * 17


@router.get("/questions")
def next_question(request: Request, actor: Household, seen: str = "", on: str = "") -> Response:
    """Go to the most decisive open question not `seen` in this sitting; with none left or after a few, say so."""
    with app_session(actor.context) as session:
        registry = published_now(session).registry
        document = questions.stored_document(session, actor).document
        waiting = [question.key for question in questions.open_questions(session, actor, registry, document)]
    past = _keys(seen)
    left = [key for key in waiting if key not in past]
    rests = bool(past) and len(past) % SITTING == 0 and not on
    if left and not rests:
        return see_other(request, f"/questions/{left[0]}?seen={'.'.join(past)}")
    skipped = len(waiting) - len(left)
    return page(request, "parent/questions_done.html", left=len(left), skipped=skipped, seen=".".join(past))


@router.get("/questions/{key}")
def ask(request: Request, actor: Household, key: str) -> Response:
    """Show one question, or first the consent under which its answer would be used."""
    with app_session(actor.context) as session:
        question, _, given = _find(session, actor, key)
    if question.consent != "given":
        return _consent_page(request, question)
    return _question_page(request, question, given)


@router.post("/questions/{key}/consent")
def agree(request: Request, actor: Household, key: str, form: Submitted, seen: str = "") -> Response:
    """Record the answer to the consent that a question needs, and go on with it or with the next one."""
    agreed = form.get("consent") == "given"
    with app_session(actor.context) as session:
        question, _, _ = _find(session, actor, key)
        record = consent.give if agreed else consent.refuse
        record(session, actor.household_id, [question.purpose], language="ja", by=actor.name, source="question page")
        session.commit()
    bell.ring(bell.MATCH)
    return see_other(request, f"/questions{f'/{key}' if agreed else ''}?seen={'.'.join(_keys(seen))}")


@router.post("/questions/{key}")
def answer(request: Request, actor: Household, key: str, form: Submitted, seen: str = "") -> Response:
    """Save an answer and go on to the next question."""
    with app_session(actor.context) as session:
        question, version, given = _find(session, actor, key)
        if question.consent != "given":
            return _consent_page(request, question)
        try:
            value = questions.read_answer(question, form, clock.today())
        except questions.UnreadableAnswer as problem:
            return _question_page(request, question, given, typed=form, error=phrase(problem.key), status=422)
        document = questions.with_answer(question, questions.stored_document(session, actor).document, value)
        try:
            save_document(
                session, actor.household_id, document, expected_version=version, source="parent", by=actor.name
            )
        except (Conflict, InvalidInput) as problem:
            session.rollback()
            error = phrase("error.stale" if isinstance(problem, Conflict) else "error.other")
            return _question_page(request, question, given, typed=form, error=error, status=409)
        session.commit()
    bell.ring(bell.MATCH)
    if form.get("from") == "family":
        return see_other(request, "/family?done=saved")
    return see_other(request, f"/questions?seen={'.'.join([*_keys(seen), key])}")


def _keys(seen: str) -> list[str]:
    """Read the questions that were answered or passed over in this sitting; what is no key is left out."""
    return [key for key in seen[:_LONGEST].split(".") if _KEY.fullmatch(key)]


def _find(session: Session, actor: Actor, key: str) -> tuple[Question, int, object]:
    registry: Registry = published_now(session).registry
    stored = questions.stored_document(session, actor)
    waiting = questions.open_questions(session, actor, registry, stored.document)
    everything = questions.all_questions(session, actor, registry, stored.document)
    for question in (*waiting, *everything):
        if question.key == key:
            return question, stored.version, questions.answer_given(question, stored.document)
    raise NotFound("this question is not asked of this household")


def _consent_page(request: Request, question: Question) -> Response:
    text = consent.texts()["purposes"][question.purpose]
    seen = ".".join(_keys(request.query_params.get("seen", "")))
    return page(request, "parent/question_consent.html", question=question, text=text, seen=seen)


def _question_page(
    request: Request,
    question: Question,
    given: object,
    *,
    typed: object = None,
    error: str = "",
    status: int = 200,
) -> Response:
    return page(
        request,
        "parent/question.html",
        status=status,
        question=question,
        given=given,
        typed=typed or {},
        error=error,
        years=questions.income_years(clock.today()),
        came_from=request.query_params.get("from", ""),
        seen=".".join(_keys(request.query_params.get("seen", ""))),
    )
