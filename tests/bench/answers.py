"""How fast answers are worked out, beside references in the same run.

    python -m tests.bench.answers [households]

Prints one JSON line for each: `todoke check` on JSON lines (beside reading the same lines and writing as many bytes),
one household with every explanation, the impact of one limit that is edited (beside the programme by hand in numpy
before and after, counts compared), timelines (beside plain evaluations: as many as there are days on which something
changes for a household, and one).
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
from tests.bench.evaluate import limits
from tests.bench.reference import Households, tokyo
from tests.bench.reference.asked import YES, Asked, both

ON = dt.date(2026, 11, 24)
REGISTRY_DATA = Path(__file__).parents[2] / "registry_data"
EDITED, LOWERED = "130001/exam-challenge-loan", 3_000_000


def best(work, runs=5):
    """The quickest of several runs: (seconds, result)."""
    quickest, result = float("inf"), None
    for _ in range(runs):
        start = time.perf_counter()
        result = work()
        quickest = min(quickest, time.perf_counter() - start)
    return quickest, result


COPY = """
import sys, orjson
size, out = int(sys.argv[2]), sys.stdout.buffer
with open(sys.argv[1], "rb") as lines:
    for line in lines:
        orjson.loads(line)
        out.write(bytes(size))
"""


def check(documents):
    """`todoke check` on JSON lines, in its own process with its two workers, beside a process that only copies."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "households.jsonl"
        path.write_bytes(b"".join(orjson.dumps(document) + b"\n" for document in documents))
        told = printed([sys.executable, "-m", "app.cli", "check", str(path), "--on", str(ON), "--json"])
        assert told["lines"] == len(documents)
        copied = printed([sys.executable, "-c", COPY, str(path), str(told["size"] // len(documents))])
    return {
        "bench": "check",
        "households": len(documents),
        "seconds": round(told["wall"], 1),
        "cpu_seconds": round(told["cpu"], 1),
        "cpu_ms_of_one_household": round(told["cpu"] / len(documents) * 1e3, 3),
        "reference_cpu_seconds": round(copied["cpu"], 1),
        "ratio": round(told["cpu"] / copied["cpu"], 1),
        "peak_mib_of_one_process": told["peak"],
        "output_mb": round(told["size"] / 1e6),
        "load_before": round(os.getloadavg()[0], 1),
    }


def printed(command):
    """What a command prints and takes, with its children: lines, bytes, seconds, seconds of processors, peak in MiB."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        size, lines = 0, 0
        while part := process.stdout.read(1 << 20):
            size, lines = size + len(part), lines + part.count(b"\n")
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert process.returncode == 0
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"lines": lines, "size": size, "wall": wall, "cpu": cpu, "peak": round(after.ru_maxrss / 1024)}


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


def edited(registry, population, documents):
    """One limit is lowered, beside the programme by hand with either limit: the same families gain and lose."""
    before = registry.rulebook
    rules = [lowered(rule) if rule.key == EDITED else rule for rule in registry.versions]
    after = Rulebook.compile(rules, registry.facts, registry.parameters, registry.replacements)
    seconds, found = best(lambda: impact(before, after, EDITED, population, ON))
    households, tables = Households(documents, ON), limits(registry.parameters, ON)

    def entitled(deposits):
        asked = Asked(households, ON, {**tables, "exam-challenge-deposits-limit": deposits})
        return both(tokyo.money(asked)[EDITED.split("/")[1]], asked.child_in_tokyo) == YES

    def by_hand():
        old, new = entitled(tables["exam-challenge-deposits-limit"]), entitled(LOWERED)
        return int((new & ~old).sum()), int((old & ~new).sum())

    reference, (gains, loses) = best(by_hand)
    assert (len(found.gains), len(found.loses)) == (gains, loses)
    assert loses
    return {
        "bench": "impact",
        "households": population.size,
        "ms": round(seconds * 1e3, 1),
        "reference_ms": round(reference * 1e3, 1),
        "ratio": round(seconds / reference, 2),
        "gains": gains,
        "loses": loses,
    }


def lowered(rule):
    """The programme with a number of yen in the place of the limit of deposits."""
    tests = [
        one.model_copy(update={"at_most": LOWERED}) if getattr(one, "fact", "") == "household.deposits" else one
        for one in rule.criteria.all
    ]
    return rule.model_copy(update={"criteria": rule.criteria.model_copy(update={"all": tuple(tests)})})


def timelines(registry, population):
    """All programmes over twenty-five months, beside plain evaluations on the days on which something changes."""
    last = ON.replace(year=ON.year + 2, month=12)
    seconds, found = best(lambda: timeline(registry.rulebook, population, ON, last), 1)
    plain, _ = best(lambda: evaluate(registry.rulebook, population, ON), 3)
    changes = [
        periods.households(population)[later] * 2**32 + periods.first[later]
        for periods in found.values()
        for later in [periods.first > number_of(ON)]
    ]
    edges = len(np.unique(np.concatenate(changes))) / population.size
    reference = plain * (edges + 1)
    return {
        "bench": "timelines",
        "households": population.size,
        "programmes": len(found),
        "seconds": round(seconds, 2),
        "periods": sum(map(len, found.values())),
        "days_of_change": round(edges, 2),
        "one_day_seconds": round(plain, 3),
        "reference_seconds": round(reference, 2),
        "ratio": round(seconds / reference, 2),
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
    print(json.dumps(edited(registry, population, documents)), flush=True)
    print(json.dumps(timelines(registry, population)), flush=True)


if __name__ == "__main__":
    main()
