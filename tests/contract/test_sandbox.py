"""The stand-ins themselves: told over HTTP what to do, looked at as pages, run as processes."""

import asyncio
import base64
import datetime as dt
import json
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import httpx
import pytest

from app.delivery.channels.contract import AttemptResult, Outcome, OutgoingWebhook
from app.delivery.channels.webhook import WebhookChannel
from app.partners.signing import new_secret
from app.platform.outbound import AllowedNetwork, EndpointGuard
from app.sandbox.hosting import running
from app.sandbox.partner_app import PartnerApp, signature_is_genuine
from app.sandbox.servers import Sandbox
from tests.bench.loops import bare_aiohttp, bare_httpx, bodies, receiver_process


def send(url: str, secret: str, body: bytes, webhook_id: str | None = None) -> AttemptResult:
    outgoing = OutgoingWebhook(
        delivery_id=uuid.uuid4(),
        attempted_at=dt.datetime.now(dt.UTC),
        webhook_id=webhook_id or f"evt_{uuid.uuid4().hex}",
        url=url,
        secrets=(secret,),
        body=body,
    )

    async def once() -> AttemptResult:
        channel = WebhookChannel(EndpointGuard([AllowedNetwork.parse("127.0.0.0/8")]))
        try:
            return await channel.send(outgoing)
        finally:
            await channel.close()

    return asyncio.run(once())


def test_the_partner_app_shows_what_arrived_and_nothing_in_it_can_run(world: Sandbox) -> None:
    app, secret = world.partner_app, new_secret()
    httpx.post(app.url + "/secrets", json={"secrets": [secret]}).raise_for_status()
    body = {"type": "notice.created", "data": {"title": "児童手当<script>", "deadline": "2026-12-07", "children": []}}
    assert send(app.webhook_url, secret, json.dumps(body).encode(), "evt_1").outcome is Outcome.DELIVERED
    assert send(app.webhook_url, secret, json.dumps(body).encode(), "evt_1").outcome is Outcome.DELIVERED
    page = httpx.get(app.url + "/")
    assert "児童手当&lt;script&gt;" in page.text
    assert "2回受信" in page.text
    assert 'name="viewport"' in page.text
    assert "script" not in page.headers["content-security-policy"]
    received = httpx.get(app.url + "/received").json()
    assert received["received"][0]["event"] == body
    assert received["counts"] == {
        "started": 2, "finished": 2, "verified": 2, "refused": 0, "duplicates": 1, "redirects_followed": 0,
        "bytes_trickled": 0, "distinct": 1,
    }  # fmt: skip
    httpx.post(app.url + "/forget").raise_for_status()
    assert httpx.get(app.url + "/counts").json()["counts"]["verified"] == 0
    assert app.secrets, "forgetting events does not unregister the endpoint"


def test_behaviour_is_set_over_http_for_one_path_and_a_number_of_times(world: Sandbox) -> None:
    app, secret = world.partner_app, new_secret()
    app.secrets.append(secret)
    wish = {"mode": "error_500", "times": 1, "path": "/webhooks/slow"}
    httpx.post(app.url + "/behaviour", json=wish).raise_for_status()
    statuses = [send(app.webhook_url + path, secret, b"{}").status_code for path in ("/fast", "/slow", "/slow")]
    assert statuses == [200, 500, 200]


@pytest.mark.parametrize("wish", [{"mode": "dance"}, {"mode": "hang", "tempo": 3}, {}])
def test_an_unknown_behaviour_is_refused_with_what_there_is(world: Sandbox, wish: dict[str, object]) -> None:
    for address in (world.partner_app.url, world.mail_sink.url):
        answer = httpx.post(address + "/behaviour", json=wish)
        assert answer.status_code == 400
        assert "behaviour: " in answer.json()["message"]
    assert httpx.post(world.line_server.url + "/behaviour", json={"mode": "dance"}).status_code == 400


def test_without_a_secret_nothing_is_accepted(world: Sandbox) -> None:
    assert send(world.partner_app.webhook_url, new_secret(), b"{}").status_code == 401


def test_the_partners_own_verification_refuses_what_it_should() -> None:
    secret, now = new_secret(), time.time()
    assert not signature_is_genuine([secret], {}, b"{}", now)
    assert not signature_is_genuine([secret], {"webhook-id": "a", "webhook-timestamp": str(int(now))}, b"{}", now)
    key = "whsec_" + base64.b64encode(b"k" * 32).decode()
    assert not signature_is_genuine([], {"webhook-id": "a", "webhook-timestamp": "1", "webhook-signature": key}, b"", 1)


def test_verified_events_are_written_down_as_json_lines(tmp_path: Path) -> None:
    secret, log = new_secret(), tmp_path / "received.jsonl"
    app = PartnerApp([secret], log_path=log)
    with running(app):
        send(app.webhook_url, secret, '{"title":"手当"}'.encode(), "evt_1")
        send(app.webhook_url, new_secret(), b"{}", "evt_2")
    (line,) = log.read_text().splitlines()
    assert json.loads(line)["webhook_id"] == "evt_1"
    assert json.loads(line)["body"] == '{"title":"手当"}'


def test_the_reference_loops_post_everything_once_and_signed_to_a_process_of_its_own() -> None:
    with receiver_process() as receiver:
        assert bare_aiohttp(receiver.webhook_url, receiver.secret, bodies(60), concurrency=5) > 0
        assert bare_httpx(receiver.webhook_url, receiver.secret, bodies(40), concurrency=5) > 0
        counts = receiver.counts()
        assert (counts["verified"], counts["distinct"], counts["refused"]) == (100, 100, 0)
        receiver.forget()
        assert receiver.counts()["started"] == 0
    with pytest.raises(httpx.ConnectError):
        receiver.counts()


@pytest.mark.parametrize("module", ["app.sandbox.partner_app", "app.sandbox.servers"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stand_in_process_tells_its_address_and_ends_cleanly(module: str, number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-m", module], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline().strip()
        address = json.loads(line)["partner_app"] if line.startswith("{") else line
        assert httpx.get(address + "/").status_code == 200
        process.send_signal(number)
        assert process.wait(10) == 0
