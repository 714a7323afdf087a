"""How fast answers are worked out, beside references in the same run.

    python -m tests.bench.answers [households]

Prints one JSON line for each: `todoke check` on JSON lines, one household with every explanation, the impact of one
programme taken away (beside one plain evaluation of it, counts compared), timelines (beside plain evaluations of
every day, extrapolated from one).
"""

import argparse
import datetime as dt
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import orjson

from app.calendar.day_numbers import number_of
from app.cli.answers import phrases_of
from app.households.synthetic import synthetic_households
from app.registry.loading import load_registry
from app.rules.details import Detail
from app.rules.evaluate import Rulebook, evaluate
from app.rules.impact import impact
from app.rules.inquiry import answers_on
from app.rules.population import Population
from app.rules.timeline import timeline

ON = dt.date(2026, 11, 24)
REGISTRY_DATA = Path(__file__).parents[2] / "registry_data"
EDITED = "131121/birth-cost-grant"


def best(work, runs=5):
    """The quickest of several runs: (seconds, result)."""
    quickest, result = float("inf"), None
    for _ in range(runs):
        start = time.perf_counter()
        result = work()
        quickest = min(quickest, time.perf_counter() - start)
    return quickest, result


def check(documents):
    """`todoke check` on JSON lines, in its own process with its two workers."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "households.jsonl"
        path.write_bytes(b"".join(orjson.dumps(document) + b"\n" for document in documents))
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        start = time.perf_counter()
        command = [sys.executable, "-m", "app.cli", "check", str(path), "--on", str(ON), "--json"]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            size, lines = 0, 0
            while part := process.stdout.read(1 << 20):
                size, lines = size + len(part), lines + part.count(b"\n")
        wall = time.perf_counter() - start
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert (process.returncode, lines) == (0, len(documents))
    return {
        "bench": "check",
        "households": lines,
        "seconds": round(wall, 1),
        "cpu_seconds": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1),
        "peak_mib_of_one_process": round(after.ru_maxrss / 1024),
        "output_mb": round(size / 1e6),
        "load_before": round(os.getloadavg()[0], 1),
    }


def one_household(registry, document):
    """Every programme for one household: answers with reasons, and the whole tree of every row."""
    phrases = phrases_of(registry, "ja")

    def work():
        population = Population.from_documents([document], registry.facts)
        answers_on(registry.rulebook, population, ON, list(registry.rulebook), phrases)
        detail = Detail(registry.rulebook, population, 0, ON)
        trees = 0
        for key in registry.rulebook:
            rule = registry.rulebook.on(key, ON)
            for row in range(0 if rule is None else population.people[rule.subject].size):
                detail.explanation(key, row, phrases)
                trees += 1
        return trees

    seconds, trees = best(work)
    return {
        "bench": "one household",
        "programmes": len(registry.rulebook),
        "trees": trees,
        "ms": round(seconds * 1e3, 1),
    }


def edited(registry, population):
    """One programme is taken away, beside a plain evaluation of it: everybody loses it who had it."""
    before = registry.rulebook
    rules = [rule for rule in registry.versions if rule.key != EDITED]
    after = Rulebook.compile(rules, registry.facts, registry.parameters)
    seconds, found = best(lambda: impact(before, after, EDITED, population, ON))
    rule = before.on(EDITED, ON)

    def by_hand():
        return int((evaluate(before, population, ON, [EDITED])[EDITED] == 2).sum())

    reference, lost = best(by_hand)
    assert rule is not None
    assert len(found.loses) == lost
    return {
        "bench": "impact",
        "households": population.size,
        "ms": round(seconds * 1e3, 1),
        "reference_ms": round(reference * 1e3, 1),
        "loses": lost,
        "yen": found.yen,
    }


def timelines(registry, population):
    """All programmes over twenty-five months, beside one plain evaluation for each day on which a period begins."""
    last = ON.replace(year=ON.year + 2, month=12)
    seconds, found = best(lambda: timeline(registry.rulebook, population, ON, last), 1)
    per_row = max(float(np.bincount(periods.row).mean()) for periods in found.values() if len(periods))
    plain, _ = best(lambda: evaluate(registry.rulebook, population, ON), 3)
    days = number_of(last) - number_of(ON) + 1
    return {
        "bench": "timelines",
        "households": population.size,
        "programmes": len(found),
        "seconds": round(seconds, 2),
        "periods": sum(map(len, found.values())),
        "most_periods_a_row": round(per_row, 2),
        "reference_day_by_day_seconds": round(plain * days, 1),
        "one_day_seconds": round(plain, 3),
        "times_one_day": round(seconds / plain, 1),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("households", nargs="?", type=int, default=100_000)
    count = parser.parse_args().households
    registry = load_registry(REGISTRY_DATA)
    documents = list(synthetic_households(count, on=ON))
    print(json.dumps(check(documents)), flush=True)
    print(json.dumps(one_household(registry, documents[0])), flush=True)
    population = Population.from_documents(documents, registry.facts)
    print(json.dumps(edited(registry, population)), flush=True)
    print(json.dumps(timelines(registry, population)), flush=True)


if __name__ == "__main__":
    main()
