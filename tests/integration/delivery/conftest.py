"""Real parts for delivery: a database of its own, the stand-ins of the outside world, dispatchers and worker processes."""

import contextlib
import datetime as dt
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis
from sqlalchemy import text
from sqlmodel import select

from app.delivery.channels.webhook import WebhookChannel
from app.delivery.dispatch import Dispatcher, Options, channels_from_settings
from app.delivery.outbox import EmailMessage, Gate, Lane, LineMessage, WebhookMessage, enqueue_all
from app.delivery.tables import Delivery, DeliveryAttempt
from app.households.tables import Household
from app.partners.signing import new_secret
from app.partners.tables import Partner, PartnerEndpoint
from app.platform import bell, clock
from app.platform.database import Context, owner_session, worker_session
from app.platform.identifiers import new_id
from app.platform.outbound import AllowedNetwork, EndpointGuard
from app.platform.sealing import seal
from app.platform.settings import settings
from app.sandbox.servers import Sandbox, sandbox

PROJECT = Path(__file__).parents[3]
LINE_USER = "U" + "0123456789abcdef" * 2
_numbers = itertools.count(1)


def wait_for(condition: Callable[[], object], seconds: float = 60.0, what: str = "") -> None:
    """Poll until the condition holds. A busy machine may take a while to start a worker."""
    give_up_at = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up_at, f"still not so after {seconds} s: {what or condition}"
        time.sleep(0.02)


@dataclass
class World:
    """What the tests store, send and look at."""

    outside: Sandbox
    environment: dict[str, str]
    valkey: redis.Redis
    dispatchers: list[Dispatcher] = field(default_factory=list)

    # storing

    def household(self, **changes: object) -> Gate:
        gate = Gate(household_id=new_id(), municipality_code="131121", consent_epoch=0, subjects=("child:c1",))
        with owner_session() as session:
            session.add(Household(id=gate.household_id, municipality_code="131121", **changes))
            session.commit()
        return gate

    def endpoint(self, path: str = "", *, beside: PartnerEndpoint | None = None, **columns: object) -> PartnerEndpoint:
        """Store an endpoint: of a partner of its own, or of the partner that has another one."""
        partner_id, endpoint_id, secret = (beside.partner_id if beside else new_id()), new_id(), new_secret()
        self.outside.partner_app.secrets.append(secret)
        endpoint = PartnerEndpoint(
            id=endpoint_id,
            partner_id=partner_id,
            url=self.outside.partner_app.webhook_url + path,
            secret_sealed=seal(secret, "partner_endpoints", "secret_sealed", endpoint_id),
            **columns,
        )
        with owner_session() as session:
            if beside is None:
                session.add(Partner(id=partner_id, name="架空アプリ", app_name="架空"))
                session.flush()
            session.add(endpoint)
            session.commit()
        return endpoint

    def webhook(self, endpoint: PartnerEndpoint, gate: Gate | None = None, **changes) -> WebhookMessage:
        number = next(_numbers)
        values = {
            "dedupe_key": f"test/{number}",
            "event_id": f"evt_{number}",
            "event_type": "notice.created",
            "due_at": clock.now(),
            "partner_id": endpoint.partner_id,
            "endpoint_id": endpoint.id,
            "gate": gate,
            "body": f'{{"type":"notice.created","number":{number}}}',
        }
        return WebhookMessage(**values | changes)

    def mail(self, gate: Gate | None = None, **changes) -> EmailMessage:
        number = next(_numbers)
        values = {
            "dedupe_key": f"test/{number}",
            "event_id": f"mail_{number}",
            "event_type": "notice.mail",
            "due_at": clock.now(),
            "lane": Lane.NOTICE,
            "gate": gate,
            "address": f"guardian{number}@example.jp",
            "subject": "新しいお知らせがあります",
            "text": "サインインして確かめてください。",
            "html": "<p>サインインして確かめてください。</p>",
            "composed_at": clock.now(),
        }
        return EmailMessage(**values | changes)

    def line(self, gate: Gate | None = None, **changes) -> LineMessage:
        number = next(_numbers)
        values = {
            "dedupe_key": f"test/{number}",
            "event_id": f"line_{number}",
            "event_type": "notice.line",
            "due_at": clock.now(),
            "lane": Lane.NOTICE,
            "gate": gate,
            "address": LINE_USER,
            "messages": ({"type": "text", "text": "新しいお知らせがあります"},),
        }
        return LineMessage(**values | changes)

    def enqueue(self, *messages) -> list:
        with worker_session() as session:
            ids = enqueue_all(session, messages)
            session.commit()
        return ids

    # sending

    def dispatcher(self, *, total_seconds: float = 5.0, **options) -> Dispatcher:
        channels = channels_from_settings()
        guard = EndpointGuard([AllowedNetwork.parse("127.0.0.1/32")])
        channels["webhook"] = WebhookChannel(guard, total_seconds=total_seconds)
        made = Dispatcher(channels, Options(**options))
        self.dispatchers.append(made)
        return made

    @contextlib.contextmanager
    def worker(self, *arguments: str) -> Iterator[subprocess.Popen]:
        """A real Celery worker with beat inside, as a process group of its own."""
        command = [sys.executable, "-m", "celery", "-A", "workers.celery_app", "worker", "-Q", "delivery,work", "-B"]
        command += ["--concurrency", "1", "--loglevel", "WARNING", *arguments]
        environment = {**os.environ, "PYTHONWARNINGS": "default"}
        process = subprocess.Popen(command, cwd=PROJECT, env=environment, start_new_session=True)
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    # looking

    def delivery(self, delivery_id) -> Delivery:
        with worker_session() as session:
            return session.get(Delivery, delivery_id)

    def attempts(self, delivery_id) -> list[DeliveryAttempt]:
        with worker_session() as session:
            found = session.exec(select(DeliveryAttempt).where(DeliveryAttempt.delivery_id == delivery_id))
            return sorted(found, key=lambda attempt: attempt.number)

    def states(self, ids=None) -> list[str]:
        with worker_session() as session:
            rows = session.execute(text("SELECT id, state FROM deliveries ORDER BY id")).all()
        return [row.state for row in rows if ids is None or row.id in ids]

    def pass_time(self, **delta) -> None:
        clock.shift_to(clock.now() + dt.timedelta(**delta))

    def change_household(self, gate: Gate, **values) -> None:
        with owner_session(Context(household=gate.household_id)) as session:
            household = session.get(Household, gate.household_id)
            for name, value in values.items():
                setattr(household, name, value)
            session.commit()


@pytest.fixture(scope="package")
def outside() -> Iterator[Sandbox]:
    with sandbox() as running:
        yield running


@pytest.fixture
def world(todoke_environment, outside, servers, monkeypatch) -> Iterator[World]:
    outside.forget()
    outside.partner_app.secrets.clear()
    settled = {
        "TODOKE_OUTBOUND__ALLOWED_PRIVATE": '["127.0.0.1/32"]',
        "TODOKE_EMAIL__HOST": outside.mail_sink.smtp_host,
        "TODOKE_EMAIL__PORT": str(outside.mail_sink.smtp_port),
        "TODOKE_LINE__BASE_URL": outside.line_server.url,
        "TODOKE_LINE__CHANNEL_TOKEN": outside.line_server.channel_token,
    }
    for name, value in settled.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    valkey = redis.Redis(unix_socket_path=urlsplit(servers.broker_url()).path)
    valkey.flushall()
    made = World(outside, todoke_environment | settled, valkey)
    yield made
    for dispatcher in made.dispatchers:
        dispatcher.close(0.2)
    bell.flush()
    valkey.close()
