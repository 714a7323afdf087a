"""The LINE-style stand-in and our webhook, on one database; events are told as the platform tells them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlmodel import select

import app.faces.line as line_face
from app.delivery.dispatch import Dispatcher, channels_from_settings
from app.delivery.outbox import content_of
from app.delivery.tables import Delivery, LineEvent
from app.households.tables import ContactPoint
from app.platform.database import owner_session
from app.platform.settings import settings
from app.safeguards.line_events import work_events
from app.sandbox.line_server import LineServer
from app.sandbox.line_users import LineUsers
from app.sandbox.servers import Sandbox, sandbox
from app.web import problems
from app.web.security import SecurityHeaders

USER, OTHER = "U" + "a1" * 16, "U" + "b2" * 16


@dataclass
class Line:
    """The account: users do things, our worker works them, and answers can be read."""

    client: TestClient
    server: LineServer
    dispatchers: list[Dispatcher] = field(default_factory=list)

    @property
    def platform(self) -> LineUsers:
        return self.server.platform

    def send(self, *events: dict[str, Any], signature: str | None = None) -> int:
        body, right = self.platform.body_and_signature(*events)
        headers = {"x-line-signature": right if signature is None else signature}
        return self.client.post("/line/webhook", content=body, headers=headers).status_code

    def does(self, kind: str, user_id: str = USER, **parts: Any) -> str:
        """Let a user do something, work it, and return what became of it."""
        event = self.platform.event(kind, user_id, **parts)
        assert self.send(event) == 200
        work_events()
        (row,) = [row for row in events() if row.webhook_event_id == event["webhookEventId"]]
        return row.outcome

    def presses(self, data: str, user_id: str = USER) -> str:
        return self.does("postback", user_id, postback={"data": data})

    def links(self, user_id: str = USER) -> str:
        """Ask for a link token as a user does, and return the one in the answer's address."""
        assert self.presses("link", user_id) == "link_offered"
        return button(answers()[-1], "uri")["uri"].partition("linkToken=")[2]

    def dispatch(self) -> None:
        dispatcher = Dispatcher(channels_from_settings())
        try:
            dispatcher.run_window()
        finally:
            dispatcher.close(1.0)


def events() -> list[LineEvent]:
    with owner_session() as session:
        return list(session.exec(select(LineEvent).order_by(LineEvent.received_at, LineEvent.id)))


def deliveries(**wanted: object) -> list[Delivery]:
    with owner_session() as session:
        rows = session.exec(select(Delivery).order_by(Delivery.created_at, Delivery.id)).all()
    return [row for row in rows if all(getattr(row, name) == value for name, value in wanted.items())]


def answers() -> list[dict[str, Any]]:
    """The Flex messages of what we answered by ourselves, oldest first."""
    rows = deliveries(event_type="line.answer")
    return [content_of(row.id, row.message_sealed)["messages"][0] for row in rows]


def button(message: dict[str, Any], kind: str, label: str = "") -> dict[str, Any]:
    actions = [part["action"] for part in message["contents"]["footer"]["contents"]]
    return next(action for action in actions if action["type"] == kind and label in action["label"])


def contacts() -> list[ContactPoint]:
    with owner_session() as session:
        return list(session.exec(select(ContactPoint).order_by(ContactPoint.created_at, ContactPoint.id)))


@pytest.fixture(scope="package")
def outside() -> Iterator[Sandbox]:
    with sandbox() as running:
        yield running


@pytest.fixture
def line(todoke_environment, outside, monkeypatch) -> Iterator[Line]:
    outside.forget()
    server = outside.line_server
    wanted = {
        "TODOKE_LINE__BASE_URL": server.url,
        "TODOKE_LINE__CHANNEL_TOKEN": server.channel_token,
        "TODOKE_LINE__CHANNEL_SECRET": server.platform.channel_secret,
        "TODOKE_LINE__BOT_USER_ID": server.platform.bot_user_id,
        "TODOKE_LINE__LINK_DIALOG_URL": f"{server.url}/dialog/bot/accountLink",
        "TODOKE_EMAIL__HOST": outside.mail_sink.smtp_host,
        "TODOKE_EMAIL__PORT": str(outside.mail_sink.smtp_port),
        "TODOKE_REDIS__URL": "",
        "TODOKE_PUBLIC_URL": "https://todoke.example",
    }
    for name, value in wanted.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    web = FastAPI()
    web.add_middleware(SecurityHeaders)
    problems.install(web)
    for router in line_face.routers:
        web.include_router(router)
    with TestClient(web) as client:
        yield Line(client, server)
