"""How long a campaign takes from due rights to queued messages: announce, next to COPY of as many delivery rows.

    python -m tests.bench.planning --households 100000

It starts its own PostgreSQL (durable, as in production) and Valkey, publishes the registry, enrols as many families
with consent and an e-mail address, and stores for each of them one right that is due: a programme's, as matching stored
it for the first of them. Then one process announces: it plans new supports and reminders, renders and seals a mail for
each family and queues it. The pace of desks is counted, with places for all. Prints one JSON line.
"""

import argparse
import datetime as dt
import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

from sqlalchemy import text

from app.households.enrolment import Enrolment, enrol
from app.matching.sweep import drain
from app.notices.announce import announce
from app.platform import clock
from app.platform.database import owner_session
from app.platform.settings import settings
from app.registry.loading import load_registry
from app.registry.versions import publish
from tests.bench.delivery import installation

PROGRAMME = "000000/child-allowance"
MUNICIPALITY = "131121"
ENROLLED_AT_ONCE = 1_000
DAY = dt.date(2026, 11, 24)
_FAMILY = {
    "municipality": MUNICIPALITY,
    "guardians": [{"id": "g1"}],
    "children": [{"id": "c1", "birth_date": "2026-11-12"}],
}
_COLUMNS = (
    "municipality_code, programme_key, programme_version, subject, verdict, valid_from, valid_until, announce_on,"
    " deadline_on, review_on, answer, evaluated_at"
)


def prepare(households: int) -> None:
    """Publish, enrol, and give every family the same one right, due today."""
    with owner_session() as session:
        publish(session, load_registry(settings().registry_directory), clock.now())
        session.commit()
    _enrol(1)
    drain()
    with owner_session() as session:
        session.execute(text("DELETE FROM entitlements WHERE programme_key <> :key"), {"key": PROGRAMME})
        session.execute(text("DELETE FROM changes"))
        session.commit()
    for start in range(1, households, ENROLLED_AT_ONCE):
        _enrol(min(ENROLLED_AT_ONCE, households - start))
    with owner_session() as session:
        session.execute(text("DELETE FROM changes"))
        session.execute(
            text(
                f"INSERT INTO entitlements (id, household_id, {_COLUMNS}) SELECT gen_random_uuid(), h.id,"
                f" {', '.join('e.' + name.strip() for name in _COLUMNS.split(','))} FROM entitlements e"
                " CROSS JOIN households h WHERE h.id <> e.household_id"
            )
        )
        session.commit()
        session.execute(text("ANALYZE"))
        session.commit()


def _enrol(count: int) -> None:
    with owner_session() as session:
        purposes = ("matching:basic", "channel:email")
        contacts = (("email", "family@home.example"),)
        enrol(session, [Enrolment(_FAMILY, purposes=purposes, contacts=contacts) for _ in range(count)])
        session.commit()


def copy_seconds() -> float:
    """Return how long it takes to COPY the queued rows once more, into a table with the same indexes."""
    with owner_session() as session:
        session.execute(text("CREATE TABLE plain (LIKE deliveries INCLUDING ALL)"))
        session.commit()
        with tempfile.TemporaryFile() as rows:
            connection = session.connection().connection.driver_connection
            assert connection is not None
            with connection.cursor() as cursor, cursor.copy("COPY deliveries TO STDOUT (FORMAT binary)") as copy:
                for block in copy:
                    rows.write(block)
            rows.seek(0)
            began = time.perf_counter()
            with connection.cursor() as cursor, cursor.copy("COPY plain FROM STDIN (FORMAT binary)") as copy:
                while block := rows.read(1 << 20):
                    copy.write(block)
            session.commit()
            return time.perf_counter() - began


def count(table: str) -> int:
    """Return how many rows there are."""
    with owner_session() as session:
        return int(session.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


def run(households: int) -> dict[str, object]:
    """Prepare and measure."""
    prepare(households)
    began = time.perf_counter()
    done = announce(MUNICIPALITY)
    seconds = time.perf_counter() - began
    notices, deliveries = count("notices"), count("deliveries")
    if (done.households, deliveries) != (households, households):
        raise SystemExit(f"found {done.households} households and {deliveries} deliveries; expected {households}")
    copying = copy_seconds()
    return {
        "bench": "planning",
        "households": households,
        "notices": notices,
        "deliveries": deliveries,
        "seconds": round(seconds, 2),
        "notices_per_second": round(notices / seconds, 1),
        "deliveries_per_second": round(deliveries / seconds, 1),
        "copy_of_as_many_deliveries_seconds": round(copying, 3),
        "times_the_copy": round(seconds / copying, 1),
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def main() -> int:
    """Run in an installation of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--households", type=int, default=100_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="todoke-bench-") as directory:
        os.environ["TODOKE_CLOCK__OFFSET_FILE"] = str(Path(directory) / "offset")
        os.environ["TODOKE_NOTICES__DESK_PACE"] = json.dumps([10**9] * 7)
        with installation():
            clock.shift_to(clock.at_japan_time(DAY, 10))
            print(json.dumps(run(options.households)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
