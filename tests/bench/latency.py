"""How long a family's app waits: from the decision to the received, verified webhook, at a steady rate.

    python -m tests.bench.latency

One installation with durable PostgreSQL, Valkey, one Celery worker process that sends, beat's sweep left out: the ring
alone must do. Decisions are transactions of their own, spread evenly; the clock of a decision starts before its commit,
and stops in the receiver. Then the same at 50 a second beside a partner that hangs on every request and has 100,000
events waiting. Every event must arrive, once, verified. Prints one JSON line.
"""

import argparse
import json
import statistics
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count

import httpx

from app.delivery.outbox import Gate, WebhookMessage, enqueue_all, enqueue_webhook
from app.partners.tables import PartnerEndpoint
from app.platform import bell, clock
from app.platform.database import worker_session
from tests.bench.delivery import installation, stored, wait_until_recorded, warm_up, worker
from tests.bench.loops import BODY_BYTES, BenchReceiver, bodies, receiver_process

RATES = (50, 200)
NEIGHBOUR_RATE = 50
DECIDING_THREADS = 2
_NUMBER = count()
_SETTLING_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Family:
    """An endpoint, the households that linked it, and what receives."""

    receiver: BenchReceiver
    endpoint: PartnerEndpoint
    gates: Sequence[Gate]

    def event(self, number: int, body: bytes) -> WebhookMessage:
        """Return one event for the next household."""
        event_id = f"evt_{uuid.uuid4().hex}"
        return WebhookMessage(
            dedupe_key=event_id,
            event_id=event_id,
            event_type="notice.created",
            due_at=clock.now(),
            partner_id=self.endpoint.partner_id,
            endpoint_id=self.endpoint.id,
            gate=self.gates[number % len(self.gates)],
            body=body.decode(),
        )


def latencies(family: Family, rate: int, seconds: float) -> list[float]:
    """Decide at a steady rate and return, in order, how many seconds each event took."""
    family.receiver.forget()
    total = int(rate * seconds)
    payloads = bodies(total, BODY_BYTES)
    decided: dict[str, float] = {}
    numbers: Iterator[int] = iter(range(total))
    started = time.monotonic()

    def decide() -> None:
        for number in numbers:
            time.sleep(max(0.0, started + number / rate - time.monotonic()))
            message = family.event(next(_NUMBER), payloads[number])
            with worker_session() as session:
                enqueue_webhook(session, message)
                decided[message.event_id] = time.time()
                session.commit()
            bell.ring_dispatch()

    threads = [threading.Thread(target=decide) for _ in range(DECIDING_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return _waited(family.receiver, decided)


def _waited(receiver: BenchReceiver, decided: dict[str, float]) -> list[float]:
    give_up_at = time.monotonic() + 60
    while receiver.counts()["distinct"] < len(decided) and time.monotonic() < give_up_at:
        time.sleep(0.2)
    answer = httpx.get(receiver.url + "/received").json()
    received = {event["webhook_id"]: event["first_received_at"] for event in answer["received"]}
    assert received.keys() == decided.keys(), f"{len(decided)} were decided, {len(received)} arrived"
    assert answer["counts"]["duplicates"] == 0, answer["counts"]
    return sorted(received[event_id] - at for event_id, at in decided.items())


def told(waited: Sequence[float]) -> dict[str, float]:
    """Return the figures of one run, in seconds."""
    cuts = statistics.quantiles(waited, n=100, method="inclusive")
    return {
        "p50": round(cuts[49], 4),
        "p95": round(cuts[94], 4),
        "max": round(waited[-1], 4),
        "within_10_s": sum(one <= 10 for one in waited) / len(waited),
    }


def hang_with(family: Family, waiting: int) -> None:
    """Make a partner hang on every request, with many events waiting."""
    httpx.post(family.receiver.url + "/behaviour", json={"mode": "hang"}).raise_for_status()
    payloads = bodies(1, BODY_BYTES)
    for start in range(0, waiting, 5000):
        with worker_session() as session:
            enqueue_all(session, [family.event(start + one, payloads[0]) for one in range(min(5000, waiting - start))])
            session.commit()
    bell.ring_dispatch()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="of each steady run")
    parser.add_argument("--waiting", type=int, default=100_000, help="events of the partner that hangs")
    given = parser.parse_args()
    figures: dict[str, object] = {"bench": "latency", "seconds": given.seconds, "waiting": given.waiting}
    with installation(), receiver_process() as receiver, receiver_process() as hanging, worker():
        family = Family(receiver, *stored(receiver, 2000))
        neighbour = Family(hanging, *stored(hanging, 2000))
        warm_up()
        latencies(family, NEIGHBOUR_RATE, _SETTLING_SECONDS)
        for rate in RATES:
            figures[f"at_{rate}_a_second"] = told(latencies(family, rate, given.seconds))
            wait_until_recorded()
        alone = told(latencies(family, NEIGHBOUR_RATE, given.seconds))
        hang_with(neighbour, given.waiting)
        time.sleep(_SETTLING_SECONDS)
        beside = told(latencies(family, NEIGHBOUR_RATE, given.seconds))
    figures |= {"alone": alone, "beside_hanging": beside, "times_alone": round(beside["p95"] / alone["p95"], 2)}
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
