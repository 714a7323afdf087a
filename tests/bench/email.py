"""How many mails one worker process sends: claim, build, sign, hand over, record, next to a bare loop in the same run.

    python -m tests.bench.email

It starts its own PostgreSQL (durable, as in production), Valkey and SMTP sink, enqueues one mail each to as many
families, commits and rings once, and prints one JSON line. The bare loop sends one prebuilt message over as many kept
connections with aiosmtplib to the same sink. Afterwards the sink must hold exactly as many Message-IDs as were enqueued,
none twice. Rounds alternate with the bare loop, so that a busy machine slows both.
"""

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
import uuid
from pathlib import Path

import aiosmtplib
from sqlalchemy import text
from sqlmodel import insert

from app.delivery.channels.contract import OutgoingEmail
from app.delivery.channels.mail_message import MailSender, Writer
from app.delivery.channels.mail_signing import new_key
from app.delivery.outbox import EmailMessage, Gate, Lane, enqueue_all
from app.households.tables import Household
from app.platform import bell, clock
from app.platform.database import owner_session, worker_session
from app.platform.identifiers import new_id
from app.platform.settings import settings
from tests.bench.delivery import installation, wait_until_recorded, warm_up, worker
from tests.bench.smtp_sink import BenchSink, sink_process

ROUNDS = 3
TEXT = "児童手当の額が変わります。手続きは要りません。\n" * 30
HTML = "<p style='margin:0'>児童手当の額が変わります。手続きは要りません。</p>\n" * 60
SUBJECT = "【世田谷区】児童手当 の額が変わります"


def bare_loop(port: int, count: int, connections: int) -> float:
    """Send one prebuilt message `count` times over kept connections; return seconds."""
    now = clock.real_now()
    outgoing = OutgoingEmail(
        delivery_id=uuid.uuid4(), attempted_at=now, recipient="family@home.example", subject=SUBJECT, text=TEXT,
        html=HTML, composed_at=now, unsubscribe_url="https://todoke.example/unsubscribe/" + "x" * 64,
    )  # fmt: skip
    message = Writer(MailSender("とどけ", "oshirase@todoke.example", "notices.todoke.example")).write(outgoing)

    async def run() -> float:
        clients = [aiosmtplib.SMTP(hostname="127.0.0.1", port=port) for _ in range(connections)]
        for client in clients:
            await client.connect()
        left = iter(range(count))

        async def send(client: aiosmtplib.SMTP) -> None:
            for _ in left:
                await client.sendmail("oshirase@todoke.example", ["family@home.example"], message)

        started = time.perf_counter()
        await asyncio.gather(*(send(client) for client in clients))
        seconds = time.perf_counter() - started
        for client in clients:
            await client.quit()
        return seconds

    return asyncio.run(run())


def families(count: int) -> list[Gate]:
    gates = [Gate(household_id=new_id(), municipality_code="131121", consent_epoch=0) for _ in range(count)]
    with owner_session() as session:
        session.execute(
            insert(Household),
            [{"id": gate.household_id, "municipality_code": "131121", "consent_epoch": 0} for gate in gates],
        )
        session.commit()
    return gates


def deliver(sink: BenchSink, gates: list[Gate], number: int) -> float:
    """Enqueue one mail for each family, wait until all are recorded, check them, and return seconds."""
    now = clock.now()
    messages = [
        EmailMessage(
            dedupe_key=f"bench/{number}/{gate.household_id}",
            event_id=f"mail_{number}_{gate.household_id.hex}",
            event_type="notice.push",
            due_at=now,
            lane=Lane.NOTICE,
            gate=gate,
            address=f"family{place}@home.example",
            subject=SUBJECT,
            text=TEXT,
            html=HTML,
            composed_at=now,
            unsubscribe_url=f"https://todoke.example/unsubscribe/{gate.household_id.hex * 2}",
        )
        for place, gate in enumerate(gates)
    ]
    with worker_session() as session:
        enqueue_all(session, messages)
        decided = time.time()
        session.commit()
    bell.ring_dispatch()
    wait_until_recorded()
    with worker_session() as session:
        recorded = session.execute(text("SELECT extract(epoch FROM max(finished_at)) FROM deliveries")).scalar_one()
        states = session.execute(text("SELECT DISTINCT state FROM deliveries")).scalars().all()
    mails, distinct, connections = sink.counts()
    assert mails == distinct == len(gates), (mails, distinct)
    assert list(states) == ["accepted"], states
    assert connections <= settings().email.connections, connections
    return float(recorded) - decided


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mails", type=int, default=3000)
    parser.add_argument("--sign", choices=["", "rsa", "ed25519"], default="", help="sign each mail with such a key")
    arguments = parser.parse_args()
    count = arguments.mails
    ours, bare = [], []
    with tempfile.TemporaryDirectory() as directory, sink_process() as sink, installation():
        values = {"HOST": "127.0.0.1", "PORT": str(sink.port), "SENDER_ADDRESS": "oshirase@todoke.example"}
        values["RETURN_ADDRESS"] = "bounces@todoke.example"
        if arguments.sign:
            path = Path(directory) / "key.pem"
            path.write_bytes(new_key("bench", arguments.sign).private_pem())
            values["DKIM_KEYS"] = json.dumps({"bench": str(path)})
        os.environ.update({f"TODOKE_EMAIL__{name}": value for name, value in values.items()})
        settings.cache_clear()
        with worker():
            gates = families(count)
            warm_up()
            for number in range(ROUNDS):
                sink.forget()
                ours.append(deliver(sink, gates, number))
                bare.append(bare_loop(sink.port, count, settings().email.connections))
        connections = settings().email.connections
    print(
        json.dumps(
            {
                "bench": "email",
                "mails": count,
                "rounds": ROUNDS,
                "connections": connections,
                "signed_with": arguments.sign or None,
                "recorded_per_second": round(count / statistics.median(ours)),
                "bare_aiosmtplib_per_second": round(count / statistics.median(bare)),
                "share_of_aiosmtplib": round(statistics.median(bare) / statistics.median(ours), 3),
                "share_by_round": [round(theirs / mine, 3) for mine, theirs in zip(ours, bare, strict=True)],
                "lost": 0,
                "duplicates": 0,
            }
        )
    )


if __name__ == "__main__":
    main()
