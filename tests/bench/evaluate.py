"""How fast all programmes are evaluated on many households, next to the same rules written by hand in numpy.

    python -m tests.bench.evaluate [households]

A million households unless told otherwise, generated, read and judged in parts of 50,000, so that memory stays bounded.
Both run on the same documents in this process, in turn, on one thread; the best of several runs of each part counts,
and every verdict of every part is compared. Then two forked processes judge two parts at the same time (processes, not
threads: between numpy's calls Python holds its lock). Prints one JSON line; exits 1 if a verdict differs.
"""

import argparse
import datetime as dt
import json
import multiprocessing
import resource
import sys
import time
from itertools import islice
from pathlib import Path

import numpy as np

from app.households.synthetic import synthetic_households
from app.registry.loading import load_registry
from app.rules.evaluate import evaluate
from app.rules.inquiry import entitlements
from app.rules.population import Population
from tests.bench import reference

ON = dt.date(2026, 11, 24)
PART = 50_000
RUNS = 5
PROCESSES = 2


def race(one, other):
    """The quickest of several runs of each, taken in turn so that both meet the same machine: (seconds, result) twice."""
    seconds, results = [float("inf"), float("inf")], [None, None]
    for _ in range(RUNS):
        for place, work in enumerate((one, other)):
            start = time.perf_counter()
            results[place] = work()
            seconds[place] = min(seconds[place], time.perf_counter() - start)
    return (seconds[0], results[0]), (seconds[1], results[1])


def limits(parameters, on):
    """The parameters in force on a day, as the hand-written rules take them: a number, or (rows, step or None)."""
    found = {}
    for name in reference.LIMITS:
        period = parameters[name].on(on)
        step = None if period.beyond in (None, "same", "unknown") else int(period.beyond.step)
        rows = None if period.table is None else [int(row) for row in period.table]
        found[name] = int(period.value) if rows is None else (rows, step)
    return found


def differences(found, expected):
    """Programmes that only one side has, and how many verdicts of a programme differ."""
    missing = dict.fromkeys(sorted(set(found) ^ set(expected)), "only one side has it")
    both = [key for key in found if key in expected]
    wrong = {
        key: "different sizes" if len(found[key]) != len(expected[key]) else int((found[key] != expected[key]).sum())
        for key in both if not np.array_equal(found[key], expected[key])}
    return missing | wrong


class Parts:
    """Households generated in parts: a population, and the same documents as the hand-written rules read them."""

    def __init__(self, registry, count):
        self.registry, self.documents = registry, synthetic_households(count, on=ON)
        self.generating = self.building = 0.0

    def __iter__(self):
        while True:
            start = time.perf_counter()
            documents = list(islice(self.documents, PART))
            generated = time.perf_counter()
            if not documents:
                return
            population = Population.from_documents(documents, self.registry.facts)
            self.generating += generated - start
            self.building += time.perf_counter() - generated
            yield population, reference.Households(documents, ON)


def together(rulebook, populations):
    """Seconds until two processes that start together have each judged a population, and households × programmes."""
    context = multiprocessing.get_context("fork")
    gate, answers = context.Barrier(len(populations)), context.SimpleQueue()

    def judge(population):
        best = float("inf")
        for _ in range(RUNS):
            gate.wait()
            start = time.perf_counter()
            found = evaluate(rulebook, population, ON)
            best = min(best, time.perf_counter() - start)
        answers.put((best, population.size * len(found)))

    workers = [context.Process(target=judge, args=(population,)) for population in populations]
    for worker in workers:
        worker.start()
    told = [answers.get() for _ in workers]
    for worker in workers:
        worker.join()
    return max(seconds for seconds, _ in told), sum(number for _, number in told)


def measure(count):
    """Everything the bench prints."""
    registry = load_registry(Path(__file__).parents[2] / "registry_data")
    rulebook, tables, parts = registry.rulebook, limits(registry.parameters, ON), Parts(registry, count)
    seconds = reference_seconds = first = paired_seconds = 0.0
    evaluations = paired = 0
    wrong, waiting, periods = {}, [], None
    for population, by_hand in parts:
        start = time.perf_counter()
        evaluate(rulebook, population, ON)
        first += time.perf_counter() - start
        (quickest, found), (by_hand_quickest, expected) = race(
            lambda population=population: evaluate(rulebook, population, ON),
            lambda by_hand=by_hand: reference.verdicts(by_hand, ON, tables))
        seconds, reference_seconds = seconds + quickest, reference_seconds + by_hand_quickest
        evaluations += population.size * len(found)
        wrong |= differences(found, expected)
        if periods is None:
            periods = measure_periods(rulebook, population)
        waiting.append(population)
        if len(waiting) == PROCESSES:
            took, judged = together(rulebook, waiting)
            paired_seconds, paired, waiting = paired_seconds + took, paired + judged, []
    return {
        "bench": "evaluate", "households": count, "programmes": len(found), "part": PART,
        "seconds": round(seconds, 4), "first_seconds": round(first, 4),
        "reference_seconds": round(reference_seconds, 4), "ratio": round(seconds / reference_seconds, 2),
        "evaluations_per_second": round(evaluations / seconds), "processes": PROCESSES,
        "evaluations_per_second_of_all": round(paired / paired_seconds) if paired else None,
        "generating_seconds": round(parts.generating, 2), "building_seconds": round(parts.building, 2), **periods,
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "equal": not wrong, "differences": wrong,
    }  # fmt: skip


def measure_periods(rulebook, population):
    """The periods of all programmes on one part."""
    start = time.perf_counter()
    periods = entitlements(rulebook, population, ON)
    return {
        "entitlements_households": population.size,
        "entitlements_seconds": round(time.perf_counter() - start, 2),
        "periods": sum(len(part) for part in periods.values()),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("households", nargs="?", type=int, default=1_000_000)
    count = parser.parse_args().households
    if count < 1:
        parser.error(f"found {count} households; expected at least one")
    result = measure(count)
    print(json.dumps(result, ensure_ascii=False))
    return 0 if result["equal"] else 1


if __name__ == "__main__":
    sys.exit(main())
