"""Which questions are worth a family's time, and putting an answer into its document.

A question is asked only where its answer would change a result of today or of the year to come; each says how many
programmes it decides. A category of facts that the family refused is never asked about; one it was never asked to share
is asked for first.
"""

import copy
import datetime as dt
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlmodel import Session, select
from starlette.datastructures import FormData

from app.accounts.permissions import Actor
from app.calendar.day_numbers import number_of
from app.faces.parent.answers import PEOPLE, about, in_words, owners, plain_value
from app.households import consent
from app.households.tables import HouseholdDocument
from app.matching.evaluation import Engine
from app.matching.recording import engine
from app.matching.tables import Entitlement
from app.platform import clock
from app.platform.sealing import blind_index
from app.registry.loading import Registry
from app.rules.documents import Place
from app.rules.facts import DECLINED, Fact
from app.rules.municipality_code import NATIONAL
from app.rules.my_number import holds_my_number
from app.web.dates import read_dates

ATTRIBUTES = ("birth_date", "due_date")
DONT_KNOW = "dont-know"
_SHORT_SCALE = 10
_YEAR = dt.timedelta(days=365)
_INTIMATE = "disability_health"
"""Disability and illness are asked about last, as in `app.notices.planning`."""
_DATED = ("guardian.income_after_deductions", "household.residence_tax_income_levy")
"""Facts that belong to one calendar year and are unknown outside it."""


@dataclass(frozen=True)
class Told:
    """One answer as a page lists it, with the key of the question that it answers."""

    key: str
    label: str
    about: str
    value: str


@dataclass(frozen=True)
class Question:
    """One question about one person or the household. `key` stands for it in addresses and says nothing."""

    key: str
    subject: str
    fact: Fact
    about: str
    decides: tuple[str, ...]
    consent: str

    @property
    def purpose(self) -> str:
        """The consent under which the answer is used."""
        return f"matching:{self.fact.consent}"

    @property
    def dated(self) -> bool:
        """Whether the answer belongs to one calendar year."""
        return self.fact.path in _DATED

    @property
    def scale(self) -> range | None:
        """The few whole numbers there are to choose from, or None where a number is typed."""
        low, high = self.fact.at_least or 0, self.fact.at_most
        return range(low, high + 1) if self.fact.type == "int" and high and high <= _SHORT_SCALE else None


@dataclass(slots=True)
class _WouldDecide:
    """The programmes that one answer would help to decide, and how much money hangs on it."""

    programmes: set[str] = field(default_factory=set)
    yen: int = 0


_DECIDES_NOTHING = _WouldDecide()


class UnreadableAnswer(Exception):
    """What was typed is no answer to this question; `key` names the phrase that says so."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


def open_questions(session: Session, actor: Actor, registry: Registry, document: Mapping[str, Any]) -> list[Question]:
    """Return the questions that would decide something today or within a year, in the order of asking.

    What was answered since the rights were stored is not asked again; a figure of one year may be asked anew each year.
    """
    found = _questions(session, actor, registry, document, ())
    may_ask = [question for question in found if question.decides and question.consent in ("given", "")]
    return [question for question in may_ask if question.dated or answer_given(question, document) is None]


def all_questions(session: Session, actor: Actor, registry: Registry, document: Mapping[str, Any]) -> list[Question]:
    """Return what this household may answer or has answered, in the order of asking.

    A fact is offered where a current or coming version of a verified programme reads it. What the family has told
    stays, whoever reads it, so that it can be seen and changed.
    """
    municipality = document.get("municipality") or NATIONAL
    return _questions(session, actor, registry, document, _facts_read(engine(session), municipality, clock.today()))


def _questions(
    session: Session, actor: Actor, registry: Registry, document: Mapping[str, Any], read: Collection[str]
) -> list[Question]:
    """Return the questions about facts that are open, read or answered: the most decisive first, the intimate last."""
    answers = consent.current(session, actor.household_id, consent.TODOKE)  # type: ignore[arg-type]
    states = {purpose: row.state for purpose, row in answers.items()}
    undecided = _undecided(session, actor, registry, clock.today())
    found = []
    for fact in registry.facts:
        if fact.question is None or fact.derived:
            continue
        for subject, owner in owners(document, fact):
            open_ = undecided.get((subject, fact.path), _DECIDES_NOTHING)
            if not (open_.programmes or fact.path in read or _answer_in(owner, fact) is not None):
                continue
            question = Question(
                key=blind_index(f"{actor.household_id}\x1f{subject}\x1f{fact.path}", "question").hex()[:16],
                subject=subject,
                fact=fact,
                about=about(document, subject),
                decides=tuple(sorted(open_.programmes)),
                consent=states.get(f"matching:{fact.consent}", ""),
            )
            found.append((fact.consent == _INTIMATE, -len(open_.programmes), -open_.yen, question))
    return [question for *_, question in sorted(found, key=lambda one: one[:3])]


def _undecided(
    session: Session, actor: Actor, registry: Registry, today: dt.date
) -> dict[tuple[str, str], "_WouldDecide"]:
    """Return what an answer would decide, by subject and fact: stored rights of today and of the year to come."""
    found: dict[tuple[str, str], _WouldDecide] = defaultdict(_WouldDecide)
    until = today + _YEAR
    for row in session.exec(select(Entitlement).where(Entitlement.household_id == actor.household_id)):
        over = row.valid_until is not None and row.valid_until < today
        if over or row.valid_from > until or row.answer.get("judgement_only"):
            continue
        versions = registry.programmes.get(row.programme_key)
        if not versions:
            continue
        version = registry.version_on(row.programme_key, max(row.valid_from, today)) or versions[-1]
        if not version.notifies:
            continue
        amount = row.answer.get("amount") or {}
        for missing in row.answer.get("missing", ()):
            decided = found[missing["subject"], missing["fact"]]
            decided.programmes.add(version.name.ja)
            decided.yen += int(amount.get("yen") or amount.get("most") or 0)
    return dict(found)


def _facts_read(evaluator: Engine, municipality: str, today: dt.date) -> set[str]:
    """Return the facts that programmes told to people of a municipality read, now or in a version to come."""
    day = number_of(today)
    told, sound = evaluator.registry.told_in(municipality), evaluator.rulebook.versions
    versions = (one for key in told for one in sound.get(key, ()))
    return {path for one in versions if one.last >= day and one.rule.certainty == "verified" for path in one.reads}


def told(questions: Iterable[Question], document: Mapping[str, Any]) -> list[Told]:
    """Return the answers that a document holds; birth dates and due dates stand on the page by themselves."""
    found = []
    for question in questions:
        value = answer_given(question, document)
        if value is not None and question.fact.name not in ATTRIBUTES:
            words = in_words(question.fact, value)
            found.append(Told(question.key, question.fact.label.ja, question.about, words))
    return found


def answer_given(question: Question, document: Mapping[str, Any]) -> Any:
    """Return the bare answer that a document holds, or None."""
    for subject, owner in owners(document, question.fact):
        if subject == question.subject:
            return _answer_in(owner, question.fact)
    return None


def _answer_in(owner: Mapping[str, Any], fact: Fact) -> Any:
    return plain_value(owner.get(fact.name) or (owner.get("facts") or {}).get(fact.name))


def read_answer(question: Question, form: FormData, today: dt.date) -> Any:
    """Return the answer that a form carries; None for わからない.

    Raises:
        UnreadableAnswer: it is no answer to this question.
    """
    given = unicodedata.normalize("NFKC", str(form.get("answer", ""))).strip()
    if given == DONT_KNOW:
        return None
    if given == DECLINED:
        return DECLINED
    try:
        value = question.fact.read(_typed(question.fact, given, form))
    except Place:
        raise UnreadableAnswer("error.number_range") from None
    if question.dated:
        return {"value": value, "income_year": _income_year(form, today)}
    return value.isoformat() if isinstance(value, dt.date) else value


def with_answer(question: Question, document: Mapping[str, Any], answer: Any) -> dict[str, Any]:
    """Return a copy of the document with the answer in its place."""
    changed = copy.deepcopy(dict(document))
    owner = changed
    if question.fact.owner != "household":
        person_id = question.subject.partition(":")[2]
        owner = next(person for person in changed[PEOPLE[question.fact.owner]] if person["id"] == person_id)
    place = owner if question.fact.name in ATTRIBUTES else owner.setdefault("facts", {})
    if answer is None:
        place.pop(question.fact.name, None)
    else:
        place[question.fact.name] = answer
    return changed


def income_years(today: dt.date) -> tuple[int, int]:
    """Return the calendar years whose income a certificate may show by now, the later first."""
    return today.year - 1, today.year - 2


def stored_document(session: Session, actor: Actor) -> HouseholdDocument:
    """Return the household's document row of a signed-in guardian."""
    return session.get_one(HouseholdDocument, actor.household_id)


def _typed(fact: Fact, given: str, form: FormData) -> Any:
    if fact.type == "bool":
        if given not in ("yes", "no"):
            raise UnreadableAnswer("error.choice")
        return given == "yes"
    if fact.type == "choice":
        by_text = {str(choice): choice for choice in fact.choices}
        if given not in by_text:
            raise UnreadableAnswer("error.choice")
        return by_text[given]
    if fact.type == "date":
        try:
            day = read_dates(form, "date")[0]
            if day.my_number:
                raise UnreadableAnswer("error.my_number")
            return day.date()
        except (ValueError, IndexError):
            raise UnreadableAnswer("error.date") from None
    digits = str(form.get("number", "") if given in ("", "number") else given)
    if holds_my_number(digits):
        raise UnreadableAnswer("error.my_number")
    digits = unicodedata.normalize("NFKC", digits).replace(",", "").strip().removesuffix("円").removesuffix("人")
    if not digits.isdecimal():
        raise UnreadableAnswer("error.number")
    return int(digits)


def _income_year(form: FormData, today: dt.date) -> int:
    chosen = str(form.get("income_year", ""))
    return int(chosen) if chosen in map(str, income_years(today)) else income_years(today)[0]
