"""One expression evaluated by GoRules zen for each record; run in a virtual environment of its own by
`tests.bench.others`.

    python with_zen.py RECORDS.json RESULTS.json

RECORDS holds {"expression": text, "records": [{…}, …]}; the expression is a list with one verdict per programme.
Prints one JSON line with seconds; writes the verdicts.
"""

import json
import sys
import time
from pathlib import Path

import zen


def main():
    source, target = map(Path, sys.argv[1:])
    given = json.loads(source.read_text(encoding="utf-8"))
    start = time.perf_counter()
    expression = zen.compile_expression(given["expression"])
    compiling = time.perf_counter() - start
    start = time.perf_counter()
    found = [expression.evaluate(record) for record in given["records"]]
    working = time.perf_counter() - start
    target.write_text(json.dumps(found))
    print(json.dumps({"compile_seconds": compiling, "seconds": working}))


if __name__ == "__main__":
    main()
