"""How long one published programme takes to be stored for everybody, next to storing as many rows and nothing else.

    python -m tests.bench.publishing --households 100000 --workers 2

It starts its own PostgreSQL (durable, as in production) and Valkey, publishes the registry, loads generated households
with consents, starts real worker processes, publishes one programme again and waits until its sweep is complete: from
the commit to the last stored entitlement. Then as many rows are stored in the plainest way: COPY into a temporary table
and INSERT … SELECT into a table with the same indexes, in one transaction. At last a few thousand changed households
are evaluated together for every programme: timed from the first look to the last row stored, and with the wait for
the workers, who plan the notices of the sweep first. Prints one JSON line.

Loading takes a minute or two for each 100,000 households on a machine that does nothing else. On disk they take a
gigabyte, and twice that while the reference is measured; that of a million families wants 20 GB free.
"""

import argparse
import contextlib
import datetime as dt
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import NullPool

from app.cli.options import load_tables
from app.households.synthetic import synthetic_households
from app.platform import bell, clock
from app.platform.change_queue import programme_changed
from app.platform.database import owner_session
from app.platform.identifiers import new_id
from app.registry.loading import load_registry
from app.registry.versions import publish
from tests.bench.delivery import installation

PROGRAMME = "000000/child-allowance"
PURPOSES = ("basic", "income", "disability_health", "single_parent", "school")
PART = 5_000
CHANGED = 2_000
BEAT_SECONDS = 5.0
POLL_SECONDS = 0.1
_UNCHANGED = hashlib.sha256(b"bench").hexdigest()


@contextlib.contextmanager
def workers(count: int) -> Iterator[subprocess.Popen[bytes]]:
    """Celery's worker with so many processes, which match."""
    command = [sys.executable, "-m", "celery", "-A", "workers.celery_app", "worker", "-Q", "work"]
    command += ["--pool", "prefork", "--concurrency", str(count), "--loglevel", "WARNING"]
    with subprocess.Popen(command) as process:
        try:
            yield process
        finally:
            process.terminate()
            process.wait(60)


def load(count: int, on: dt.date, admin_url: str) -> None:
    """Write generated households with their consents, part by part, as the administrator: COPY knows no row security."""
    documents = synthetic_households(count, on=on)
    now = clock.now().isoformat()
    with create_engine(admin_url, poolclass=NullPool).connect() as connection:
        while part := list(islice(documents, PART)):
            _load_part(connection, part, now)
            connection.commit()
        connection.execute(text("ANALYZE"))
        connection.commit()


def _load_part(connection: Connection, part: list[dict[str, Any]], now: str) -> None:
    homes = [(str(new_id()), document["municipality"], document) for document in part]
    _copy(connection, "households (id, municipality_code, consent_epoch, stopped_subjects)",
          (f"{one}\t{code}\t0\t{{}}\n" for one, code, _ in homes))  # fmt: skip
    _copy(connection, "household_documents (household_id, municipality_code, document, version)",
          (f"{one}\t{code}\t{_told(document)}\t1\n" for one, code, document in homes))  # fmt: skip
    _copy(
        connection,
        "consents (id, household_id, municipality_code, purpose, recipient, items, text_version, text_language,"
        " text_sha256, source, given_by, on_behalf_of, state, starts_at, withdrawal)",
        (
            f"{new_id()}\t{one}\t{code}\tmatching:{purpose}\ttodoke\t[]\t1\tja\t{_UNCHANGED}\timport\tguardian:g1"
            f"\t[]\tgiven\t{now}\t/consent\n"
            for one, code, _ in homes for purpose in PURPOSES
        ),
    )  # fmt: skip


def _told(document: dict[str, Any]) -> str:
    stored = {key: value for key, value in document.items() if key != "id"}
    return orjson.dumps(stored).decode().replace("\\", "\\\\")


def _copy(connection: Connection, target: str, lines: Iterator[str]) -> None:
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(f"COPY {target} FROM STDIN") as copy:
        copy.write("".join(lines))


def one(statement: str, **values: Any) -> Any:
    """Return one value as the owner sees it."""
    with owner_session() as session:
        return session.execute(text(statement), values).scalar_one()


class Watch:
    """The worker's processes and the most memory that any of them held."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._peaks: dict[int, int] = {}

    def until(self, done: Callable[[], bool]) -> float:
        """Ring as beat does until something is done; return the seconds it took."""
        started, rung = time.monotonic(), float("-inf")
        while not done():
            if self._process.poll() is not None:
                raise RuntimeError("the worker ended; its own messages say why")
            if time.monotonic() - rung >= BEAT_SECONDS:
                bell.ring(bell.MATCH)
                rung = time.monotonic()
            self.look()
            time.sleep(POLL_SECONDS)
        self.look()
        return time.monotonic() - started

    def look(self) -> None:
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        for pid in map(int, children):
            with contextlib.suppress(OSError):
                status = Path(f"/proc/{pid}/status").read_text()
                peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
                self._peaks[pid] = int(peak.split()[1]) // 1024

    @property
    def peaks_mb(self) -> list[int]:
        return sorted(self._peaks.values(), reverse=True)


def change(count: int) -> None:
    """Queue some households of all towns, as if each had told something new."""
    with owner_session() as session:
        session.execute(
            text(
                "INSERT INTO changes (household_id, municipality_code, reader, reason)"
                " SELECT id, municipality_code, 'matching', 'bench' FROM households ORDER BY md5(id::text) LIMIT :count"
            ),
            {"count": count},
        )
        session.commit()


def nothing_changed() -> bool:
    return not one("SELECT EXISTS (SELECT FROM changes WHERE reader = 'matching')")


def sweep_complete() -> bool:
    return bool(one("SELECT count(*) FROM sweeps WHERE state = 'complete'"))


def publish_programme(key: str) -> None:
    with owner_session() as session:
        programme_changed(session, key, "published")
        session.commit()


def reference_seconds(directory: Path) -> float:
    """Store the same rows once more, in the plainest way."""
    file = directory / "rows"
    with owner_session() as session:
        driver: Any = session.connection().connection.driver_connection
        with driver.cursor() as cursor, file.open("wb") as sink, cursor.copy("COPY entitlements TO STDOUT") as copy:
            for block in copy:
                sink.write(block)
        session.execute(text("CREATE TABLE reference_rows (LIKE entitlements INCLUDING ALL)"))
        session.commit()
        started = time.monotonic()
        session.execute(text("CREATE TEMPORARY TABLE copied (LIKE entitlements) ON COMMIT DROP"))
        driver = session.connection().connection.driver_connection
        with driver.cursor() as cursor, file.open("rb") as rows, cursor.copy("COPY copied FROM STDIN") as copy:
            while block := rows.read(1 << 20):
                copy.write(block)
        session.execute(text("INSERT INTO reference_rows SELECT * FROM copied"))
        session.commit()
        return time.monotonic() - started


def measure(households: int, processes: int, programme: str) -> dict[str, Any]:
    """Everything the bench prints."""
    load_tables()
    with tempfile.TemporaryDirectory(prefix="todoke-bench-rows-") as directory, installation() as servers:
        with owner_session() as session:
            publish(session, load_registry(Path(__file__).parents[2] / "registry_data"), clock.now())
            session.execute(text("DELETE FROM changes"))
            session.commit()
        started = time.monotonic()
        load(households, clock.today(), servers.database_url("postgres", "bench"))
        loading = time.monotonic() - started
        with workers(processes) as process:
            watch = Watch(process)
            change(processes)
            watch.until(nothing_changed)  # the workers have started and compiled the rules
            with owner_session() as session:
                session.execute(text("DELETE FROM entitlements"))
                session.execute(text("DELETE FROM changes"))
                session.commit()
            publish_programme(programme)
            seconds = watch.until(sweep_complete)
            rights, shards = one("SELECT count(*) FROM entitlements"), one("SELECT count(*) FROM sweep_shards")
            chunks = one("SELECT count(*) FROM evaluation_runs WHERE reason = 'published'")
            looked_at = one("SELECT sum(households) FROM sweep_shards")
            assert looked_at == households, f"looked at {looked_at} of {households}"
            plain = reference_seconds(Path(directory))
            changed = min(CHANGED, households)
            change(changed)
            changed_seconds = watch.until(nothing_changed)
            matching_seconds = one(
                "SELECT extract(epoch FROM max(finished_at) - min(started_at)) FROM evaluation_runs"
                " WHERE reason = 'changed' AND started_at > (SELECT max(finished_at) FROM evaluation_runs"
                "   WHERE reason = 'published')"
            )
        return {
            "bench": "publishing",
            "households": households,
            "workers": processes,
            "cores": os.cpu_count(),
            "programme": programme,
            "rights": rights,
            "shards": shards,
            "chunks": chunks,
            "loading_seconds": round(loading, 1),
            "database_mb": one("SELECT pg_database_size(current_database()) / 1000000"),
            "seconds": round(seconds, 2),
            "reference_seconds": round(plain, 2),
            "ratio": round(seconds / plain, 2),
            "households_per_second": round(households / seconds),
            "peak_rss_mb": watch.peaks_mb,
            "changed_households": changed,
            "changed_seconds": round(changed_seconds, 2),
            "changed_matching_seconds": round(float(matching_seconds), 2),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--households", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--programme", default=PROGRAMME)
    asked = parser.parse_args()
    if asked.households < 1 or asked.workers < 1:
        parser.error(f"found {asked.households} households and {asked.workers} workers; expected at least one of each")
    print(json.dumps(measure(asked.households, asked.workers, asked.programme)))


if __name__ == "__main__":
    main()
