"""Deciding again as it was decided then: the registry, the facts and the consents as they were known at an instant.

Nothing is stored of a decision but its inputs, each with the time from which it was known; the same inputs give the
same answer. What is not kept by time is the vocabulary of facts and the program itself: both are those installed.
"""

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session

from app.households.consent import categories_at
from app.households.facts import only_consented
from app.households.profiles import document_at
from app.matching.snapshot import BASIC
from app.platform.errors import InvalidInput, NotFound
from app.platform.rendering import phrases
from app.registry.versions import published
from app.rules.answer_table import Asked
from app.rules.answers import Answer
from app.rules.household import read_household
from app.rules.inquiry import inquire
from app.rules.phrases import Phrases
from app.rules.population import Population
from app.rules.reading_out import answers_of

LANGUAGE = "ja"


@dataclass(frozen=True, slots=True)
class PastDecision:
    """What would have been answered: one answer for each subject, and what it was decided from.

    Attributes:
        answers: as of `on`, by what was known at `known_at`.
        asked: the same answers as columns, for whoever writes them as results.
        phrases: the words that belong to them, with the names and figures known then.
        document: the household document as it was told and consented to then.
        registry_fingerprint: of the registry known then; equal fingerprints are equal contents.
    """

    programme_key: str
    on: dt.date
    known_at: dt.datetime
    answers: tuple[Answer, ...]
    asked: Asked
    phrases: Phrases
    document: dict[str, Any]
    registry_fingerprint: str


def decide_again(
    session: Session, household_id: uuid.UUID, programme_key: str, on: dt.date, known_at: dt.datetime
) -> PastDecision:
    """Answer one programme for one household on a day, by what was known at an instant.

    Args:
        session: in the household's context, or as the worker in its municipality's.
        household_id: the household.
        programme_key: `CODE/id`.
        on: the day asked about.
        known_at: nothing recorded or published after this instant is used.

    Raises:
        NotFound: the household had told nothing then, or the programme was not published then, or the program of today
            cannot read it any more.
        InvalidInput: no version of the programme was law on that day, as known then.
    """
    told = document_at(session, household_id, known_at)
    categories = categories_at(session, household_id, known_at)
    if not told or BASIC not in categories:
        raise NotFound(f"found nothing that this household had told and agreed to be matched on at {known_at}")
    then = published(session, known_at=known_at)
    registry = then.registry
    if programme_key in registry.unreadable:
        raise NotFound(f"found {programme_key} as published at {known_at}; expected documents that can be read today")
    if programme_key not in registry.programmes:
        raise NotFound(f"found no programme {programme_key} published at {known_at}")
    if registry.rulebook.on(programme_key, on) is None:
        raise InvalidInput(
            f"found no version of {programme_key} that was law on {on}, as known at {known_at}", field="on"
        )
    document = {**only_consented(told, categories, registry.facts), "id": str(household_id)}
    population = Population.from_documents([read_household(document, registry.facts)], registry.facts)
    words = Phrases(LANGUAGE, phrases(f"phrases/{LANGUAGE}"), registry.facts, registry.parameters, registry.names)
    asked = inquire(registry.rulebook, population, on, [programme_key]).asked[programme_key]
    answers = tuple(answers_of(asked, words))
    return PastDecision(programme_key, on, known_at, answers, asked, words, document, then.fingerprint)
