"""How many webhooks one worker process delivers: claim, sign, send, record, next to bare loops in the same run.

    python -m tests.bench.delivery

It starts its own PostgreSQL (durable, as in production), Valkey and receiver, enqueues notices' events for as many
households, commits and rings once, and prints one JSON line. Afterwards the receiver must hold exactly the ids that
were enqueued, every one verified, none twice. Rounds alternate with the bare loop, so that a busy machine slows both.
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
from sqlalchemy import text
from sqlmodel import insert

from app.delivery.outbox import Gate, WebhookMessage, enqueue_all
from app.delivery.queues import live_queues
from app.households.tables import Household
from app.partners.tables import Partner, PartnerEndpoint
from app.platform import bell, clock, schema
from app.platform.database import dispose_engines, owner_session, worker_session
from app.platform.embedded import EmbeddedServers
from app.platform.identifiers import new_id
from app.platform.sealing import generate_key, seal
from app.platform.settings import settings
from tests.bench.loops import BODY_BYTES, BenchReceiver, bare_aiohttp, bare_httpx, bodies, receiver_process

GIVE_UP_SECONDS = 120
ROUNDS = 9
HTTPX_BODIES = 1500
_STATES = text("SELECT state, count(*) AS count FROM deliveries WHERE dedupe_key LIKE :prefix GROUP BY state")


@contextlib.contextmanager
def installation() -> Iterator[EmbeddedServers]:
    """Servers, a migrated database and settings that point at them, for this process and its children."""
    with tempfile.TemporaryDirectory(prefix="todoke-bench-") as directory, EmbeddedServers(Path(directory)) as servers:
        schema.prepare_roles(servers.database_url("postgres"))
        schema.prepare_database(servers.database_url("postgres"), "bench")
        schema.upgrade(servers.database_url("todoke_owner", "bench"))
        os.environ.update(
            {
                "TODOKE_DATABASE__URL": servers.database_url("todoke_app", "bench"),
                "TODOKE_DATABASE__WORKER_URL": servers.database_url("todoke_worker", "bench"),
                "TODOKE_DATABASE__OWNER_URL": servers.database_url("todoke_owner", "bench"),
                "TODOKE_REDIS__URL": servers.broker_url(),
                "TODOKE_SEALING__KEYS": json.dumps({"bench": generate_key()}),
                "TODOKE_SEALING__ACTIVE_KEY": "bench",
                "TODOKE_SEALING__INDEX_KEY": generate_key(),
                "TODOKE_OUTBOUND__ALLOWED_PRIVATE": '["127.0.0.1/32"]',
            }
        )
        settings.cache_clear()
        yield servers
        bell.flush()
        dispose_engines()


@contextlib.contextmanager
def worker() -> Iterator[None]:
    """One Celery worker with one process that sends."""
    command = [sys.executable, "-m", "celery", "-A", "workers.celery_app", "worker", "-Q", "delivery"]
    command += ["--pool", "prefork", "--concurrency", "1", "--loglevel", "WARNING"]
    with subprocess.Popen(command) as process:
        try:
            yield
        finally:
            process.terminate()
            process.wait(30)


def stored(receiver: BenchReceiver, count: int) -> tuple[PartnerEndpoint, list[Gate]]:
    """Store a partner with one endpoint, and households."""
    partner_id, endpoint_id = new_id(), new_id()
    endpoint = PartnerEndpoint(
        id=endpoint_id,
        partner_id=partner_id,
        url=receiver.webhook_url,
        secret_sealed=seal(receiver.secret, "partner_endpoints", "secret_sealed", endpoint_id),
    )
    gates = [Gate(household_id=new_id(), municipality_code="131121", consent_epoch=0) for _ in range(count)]
    with owner_session() as session:
        session.add(Partner(id=partner_id, name="Bench", app_name="Bench"))
        session.flush()
        session.add(endpoint)
        session.execute(
            insert(Household),
            [{"id": gate.household_id, "municipality_code": "131121", "consent_epoch": 0} for gate in gates],
        )
        session.commit()
    return endpoint, gates


def deliver(receiver: BenchReceiver, endpoint: PartnerEndpoint, gates: list[Gate], number: int) -> dict[str, float]:
    """Enqueue one event for each household, wait until all are recorded, check them, and return seconds."""
    payloads = bodies(len(gates), BODY_BYTES)
    now = clock.now()
    messages = [
        WebhookMessage(
            dedupe_key=f"bench/{number}/{gate.household_id}",
            event_id=f"evt_{number}_{gate.household_id.hex}",
            event_type="notice.created",
            due_at=now,
            partner_id=endpoint.partner_id,
            endpoint_id=endpoint.id,
            gate=gate,
            body=body.decode(),
        )
        for gate, body in zip(gates, payloads, strict=True)
    ]
    started = time.time()
    with worker_session() as session:
        enqueue_all(session, messages)
        decided = time.time()
        session.commit()
    bell.ring_dispatch()
    wait_until_recorded()
    with worker_session() as session:
        recorded = session.execute(text("SELECT extract(epoch FROM max(finished_at)) FROM deliveries")).scalar_one()
        states = {row.state: row.count for row in session.execute(_STATES, {"prefix": f"bench/{number}/%"})}
    answer = httpx.get(receiver.url + "/received").json()
    ids = {event["webhook_id"] for event in answer["received"]}
    assert ids == {message.event_id for message in messages}, "the receiver got other ids than were enqueued"
    assert answer["counts"]["verified"] == answer["counts"]["started"] == len(gates), answer["counts"]
    assert states == {"delivered": len(gates)}, states
    return {
        "enqueue": decided - started,
        "decided_to_received": answer["last_received_at"] - decided,
        "decided_to_recorded": float(recorded) - decided,
    }


def wait_until_recorded() -> None:
    """Wait until no row is unfinished; the look goes by the index and costs the machine nothing."""
    give_up_at = time.monotonic() + GIVE_UP_SECONDS
    with worker_session() as session:
        while live_queues(session):
            session.rollback()
            if time.monotonic() > give_up_at:
                raise RuntimeError(f"not everything is recorded after {GIVE_UP_SECONDS} s")
            time.sleep(0.2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--notices", type=int, default=5000)
    count = parser.parse_args().notices
    payloads = bodies(count)
    rounds: list[dict[str, float]] = []
    with installation(), receiver_process() as receiver, worker():
        endpoint, gates = stored(receiver, count)
        warm_up()
        for number in range(ROUNDS):
            seconds = deliver(receiver, endpoint, gates, number)
            receiver.forget()
            seconds["aiohttp"] = bare_aiohttp(receiver.webhook_url, receiver.secret, payloads)
            receiver.forget()
            rounds.append(seconds)
        httpx_rate = HTTPX_BODIES / bare_httpx(receiver.webhook_url, receiver.secret, payloads[:HTTPX_BODIES])

    def rate(name: str) -> float:
        return count / statistics.median(seconds[name] for seconds in rounds)

    print(
        json.dumps(
            {
                "bench": "delivery",
                "notices": count,
                "rounds": ROUNDS,
                "enqueued_per_second": round(rate("enqueue")),
                "received_per_second": round(rate("decided_to_received")),
                "recorded_per_second": round(rate("decided_to_recorded")),
                "bare_aiohttp_per_second": round(rate("aiohttp")),
                "bare_httpx_per_second": round(httpx_rate),
                "share_of_aiohttp": round(rate("decided_to_recorded") / rate("aiohttp"), 3),
                "share_of_aiohttp_by_round": [
                    round(seconds["aiohttp"] / seconds["decided_to_recorded"], 3) for seconds in rounds
                ],
                "times_httpx": round(rate("decided_to_recorded") / httpx_rate, 2),
                "lost": 0,
                "duplicates": 0,
            }
        )
    )


def warm_up() -> None:
    """Ring once with nothing to do and let the worker start up."""
    bell.ring_dispatch()
    time.sleep(4.0)


if __name__ == "__main__":
    main()
