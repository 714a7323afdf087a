"""The same questions put to other people's engines: OpenFisca-Japan (AGPL) and GoRules zen (MIT).

    python -m tests.bench.others [households]

They live in `.cache/engines`, a virtual environment of their own that this command makes; nothing of them is in the
lock. OpenFisca-Japan works out the three allowances that both have, on households about which everything is known (it
takes what is missing for zero); zen gets our own rules as one expression for each child, dates turned into day numbers.
Verdicts are compared, and every difference is put down to a reason that is known; one without a reason fails the run.
Prints one JSON line for each.
"""

import argparse
import datetime as dt
import json
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

import numpy as np

from app.calendar.day_numbers import number_of
from app.calendar.fiscal_year import school_grades
from app.households.synthetic import synthetic_households
from app.registry.loading import load_registry
from app.rules.columns import YES
from app.rules.day_nodes import Window
from app.rules.evaluate import Rulebook
from app.rules.nodes import Between, Compared, Equals, Group, Negation, Uncontradicted
from app.rules.people_nodes import people_verdicts
from app.rules.population import Population
from app.rules.reading import Moment, Reading
from app.rules.residence_nodes import Everywhere

ROOT = Path(__file__).parents[2]
ENVIRONMENT = ROOT / ".cache" / "engines"
ENGINES = ("openfisca-japan==2.2.0", "zen-engine==2.1.3")
ON = dt.date(2026, 11, 24)
RUNS = 3
HIGH_SCHOOL = 12
ALLOWANCES = ("000000/child-allowance", "000000/child-rearing-allowance", "130001/child-development-allowance")


def interpreter():
    """The other engines' own Python, made once."""
    python = ENVIRONMENT / "bin" / "python"
    if not (ENVIRONMENT / ".ready").exists():
        print(f"Installing {', '.join(ENGINES)} into {ENVIRONMENT.relative_to(ROOT)}", file=sys.stderr)
        venv.create(ENVIRONMENT, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *ENGINES], check=True, stdout=sys.stderr)
        (ENVIRONMENT / ".ready").touch()
    return python


def ask(script, *arguments):
    """Run one engine's script and return the JSON it prints."""
    command = [interpreter(), Path(__file__).parent / "engines" / script, *arguments]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def known_families(count):
    """Families of whom nothing is left open, with children, incomes of the year that counts and nobody else at home.

    None of the children has a disability: OpenFisca is not told of any.
    """
    for document in synthetic_households(count, on=ON):
        facts = document["facts"]
        guardians = [one["facts"] for one in document["guardians"]]
        told = [one.get(name) for one in guardians for name in ("income_after_deductions", "dependants")]
        open_children = [one for one in document["children"] if one["facts"].get("in_institution") is None]
        supported = [one["facts"].get("supported_by_guardian", True) for one in document["children"]]
        disabled = any(one["facts"].get("special_allowance_grade") for one in document["children"])
        known = None not in (*told, *supported, *facts.values()) and not open_children and not disabled
        if known and document["children"] and document.get("co_residents") == []:
            yield document


# ---- OpenFisca-Japan ------------------------------------------------------------------------------------------------


def yen(income):
    return income["value"] if isinstance(income, dict) else income


def columns_of(documents):
    """What OpenFisca is told, as plain columns: one row per person, and one per household."""
    people, households = {"household": [], "is_child": [], "birth": []}, {"single_parent": [], "dependants": [], "income": []}
    for row, document in enumerate(documents):
        claimant = max(document["guardians"], key=lambda one: yen(one["facts"]["income_after_deductions"]))
        households["income"].append(yen(claimant["facts"]["income_after_deductions"]))
        households["dependants"].append(claimant["facts"]["dependants"])
        households["single_parent"].append(document["facts"]["single_parent"])
        for kind in ("guardians", "children"):
            for person in document[kind]:
                people["household"].append(row)
                people["is_child"].append(kind == "children")
                people["birth"].append(number_of(dt.date.fromisoformat(person.get("birth_date", "1990-01-01"))))
    return {"size": len(documents), **{name: np.array(values) for name, values in (people | households).items()}}


def with_openfisca(registry, rulebook, documents):
    """Three allowances per household by both: (what was measured, what differs without a reason)."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "columns.npz", Path(folder) / "results.npz"
        np.savez(source, **columns_of(documents))
        theirs_seconds = ask("with_openfisca.py", source, target, ON.isoformat())
        theirs = {key: np.load(target)[key.replace("/", "__")] for key in ALLOWANCES}
    population = Population.from_documents(documents, registry.facts)
    seconds = float("inf")
    for _ in range(RUNS):
        start = time.perf_counter()
        moment = Moment.on(population, ON)
        ours = {key: yen_of_households(rulebook.on(key, ON), moment) for key in ALLOWANCES}
        seconds = min(seconds, time.perf_counter() - start)
    differing = {key: differences(key, documents, ours[key], theirs[key]) for key in ALLOWANCES}
    count = len(documents) * len(ALLOWANCES)
    return {
        "bench": "beside OpenFisca-Japan", "households": len(documents), "programmes": len(ALLOWANCES),
        "evaluations_per_second": round(count / seconds),
        "openfisca_evaluations_per_second": round(count / theirs_seconds["seconds"]),
        "times_openfisca": round(theirs_seconds["seconds"] / seconds, 1),
        "differences": differing, "equal_but_for_known_reasons": not any(one["unexplained"] for one in differing.values()),
    }


def yen_of_households(rule, moment):
    """Yen a month of one allowance, summed for each household; one yen for a right whose amount is still open."""
    eligible = rule.verdicts(moment) == YES
    amounts = rule.amounts(moment)
    yen_of_children = np.where(eligible, np.where(amounts.open, 1, amounts.yen), 0)
    household = moment.population.people["child"].household
    return np.bincount(household, weights=yen_of_children, minlength=moment.population.size)


def differences(key, documents, ours, theirs):
    """How many households differ, and how many of them for no reason that is known."""
    same = ours == theirs if key.endswith("child-allowance") else (ours > 0) == (theirs > 0)
    reasons, unexplained = {}, []
    for row in np.flatnonzero(~same):
        reason = next((name for name, holds in REASONS[key].items() if holds(documents[row])), None)
        reasons[reason or "unexplained"] = reasons.get(reason or "unexplained", 0) + 1
        if reason is None:
            unexplained.append(documents[row]["id"])
    return {"differing": int((~same).sum()), "reasons": reasons, "unexplained": unexplained[:5]}


def born(document):
    return [dt.date.fromisoformat(child["birth_date"]) for child in document["children"]]


def turns_three_this_month(document):
    return any((one.year + 3, one.month) == (ON.year, ON.month) for one in born(document))


def past_school(document):
    """A child past the end of high school: there the eldest counts by school year and by who pays for its keep."""
    return any(school_grades([number_of(one)], number_of(ON))[0] > HIGH_SCHOOL for one in born(document))


def on_public_assistance(document):
    return document["facts"]["public_assistance"]


REASONS = {
    "000000/child-allowance": {
        "the month in which 3 is reached still pays the higher rate": turns_three_this_month,
        "children past high school count by school year and by who supports them": past_school,
    },
    "000000/child-rearing-allowance": {},
    "130001/child-development-allowance": {},
}


# ---- zen ------------------------------------------------------------------------------------------------------------


class Translation:
    """Our compiled rules as one zen expression over one flat record per child."""

    def __init__(self, moment):
        self.moment = moment
        self.names = {}
        self.columns = []

    def variable(self, fact, reading):
        """The name of a column, made when it is first asked for."""
        column = reading.at(fact, "child")
        key = (fact, str(reading.cache_key((fact,), fact)))
        if key not in self.names:
            self.names[key] = f"v{len(self.columns)}"
            self.columns.append(column)
        return self.names[key]

    def text(self, node, reading):
        """A node as an expression. Raises KeyError for a kind of node that zen is not asked about."""
        day = number_of(ON)
        if isinstance(node, Group):
            return "(" + (" or " if node.largest else " and ").join(self.text(part, reading) for part in node.parts) + ")"
        if isinstance(node, Negation | Uncontradicted):
            return f"not ({self.text(node.parts[0], reading)})"
        if isinstance(node, Everywhere):
            return f"town >= {int(node.area[:2]) * 10_000} and town < {int(node.area[:2]) * 10_000 + 10_000}"
        if not isinstance(node, Window | Equals | Between | Compared):
            raise KeyError(type(node).__name__)
        name = self.variable(node.fact, reading)
        if isinstance(node, Window):
            parts = [f"{name} <= {int(node.opens.last_date(day))}"] if node.opens else []
            parts += [f"{name} > {int(node.closes.last_date(day - 1))}"] if node.closes else []
            return "(" + " and ".join(parts) + ")"
        if isinstance(node, Equals):
            return "(" + " or ".join(f"{name} == {int(value)}" for value in node.values) + ")"
        if isinstance(node, Between):
            parts = [] if node.low is None else [f"{name} >= {int(node.low)}"]
            parts += [] if node.high is None else [f"{name} <= {int(node.high)}"]
            return "(" + " and ".join(parts) + ")"
        return self._limit(node, name, reading)

    def _limit(self, node, name, reading):
        table = next(one for one in node.tables if one.first <= number_of(ON) <= one.last)
        sign = ">=" if node.word in ("at_least", "over") else "<="
        if node.by is None:
            return f"{name} {sign} {int(table.rows[0])}"
        by = self.variable(node.by, reading)
        limit = str(int(table.rows[-1]))
        for row in range(len(table.rows) - 2, -1, -1):
            limit = f"({by} == {row} ? {int(table.rows[row])} : {limit})"
        return f"{name} {sign} {limit}"


def translated(rulebook, moment):
    """Every programme for children that can be put to zen, which refuses what is unknown: (keys, expression, columns)."""
    translation, keys, texts = Translation(moment), [], []
    for key in rulebook:
        rule = rulebook.on(key, ON)
        if rule is None or rule.subject != "child" or not (rule.national or rule.rule.municipality == "130001"):
            continue
        names, columns = dict(translation.names), list(translation.columns)
        try:
            text = translation.text(rule.criteria, Reading(moment, rule.rule))
            everything_told = all(column.known.all() for column in translation.columns)
        except KeyError:
            everything_told = False
        if not everything_told:
            translation.names, translation.columns = names, columns
            continue
        keys.append(key)
        texts.append(text if rule.national else f"({text} and town >= 130000 and town < 140000)")
    return keys, f"[{', '.join(texts)}]", {name: translation.columns[int(name[1:])] for name in translation.names.values()}


def with_zen(registry, rulebook, documents):
    """Our own rules by zen, one record per child, all programmes in one expression."""
    population = Population.from_documents(documents, registry.facts)
    moment = Moment.on(population, ON)
    keys, expression, columns = translated(rulebook, moment)
    household = population.people["child"].household
    told = {"town": moment.codes()[household], **{name: column.values for name, column in columns.items()}}
    records = [dict(zip(told, map(int, row), strict=True)) for row in zip(*told.values(), strict=True)]
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "records.json", Path(folder) / "results.json"
        source.write_text(json.dumps({"expression": expression, "records": records}), encoding="utf-8")
        theirs = ask("with_zen.py", source, target)
        found = np.array(json.loads(target.read_text()))
    seconds = float("inf")
    for _ in range(RUNS):
        start = time.perf_counter()
        fresh = Moment.on(population, ON)
        ours = {key: people_criteria(rulebook.on(key, ON), fresh) for key in keys}
        seconds = min(seconds, time.perf_counter() - start)
    differing = {
        key: wrong for position, key in enumerate(keys) if (wrong := int(((ours[key] == YES) != found[:, position]).sum()))
    }
    count = len(records) * len(keys)
    return {
        "bench": "beside zen", "children": len(records), "programmes": len(keys),
        "evaluations_per_second": round(count / seconds), "zen_evaluations_per_second": round(count / theirs["seconds"]),
        "times_zen": round(theirs["seconds"] / seconds, 1), "differences": differing,
    }


def people_criteria(rule, moment):
    """A rule's criteria within its area, for every child: what zen is asked too."""
    verdicts = people_verdicts(rule.criteria, "child", Reading(moment, rule.rule))
    return verdicts if rule.national else np.minimum(verdicts, moment.lift(rule.covered(moment), "child"))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("households", nargs="?", type=int, default=60_000)
    count = parser.parse_args().households
    registry = load_registry(ROOT / "registry_data")
    rulebook = Rulebook.compile(registry.versions, registry.facts, registry.parameters)
    documents = list(known_families(count))
    results = [with_openfisca(registry, rulebook, documents), with_zen(registry, rulebook, documents)]
    for result in results:
        print(json.dumps(result, ensure_ascii=False))
    return 0 if results[0]["equal_but_for_known_reasons"] and not results[1]["differences"] else 1


if __name__ == "__main__":
    sys.exit(main())
