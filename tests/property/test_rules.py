"""What must hold for every rule and every household, not for examples only."""

import copy
import datetime as dt
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from app.calendar.day_numbers import date_of, number_of
from app.calendar.working_days import next_open_days
from app.registry.loading import load_registry
from app.rules.building import Stored
from app.rules.columns import NO, UNKNOWN, YES
from app.rules.deadlines import deadline_days
from app.rules.evaluate import Rulebook, evaluate
from app.rules.household import read_household
from app.rules.inquiry import answers_on
from app.rules.population import Population
from app.rules.reading import Moment, Reading
from app.rules.timeline import programme_periods, timeline
from tests.unit.rules.world import CATALOGUE, PARAMETERS, rule

ROOT = Path(__file__).parents[2]
FIRST = dt.date(2025, 9, 10)
DAYS = 25 * 31
calm = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def registry():
    loaded = load_registry(ROOT / "registry_data")
    return loaded, Rulebook.compile(loaded.versions, loaded.facts, loaded.parameters)


REGISTRY, BOOK = registry()

# ---- random households ------------------------------------------------------------------------------------------

awkward = st.sampled_from(["02-28", "02-29", "03-01", "03-31", "04-01", "04-02", "12-31", "01-31", "11-30"])


@st.composite
def births(draw, youngest=2027, oldest=2003):
    year = draw(st.integers(oldest, youngest))
    if draw(st.booleans()):
        text = draw(awkward)
        return f"{year}-{'03-01' if text == '02-29' and year % 4 else text}"
    return (dt.date(year, 1, 1) + dt.timedelta(days=draw(st.integers(0, 364)))).isoformat()


flag = st.sampled_from([True, False, None, "declined"])
money = st.sampled_from([0, 689_999, 690_000, 1_069_999, 1_070_000, 1_220_000, 2_460_000, 5_000_000, None])
dated = st.one_of(
    money,
    st.builds(lambda value, year: {"value": value, "income_year": year}, money, st.integers(2023, 2026)),
    st.lists(st.builds(lambda value, year: {"value": value, "income_year": year}, money, st.integers(2023, 2026)),
             min_size=1, max_size=2, unique_by=lambda part: part["income_year"]),
)
towns = st.sampled_from(["131121", "131172", "131130", "141003"])


@st.composite
def residences(draw):
    steps = draw(st.lists(st.tuples(st.integers(0, 800), towns), max_size=3))
    entries, day = [], dt.date(2024, 3, 5)
    for gap, town in steps:
        day += dt.timedelta(days=gap + 1)
        entries.append({"municipality": town, "from": day.isoformat()})
    return entries


@st.composite
def households(draw, facts):
    """A household that speaks the facts of a catalogue; ``facts`` maps owners to strategies of fact mappings."""
    document = {"facts": draw(facts["household"])}
    if draw(st.booleans()):
        document["municipality"] = draw(towns)
    history = draw(residences())
    if history:
        document["residence"] = history
    for field, owner, date in (("guardians", "guardian", None), ("children", "child", "birth_date"),
                               ("pregnancies", "pregnancy", "due_date"), ("co_residents", "co_resident", None)):
        size = draw(st.sampled_from([None, 0, 1, 2, 3] if field != "guardians" else [None, 1, 1, 2]))
        if size is None:
            continue
        people = []
        for position in range(size):
            person = {"id": f"{owner[:2]}{position}", "facts": draw(facts[owner])}
            if date:
                person[date] = draw(st.one_of(births(), births(2027, 2020), st.none()))
            people.append(person)
        if field == "guardians" and sum(person["facts"].get("claimant") is True for person in people) > 1:
            for person in people[1:]:
                person["facts"]["claimant"] = False
        document[field] = people
    return document


def strategies(catalogue):
    """For each owner a strategy of facts, each fact left out now and then."""
    found = {}
    for owner, facts in catalogue.by_owner.items():
        kinds = {}
        for name, fact in facts.items():
            if name in ("birth_date", "due_date"):
                continue
            kinds[name] = {
                "bool": flag, "yen": dated, "date": births(),
                "choice": st.sampled_from([*fact.choices, None]) if fact.choices else st.none(),
                "int": st.one_of(st.none(), st.integers(fact.at_least or 0, min(fact.at_most or 4, 4))),
            }[fact.type]
        found[owner] = st.fixed_dictionaries({}, optional=kinds)
    return found


OWN = strategies(CATALOGUE)
REAL = strategies(REGISTRY.facts)

# ---- a rule set that uses every leaf ----------------------------------------------------------------------------

CHILD_RULES = [
    {"within": "child.birth_date", "from": "2m", "until": "90m", "reckoning": {"until": "until_reached"}},
    {"within": "child.birth_date", "until": "3y", "reckoning": {"until": "reached"}, "until_end_of": "month"},
    {"within": "child.birth_date", "from": "1y", "until": "1y6m", "until_end_of": "school_year"},
    {"fiscal_year_end": "child.birth_date", "of_age": 18},
    {"fiscal_year_end": "child.birth_date", "of_age": 15, "from_age": 6},
    {"fact": "child.school_grade", "in": [0, 1]},
    {"fact": "child.class_age", "at_most": 2},
    {"fact": "child.birth_date", "from": "2012-04-02", "until": "2026-04-01"},
    {"fact": "child.grade", "at_most": 2},
    {"rank": "child", "among": {"any": [{"fiscal_year_end": "child.birth_date", "of_age": 18},
                                        {"all": [{"fiscal_year_end": "child.birth_date", "of_age": 22},
                                                 {"fact": "child.supported_by_guardian", "is": True}]}]}, "at_least": 3},
    {"resident_on": "month_start"},
    {"resident_on": "child.birth_date"},
    {"resided": "1y"},
    {"resided": "3m", "by": "child.birth_date"},
    {"receives": "other"},
    {"on": {"from": "2026-01-15", "until": "2026-09-30"}},
    {"each_year": {"from": "11-15", "until": "02-10"}},
    {"fact": "guardian.income_after_deductions", "under": {"parameter": "table", "by": "guardian.dependants"}},
    {"fact": "guardian.income_after_deductions", "at_least": {"parameter": "limit"}},
    {"fact": "household.single_parent", "is": True},
    {"every": "co_resident", "where": {"fact": "co_resident.income_after_deductions",
                                       "under": {"parameter": "table-same", "by": "co_resident.dependants"}}},
    {"count": "child", "where": {"fiscal_year_end": "child.birth_date", "of_age": 18}, "at_least": 2},
    {"some": "pregnancy", "where": {"within": "pregnancy.due_date", "from": "-84d", "until": "-22d"}},
    {"judgement": "a person decides"},
]
leaves = st.sampled_from(CHILD_RULES)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(lambda parts: {"all": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda parts: {"any": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda part: {"not": part}, inner),
    ),
    max_leaves=6,
)
areas = st.sampled_from(["000000", "130001", "131121"])


def book_of(tree, area="000000", income_year=True, against=None):
    more = {"income_year": {"switches": "11-01", "uses": "previous_year"}} if income_year else {}
    if against is not None:
        more["unmodelled"] = [{"ja": "…", "contradicted_by": against}]
    made = [rule(tree, subject="child", municipality=area, valid={"from": "2025-04-01"}, **more),
            rule({"all": [tree, {"fact": "household.public_assistance", "is": False}]}, subject="child",
                 municipality=area, valid={"from": "2026-06-01", "until": "2027-03-31"}, **more)]
    return Rulebook.compile(made, CATALOGUE, PARAMETERS)


def people(documents, catalogue=CATALOGUE):
    return Population.from_documents(
        [read_household(document, catalogue, f"h{row}") for row, document in enumerate(documents)], catalogue)


def day_by_day(book, key, population, first, days):
    """Verdicts on every single day: −1 where no version is law."""
    rows = population.people[book.versions[key][0].subject].size
    table = np.full((days, rows), -1, dtype=np.int8)
    for offset in range(days):
        day = number_of(first) + offset
        version = book.on(key, day)
        if version is not None:
            table[offset] = version.verdicts(Moment.on(population, day, number_of(first)))
    return table


def drawn(periods, rows, first, days):
    """The same table from periods; every day at most once."""
    table = np.full((days, rows), -1, dtype=np.int8)
    start = number_of(first)
    for row, verdict, begin, end in zip(periods.row, periods.verdict, periods.first, periods.last, strict=True):
        assert (table[begin - start: end - start + 1, row] == -1).all()
        table[begin - start: end - start + 1, row] = verdict
    return table


def merged(periods):
    same = (periods.row[1:] == periods.row[:-1]) & (periods.verdict[1:] == periods.verdict[:-1])
    return not (same & (periods.first[1:] == periods.last[:-1] + 1)).any()


# ---- properties -------------------------------------------------------------------------------------------------

@calm
@given(st.lists(households(OWN), min_size=1, max_size=4), trees, areas, st.none() | trees)
def test_timeline_equals_day_by_day(documents, tree, area, against):
    book, population = book_of(tree, area, against=against), people(documents)
    key = f"{area}/programme"
    last = FIRST + dt.timedelta(days=DAYS - 1)
    periods = timeline(book, population, FIRST, last)[key]
    rows = population.people["child"].size
    assert (drawn(periods, rows, FIRST, DAYS) == day_by_day(book, key, population, FIRST, DAYS)).all()
    assert merged(periods)


@settings(calm, max_examples=6)
@given(st.lists(households(REAL), min_size=3, max_size=6))
@pytest.mark.parametrize("key", sorted(BOOK))
def test_timeline_of_real_programmes_equals_day_by_day(key, documents):
    population = people(documents, REGISTRY.facts)
    periods = programme_periods(BOOK.versions[key], population, FIRST, FIRST, FIRST + dt.timedelta(days=DAYS - 1))
    rows = population.people[BOOK.versions[key][0].subject].size
    assert (drawn(periods, rows, FIRST, DAYS) == day_by_day(BOOK, key, population, FIRST, DAYS)).all()
    assert merged(periods)


@calm
@given(st.lists(households(OWN), min_size=2, max_size=5), trees, areas)
def test_a_population_equals_each_household_alone(documents, tree, area):
    book, whole = book_of(tree, area), people(documents)
    together = evaluate(book, whole, FIRST)[f"{area}/programme"]
    alone = [evaluate(book, people([document]), FIRST)[f"{area}/programme"] for document in documents]
    assert list(together) == [int(verdict) for part in alone for verdict in part]
    part = whole.subset(list(range(whole.size))[::-1])
    reversed_rows = evaluate(book, part, FIRST)[f"{area}/programme"]
    assert list(reversed_rows) == [int(verdict) for found in alone[::-1] for verdict in found]


@calm
@given(households(REAL), st.randoms(use_true_random=False))
def test_the_order_of_a_list_is_irrelevant(document, chance):
    shuffled = copy.deepcopy(document)
    for field in ("guardians", "children", "pregnancies", "co_residents", "residence"):
        if field in shuffled:
            chance.shuffle(shuffled[field])
    results = []
    for one in (document, shuffled):
        found = answers_on(BOOK, people([one], REGISTRY.facts), FIRST)
        results.append({(answer.programme, answer.subject): str(answer.as_document() | {"questions": None, "missing": None})
                        for answer in found[0].answers})
        results[-1]["missing"] = {(answer.programme, answer.subject): set(answer.missing)
                                  for answer in found[0].answers}
    assert results[0] == results[1]


def filled(document, chance, catalogue):
    """The same household with everything unknown made known, at random; lists left out become empty or filled."""
    full = copy.deepcopy(document)
    full.setdefault("municipality", "131121")
    for field, owner in (("children", "child"), ("guardians", "guardian"), ("co_residents", "co_resident"),
                         ("pregnancies", "pregnancy")):
        full.setdefault(field, [] if owner != "guardian" else [{"id": "g0"}])
        for person in full[field]:
            for name in {"pregnancy": ["due_date"]}.get(owner, ["birth_date"]):
                if person.get(name) in (None, "declined"):
                    person[name] = f"{chance.randint(2004, 2026)}-04-0{chance.randint(1, 2)}"
            complete(person.setdefault("facts", {}), catalogue.by_owner[owner], chance)
    complete(full.setdefault("facts", {}), catalogue.by_owner["household"], chance)
    return full


def complete(facts, known, chance):
    for name, fact in known.items():
        if name in ("birth_date", "due_date", "claimant"):
            continue
        if facts.get(name) in (None, "declined"):
            facts[name] = {"bool": chance.random() < 0.5, "yen": chance.choice([0, 690_000, 1_070_000, 3_000_000]),
                           "int": chance.randint(fact.at_least or 0, 3), "date": "2026-01-31",
                           "choice": chance.choice(list(fact.choices) or [None])}[fact.type]


@calm
@given(households(OWN), trees, st.integers(0, 2**30))
def test_filling_unknowns_never_overturns_a_definite_verdict(document, tree, seed):
    document["guardians"] = [{"id": "g0", "facts": {}}]
    for child in document.setdefault("children", [{"id": "c0"}]):
        child.setdefault("facts", {})
    note((document, tree, filled(document, random.Random(seed), CATALOGUE)))
    before = evaluate(book_of(tree, income_year=False), people([document]), FIRST)["000000/programme"]
    after = evaluate(book_of(tree, income_year=False), people([filled(document, random.Random(seed), CATALOGUE)]), FIRST)
    for earlier, later in zip(before, after["000000/programme"], strict=True):
        assert earlier in (UNKNOWN, later)


@calm
@given(households(REAL))
def test_an_undetermined_verdict_says_what_is_missing(document):
    for answer in answers_on(BOOK, people([document], REGISTRY.facts), FIRST)[0].answers:
        if answer.verdict == "undetermined" and not answer.only_by_judgement and not answer.stale:
            assert answer.missing, answer
        if answer.verdict == "eligible" and answer.amount is not None and answer.amount.yen is None:
            assert answer.missing, answer


@calm
@given(households(REAL), st.integers(0, 800))
def test_deadlines_never_lie_before_their_event(document, ahead):
    population = people([document], REGISTRY.facts)
    today = int(next_open_days(number_of(FIRST) + ahead))
    for key in BOOK:
        version = BOOK.on(key, today)
        if version is None:
            continue
        reading = Reading(Moment.on(population, today), version.rule)
        days = np.full(population.people[version.subject].size, today, dtype=np.int32)
        for found in deadline_days(version, reading, days):
            assert (found.counted_on[found.known] >= found.anchor[found.known]).all() or found.deadline.on is not None
            assert (found.office_on[found.known] >= found.anchor[found.known]).all() or found.deadline.on is not None
            if found.deadline.holiday == "next_working_day" and not found.deadline.no_loss:
                assert (found.office_on[found.known] >= found.counted_on[found.known]).all()


@calm
@given(households(REAL))
def test_amounts_are_whole_yen_and_bounds_hold_them(document):
    for answer in answers_on(BOOK, people([document], REGISTRY.facts), FIRST)[0].answers:
        for amount in (answer.amount, *(step for _, step in answer.steps)):
            for figure in () if amount is None else (amount.yen, amount.least, amount.most):
                assert figure is None or (type(figure) is int and figure >= 0)
            if amount is not None and amount.least is not None and amount.most is not None:
                assert amount.least <= amount.most


# ---- every leaf alone, on many households at once ---------------------------------------------------------------


def made_up(chance):
    """A household in which anything may be missing."""
    document = filled({"children": [{"id": f"c{n}"} for n in range(chance.randint(0, 4))],
                       "guardians": [{"id": f"g{n}"} for n in range(chance.randint(1, 2))],
                       "co_residents": [{"id": f"r{n}"} for n in range(chance.randint(0, 2))],
                       "pregnancies": [{"id": f"p{n}"} for n in range(chance.randint(0, 1))]}, chance, CATALOGUE)
    for owner in [document, *(person for field in ("children", "guardians", "co_residents", "pregnancies")
                              for person in document[field])]:
        for name in list(owner["facts"]):
            if chance.random() < 0.25:
                owner["facts"][name] = chance.choice([None, "declined"])
            elif name == "income_after_deductions" and chance.random() < 0.7:
                years = chance.sample([2023, 2024, 2025, 2026], chance.randint(1, 2))
                owner["facts"][name] = [{"value": chance.choice([0, 690_000, 1_199_999, 1_200_000, 3_000_000]),
                                         "income_year": year} for year in years]
    for child in document["children"]:
        child["birth_date"] = (FIRST - dt.timedelta(days=chance.randint(-500, 19 * 365))).isoformat()
        if chance.random() < 0.15:
            del child["birth_date"]
    for pregnancy in document["pregnancies"]:
        pregnancy["due_date"] = (FIRST + dt.timedelta(days=chance.randint(-100, 600))).isoformat()
    for field in ("children", "guardians", "co_residents", "pregnancies", "municipality"):
        if chance.random() < 0.1:
            del document[field]
    day, entries = FIRST - dt.timedelta(days=chance.randint(0, 900)), []
    for _ in range(chance.choice([0, 1, 2, 3])):
        entries.append({"municipality": chance.choice(["131121", "131130", "141003"]), "from": day.isoformat()})
        day += dt.timedelta(days=chance.randint(20, 500))
    return {**document, **({"residence": entries} if entries else {}),
            **({"receives": {"other": chance.random() < 0.5}} if chance.random() < 0.5 else {})}


CHANCE = random.Random(20261124)
MANY = [made_up(CHANCE) for _ in range(150)]
FILLED = [filled({**document, "guardians": [{"id": "g0", "facts": dict(document.get("guardians", [{}])[0].get("facts", {}))}],
                  "children": document.get("children", [{"id": "c0"}])}, CHANCE, CATALOGUE) for document in MANY]


@pytest.mark.parametrize("area", ["000000", "131121"])
@pytest.mark.parametrize("tree", CHILD_RULES, ids=lambda tree: "-".join(map(str, tree))[:40])
def test_timeline_of_every_leaf_equals_day_by_day(tree, area):
    book, population = book_of(tree, area), people(MANY)
    periods = timeline(book, population, FIRST, FIRST + dt.timedelta(days=DAYS - 1))[f"{area}/programme"]
    rows = population.people["child"].size
    assert (drawn(periods, rows, FIRST, DAYS) == day_by_day(book, f"{area}/programme", population, FIRST, DAYS)).all()


@pytest.mark.parametrize("tree", CHILD_RULES, ids=lambda tree: "-".join(map(str, tree))[:40])
def test_filling_never_overturns_a_leaf(tree):
    known = [{**full, "guardians": [{**full["guardians"][0], "facts": {}}]} for full in FILLED]
    for person in (guardian for document in known for guardian in document["guardians"]):
        person.pop("birth_date", None)
    partial = [{**document, "guardians": known[row]["guardians"], "children": document.get("children", [{"id": "c0"}])}
               for row, document in enumerate(MANY)]
    book = book_of(tree, income_year=False)
    before, after = (evaluate(book, people(documents), FIRST)["000000/programme"] for documents in (partial, FILLED))
    assert len(before) > 200
    assert ((before == UNKNOWN) | (before == after)).all()


values = st.sampled_from([NO, UNKNOWN, YES])


@given(values, values, values)
def test_kleene_laws(one, two, three):
    def say(value):
        return {NO: {"on": {"until": "2000-01-01"}}, YES: {"on": {"from": "2000-01-01"}}, UNKNOWN: {"judgement": "?"}}[value]

    def result(tree):
        book = Rulebook.compile([rule(tree)], CATALOGUE, PARAMETERS)
        return int(evaluate(book, people([{}]), FIRST)["000000/programme"][0])

    a, b, c = say(one), say(two), say(three)
    assert result({"all": [a, b]}) == min(one, two) == result({"all": [b, a]})
    assert result({"any": [a, b]}) == max(one, two) == result({"any": [b, a]})
    assert result({"not": {"not": a}}) == one == 2 - result({"not": a})
    assert result({"not": {"all": [a, b]}}) == result({"any": [{"not": a}, {"not": b}]})
    assert result({"all": [a, {"any": [b, c]}]}) == result({"any": [{"all": [a, b]}, {"all": [a, c]}]})
    assert result({"all": [a, {"any": [a, b]}]}) == one


def test_no_float_in_money():
    """No column of the population and no amount is a floating point number."""
    documents = [{"children": [{"id": "c", "birth_date": "2020-04-01"}],
                  "guardians": [{"id": "g", "facts": {"income_after_deductions": 1_220_000, "dependants": 1}}]}]
    population = people(documents)
    stored: Stored = population._stored
    kinds = {column.values.dtype.kind for columns in stored.stated.values() for column in columns.values()}
    assert kinds <= {"i"}
    assert date_of(number_of(FIRST)) == FIRST
