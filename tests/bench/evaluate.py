"""How fast all programmes are evaluated on many households, next to the same rules written by hand in numpy.

    python -m tests.bench.evaluate [households]

Both run in this process on the same documents, one after the other, the best of several runs each; every verdict is
compared. Prints one JSON line; exits 1 if a verdict differs.
"""

import argparse
import datetime as dt
import json
import sys
import time
from pathlib import Path

import numpy as np

from app.households.synthetic import synthetic_households
from app.registry.loading import load_registry
from app.rules.evaluate import Rulebook, evaluate
from app.rules.inquiry import entitlements
from app.rules.population import Population
from tests.bench import reference_numpy

ON = dt.date(2026, 11, 24)
RUNS = 9


def race(one, other):
    """The quickest of several runs of each, taken in turn so that both meet the same machine: (seconds, result) twice."""
    seconds, results = [float("inf"), float("inf")], [None, None]
    for _ in range(RUNS):
        for place, work in enumerate((one, other)):
            start = time.perf_counter()
            results[place] = work()
            seconds[place] = min(seconds[place], time.perf_counter() - start)
    return (seconds[0], results[0]), (seconds[1], results[1])


def limits(parameters):
    """The tables in force on the day, as the hand-written rules take them."""
    def table(name):
        period = parameters[name].on(ON)
        return [int(row) for row in period.table], int(period.beyond.step)

    def number(name):
        return int(parameters[name].on(ON).value)

    return {
        "partial": table("child-rearing-allowance-partial-limit"),
        "supporter": table("child-rearing-allowance-supporter-limit"),
        "supporter-least": number("child-rearing-allowance-supporter-least-limit"),
        "special": table("special-child-rearing-allowance-limit"),
        "special-supporter": table("special-child-rearing-allowance-supporter-limit"),
        "special-least": number("special-child-rearing-allowance-supporter-least-limit"),
        "development": table("child-development-allowance-limit"),
        "replaced": False,
    }


def measure(count):
    """Everything the bench prints."""
    registry = load_registry(Path(__file__).parents[2] / "registry_data")
    rulebook = Rulebook.compile(registry.versions, registry.facts, registry.parameters)
    documents = list(synthetic_households(count, on=ON))
    start = time.perf_counter()
    population = Population.from_documents(documents, registry.facts)
    building = time.perf_counter() - start
    by_hand = reference_numpy.read(documents)
    tables = limits(registry.parameters)
    start = time.perf_counter()
    evaluate(rulebook, population, ON)
    first = time.perf_counter() - start
    (seconds, found), (reference_seconds, expected) = race(
        lambda: evaluate(rulebook, population, ON), lambda: reference_numpy.verdicts(by_hand, ON, tables))
    wrong = {key: int((found[key] != expected[key]).sum()) for key in found if not np.array_equal(found[key], expected[key])}
    missing = sorted(set(found) ^ set(expected))
    start = time.perf_counter()
    periods = entitlements(rulebook, population, ON)
    periods_seconds = time.perf_counter() - start
    programmes = len(found)
    return {
        "bench": "evaluate", "households": count, "programmes": programmes,
        "seconds": round(seconds, 4), "first_seconds": round(first, 4),
        "reference_seconds": round(reference_seconds, 4), "ratio": round(seconds / reference_seconds, 2),
        "evaluations_per_second": round(count * programmes / seconds),
        "building_seconds": round(building, 2), "entitlements_seconds": round(periods_seconds, 2),
        "periods": sum(len(part) for part in periods.values()), "equal": not wrong and not missing,
        "differences": wrong, "not_in_both": missing,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("households", nargs="?", type=int, default=100_000)
    result = measure(parser.parse_args().households)
    print(json.dumps(result, ensure_ascii=False))
    return 0 if result["equal"] else 1


if __name__ == "__main__":
    sys.exit(main())
