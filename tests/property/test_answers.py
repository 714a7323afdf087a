"""The answer table: rows that share an outline get exactly what each would get alone, traced by itself."""

import datetime as dt
import random

import numpy as np
import pytest

from app.calendar.day_numbers import number_of
from app.households.synthetic import synthetic_households
from app.platform.rendering import phrases as words_of
from app.rules.answer_table import answer_table
from app.rules.columns import NO, UNKNOWN
from app.rules.inquiry import answers_on, inquire
from app.rules.outlines import lacking
from app.rules.phrases import Phrases
from app.rules.population import Population
from app.rules.reading import Moment, Reading
from app.rules.reading_out import answers_of
from app.rules.reasons import checked, reason
from app.rules.trace import decisive, only_by_judgement, trace
from tests.conftest import registry

REGISTRY = registry()
BOOK = REGISTRY.rulebook
PHRASES = Phrases("ja", words_of("phrases/ja"), REGISTRY.facts, REGISTRY.parameters)
ON = dt.date(2026, 11, 24)
LISTS = ("guardians", "children", "pregnancies", "co_residents")


def families(count, seed):
    """Generated families of which much is unknown or declined, some moved, some with incomes of several years."""
    chance = random.Random(seed)
    for number, document in enumerate(synthetic_households(count, on=ON, seed=seed)):
        if number % 3 == 0:
            yield document
            continue
        forget(document, chance)
        for guardian in document.get("guardians") or ():
            if chance.random() < 0.3:
                guardian["facts"]["income_after_deductions"] = [
                    {"value": chance.choice([0, 690_000, 2_000_000]), "income_year": year} for year in (2025, 2026)]
            if chance.random() < 0.3:
                guardian["facts"]["claimant"] = chance.choice([True, False])
        yield document


def forget(document, chance):
    """Make some facts, dates and whole lists unknown or declined."""
    for owner in [document, *(person for name in LISTS for person in document.get(name) or ())]:
        for name in list(owner.get("facts", {})):
            if chance.random() < 0.3:
                owner["facts"][name] = chance.choice([None, "declined"])
        for name in ("birth_date", "due_date"):
            if name in owner and chance.random() < 0.06:
                owner[name] = chance.choice([None, "declined"])
    for name in (*LISTS, "municipality"):
        if chance.random() < 0.06:
            document.pop(name, None)


DOCUMENTS = list(families(240, 7))
POPULATION = Population.from_documents(DOCUMENTS, REGISTRY.facts)
TOGETHER = answers_on(BOOK, POPULATION, ON, None, PHRASES)


def test_a_population_is_answered_as_each_household_alone():
    for row in range(0, POPULATION.size, 16):
        alone = Population.from_documents([DOCUMENTS[row]], REGISTRY.facts)
        (found,) = answers_on(BOOK, alone, ON, None, PHRASES)
        assert found == TOGETHER[row]


LAW = {key: rule for key in BOOK if (rule := BOOK.on(key, ON)) is not None}


@pytest.mark.parametrize("key", sorted(LAW))
def test_what_rows_share_is_what_each_would_be_told_alone(key):
    rule = LAW[key]
    asked = inquire(BOOK, POPULATION, ON, [key]).asked[key]
    chosen = asked.at(np.arange(0, len(asked.row), 3))
    for answer, row in zip(answers_of(chosen, PHRASES), chosen.row, strict=True):
        assert_told_as_traced(answer, rule, int(row))


def assert_told_as_traced(answer, rule, row):
    people = POPULATION.people[rule.subject]
    household = int(people.household[row])
    reading = Reading(Moment.on(POPULATION.subset([household]), ON), rule.rule)
    row -= int(people.offsets[household])
    root = trace(rule.whole, reading, rule.subject, row)
    stale = rule.capped(number_of(ON))
    missing = decisive(root) if root.verdict == UNKNOWN else ()
    amounts = rule.amounts(reading.moment)
    if root.verdict != NO and amounts is not None and amounts.open[row]:
        missing = tuple(dict.fromkeys((*missing, *lacking(rule, reading, row))))
    assert answer.missing == missing
    assert answer.only_by_judgement == (only_by_judgement(root) and not stale)
    assert answer.reason == reason(root, PHRASES, reading, stale)
    assert answer.checked == checked(root, PHRASES, reading)


@pytest.mark.parametrize("key", sorted(key for key, rule in LAW.items() if rule.cases))
def test_steps_are_the_amounts_day_by_day(key):
    rule = LAW[key]
    part = POPULATION.subset(np.arange(0, POPULATION.size, 6))
    asked = inquire(BOOK, part, ON, [key]).asked[key]
    asked = asked.at(asked.verdict != NO)
    answers = answers_of(asked)
    table = answer_table(asked)
    ends = np.minimum(table.bounds.current_until, rule.last)
    for ahead in (*range(0, 64, 9), *range(64, 800, 61)):
        day = number_of(ON) + ahead
        amounts = rule.amounts(Moment.on(part, day, number_of(ON)))
        for answer, row, end in zip(answers, asked.row, ends, strict=True):
            if day <= end:
                said = [amount for since, amount in answer.steps if number_of(since) <= day][-1]
                known = int(amounts.yen[row]) if amounts.known[row] else None
                assert (None if said is None else said.yen) == known, (answer, day)
