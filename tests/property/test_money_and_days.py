"""Money is whole yen and never a float; deadlines lie after their event; tables go on as they say beyond their last row."""

import dataclasses
import random
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from app.calendar.day_numbers import number_of
from app.calendar.working_days import closed_days, next_open_days
from app.rules.columns import NO, UNKNOWN, YES
from app.rules.compiling import ROWS_OF_A_TABLE
from app.rules.deadlines import deadline_days
from app.rules.evaluate import evaluate
from app.rules.inquiry import answers_on
from app.rules.parameters import Beyond
from app.rules.reading import Moment, Reading
from tests.property.contradictions import assumes, households_that_rank_without
from tests.property.trees import FIRST, book_of, calm, people, seeds


def floats(value, path, seen):
    """Paths of every floating point number inside documents, compiled nodes and arrays."""
    if isinstance(value, float | np.floating):
        yield path
    elif isinstance(value, np.ndarray):
        if value.dtype.kind not in "iub" and not (value.dtype == object and all(type(one) is int for one in value.flat)):
            yield f"{path} ({value.dtype})"
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from floats(part, f"{path}.{key}", seen)
    elif isinstance(value, tuple | list | frozenset):
        for place, part in enumerate(value):
            yield from floats(part, f"{path}[{place}]", seen)
    elif (dataclasses.is_dataclass(value) or isinstance(value, BaseModel)) and id(value) not in seen:
        seen.add(id(value))
        names = type(value).model_fields if isinstance(value, BaseModel) else [one.name for one in dataclasses.fields(value)]
        for name in names:
            yield from floats(getattr(value, name), f"{path}.{name}", seen)


def test_no_float_in_any_rule_parameter_or_compiled_term(registry, rulebook):
    seen = set()
    for key, versions in rulebook.versions.items():
        for version in versions:
            assert not list(floats(version, key, seen))
            for case in version.cases:
                assert {type(number) for number in numbers(case)} <= {int, Fraction}
    assert len(seen) > 1000
    for parameter in registry.parameters._by_id.values():
        assert not list(floats(parameter, parameter.id, seen))
        for period in parameter.periods:
            assert all(isinstance(row, Fraction) for row in period.table or (period.value,))


def numbers(value):
    """Every number of a compiled amount."""
    if isinstance(value, int | Fraction) and not isinstance(value, bool):
        yield value
    elif isinstance(value, tuple):
        for part in value:
            yield from numbers(part)
    elif dataclasses.is_dataclass(value):
        for one in dataclasses.fields(value):
            yield from numbers(getattr(value, one.name))


@pytest.mark.parametrize("value", [0.5, np.float64(1), {"a": [1, {"b": 1.0}]}, np.zeros(2)])
def test_the_search_for_floats_finds_them(value):
    assert list(floats(value, "x", set()))


def test_no_column_is_a_float(registry, maker_of):
    chance = random.Random(1)
    population = people([maker_of(FIRST).household(chance) for _ in range(40)], registry.facts)
    assert not list(floats(population._stored, "stored", set()))


def some_answers(registry, rulebook, maker_of, count):
    chance, maker = random.Random(), maker_of(FIRST)
    documents = [maker.household(chance) for _ in range(count)]
    full = [maker.filled(document, chance) for document in documents]
    populations = [people(part, registry.facts) for part in (documents, full)]
    answered = [answers_on(rulebook, part, FIRST) for part in populations]
    return populations[1], zip(documents, full, *answered, strict=True)


def test_amounts_are_whole_yen_and_filling_in_stays_between_least_and_most(registry, rulebook, maker_of):
    """But for what is known to leave a child out of a rank, and for sums that are assumed while nobody knows of them."""
    compared = 0
    filled, answered = some_answers(registry, rulebook, maker_of, 25)
    rules = {key: rule for key in rulebook if (rule := rulebook.on(key, FIRST)) is not None}
    assuming = {key for key, rule in rules.items() if any(assumes(case.yen) for case in rule.cases)}
    ranked = {key: households_that_rank_without(rule, filled, FIRST) for key, rule in rules.items()}
    for document, full, before, after in answered:
        now = {(answer.programme, answer.subject): answer for answer in after.answers}
        for answer in before.answers:
            for amount in (answer.amount, *(step for _, step in answer.steps)):
                for figure in () if amount is None else (amount.yen, amount.least, amount.most):
                    assert figure is None or (type(figure) is int and figure >= 0)
                if amount is not None and amount.least is not None and amount.most is not None:
                    assert amount.least <= amount.most
            later = now.get((answer.programme, answer.subject))
            sure = answer.amount is not None and later is not None and later.amount is not None
            sure &= answer.programme not in assuming and answer.household not in ranked[answer.programme]
            if sure and later.amount.yen is not None and answer.verdict == later.verdict == "eligible":
                low = answer.amount.least if answer.amount.yen is None else answer.amount.yen
                high = answer.amount.most if answer.amount.yen is None else answer.amount.yen
                assert low is None or low <= later.amount.yen, (answer.programme, document, full)
                assert high is None or later.amount.yen <= high, (answer.programme, document, full)
                compared += 1
    assert compared


def test_deadlines_never_lie_before_their_event(registry, rulebook, maker_of):
    chance = random.Random()
    population = people([maker_of(FIRST).household(chance) for _ in range(60)], registry.facts)
    looked_at = 0
    for ahead in chance.sample(range(800), 4):
        today = int(next_open_days(number_of(FIRST) + ahead))
        moment = Moment.on(population, today)
        for key in rulebook:
            version = rulebook.on(key, today)
            if version is None:
                continue
            days = np.full(population.people[version.subject].size, today, dtype=np.int32)
            for found in deadline_days(version, Reading(moment, version.rule), days):
                counted, office, anchor = (part[found.known] for part in (found.counted_on, found.office_on, found.anchor))
                if found.deadline.on is None and not found.deadline.no_loss:
                    back = 8 if found.deadline.holiday == "previous_working_day" else 0
                    assert (counted >= anchor).all() and (office >= anchor - back).all(), key
                if found.deadline.holiday == "next_working_day":
                    assert (office >= counted).all() or found.deadline.no_loss, key
                if found.deadline.holiday != "as_is":
                    assert not closed_days(office).any(), key
                looked_at += len(counted)
    assert looked_at


# ---- tables beyond their last row -------------------------------------------------------------------------------

rows = st.lists(st.integers(0, 3_000_000), min_size=1, max_size=6).map(sorted)


@given(rows, st.one_of(st.sampled_from(["same", "unknown"]), st.integers(0, 500_000)))
def test_a_table_that_rises_goes_on_rising(table, beyond):
    from app.rules.parameters import ParameterPeriod

    how = {"step": beyond} if isinstance(beyond, int) else beyond
    period = ParameterPeriod.model_validate({"valid_from": "2024-01-01", "table": table, "beyond": how})
    limits = [period.row(number) for number in range(ROWS_OF_A_TABLE + 3)]
    past = limits[len(table):]
    if beyond == "unknown":
        assert set(past) == {None}
        return
    assert limits == sorted(limits)
    assert set(past) == {table[-1]} if beyond == "same" else past[1] - past[0] == past[0] - table[-1] == beyond


def test_every_table_of_the_registry_rises_to_its_end_and_beyond(registry):
    tables = [parameter for parameter in registry.parameters._by_id.values() if parameter.is_table]
    assert tables
    for parameter in tables:
        for period in parameter.periods:
            limits = [limit for number in range(ROWS_OF_A_TABLE) if (limit := period.row(number)) is not None]
            assert limits == sorted(limits), parameter.id
            assert not isinstance(period.beyond, Beyond) or period.beyond.step >= 0


@calm
@given(seeds, st.sampled_from(["table", "table-same", "table-unknown"]))
def test_one_dependant_more_never_takes_a_right_away(seed, parameter):
    chance = random.Random(seed)
    income = chance.choice([0, 689_999, 1_070_000, 1_450_000, 5_000_000, 20_000_000])
    tree = {"fact": "guardian.income_after_deductions", "under": {"parameter": parameter, "by": "guardian.dependants"}}
    documents = [{"children": [{"id": "c"}], "guardians": [{"id": "g", "facts": {
        "income_after_deductions": income, "dependants": number}}]} for number in range(ROWS_OF_A_TABLE + 2)]
    found = evaluate(book_of(tree), people(documents), FIRST)["000000/programme"].tolist()
    sure = [verdict for verdict in found if verdict != UNKNOWN]
    assert sure == sorted(sure)
    assert found[ROWS_OF_A_TABLE:] == [UNKNOWN, UNKNOWN], "a table is written out so far and no further"
    unknown = found[:ROWS_OF_A_TABLE].count(UNKNOWN)
    assert unknown == (ROWS_OF_A_TABLE - 2 if parameter == "table-unknown" else 0)
    assert {NO, YES} >= set(sure)


def test_an_income_one_yen_higher_never_brings_a_right():
    tree = {"fact": "guardian.income_after_deductions", "under": {"parameter": "limit"}}
    documents = [{"children": [{"id": "c"}], "guardians": [{"id": "g", "facts": {"income_after_deductions": yen}}]}
                 for yen in range(999_990, 1_000_010)]
    found = evaluate(book_of(tree), people(documents), FIRST)["000000/programme"].tolist()
    assert found == sorted(found, reverse=True) and len(set(found)) == 2
