"""The guide's receiver, copied out of the guide and run as a partner would: with Python alone."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import httpx

from app.delivery.dispatch import Dispatcher, channels_from_settings
from app.partners.events import EVENT_TYPES, PLANNED_EVENT_TYPES, ping
from app.partners.signing import new_secret, new_signing_key, public_key_of, signature
from app.platform import clock
from app.platform.identifiers import new_id
from app.platform.settings import PROJECT_DIRECTORY, settings

GUIDE = (PROJECT_DIRECTORY / "docs" / "partner-guide.md").read_text(encoding="utf-8")
[WITH_PUBLIC_KEYS] = re.findall(r"```py\n(.*?)```", GUIDE, re.S)
[RECEIVER] = re.findall(r"```python\n(.*?)```", GUIDE, re.S)


@contextmanager
def running(directory: Path, secret: str, port: int):
    """Run the receiver as the guide says; give its process."""
    program = directory / "receiver.py"
    program.write_text(RECEIVER, encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "-I", str(program), str(port)],
        env={"TODOKE_SECRET": secret, "PATH": os.environ["PATH"], "PYTHONIOENCODING": "utf-8"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        _wait_for(port, process)
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def _wait_for(port, process):
    for _ in range(200):
        assert process.poll() is None, "the receiver ended"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("the receiver does not listen")


def post(url, secrets, body, *, webhook_id="evt_1", shifted=0, sent=None):
    timestamp = int(clock.real_now().timestamp()) + shifted
    headers = {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature(secrets, webhook_id, timestamp, body),
    }
    return httpx.post(url, content=body if sent is None else sent, headers=headers, trust_env=False).status_code


def test_the_receiver_takes_genuine_events_once_and_refuses_the_rest(tmp_path):
    secret, port = new_secret(), free_port()
    url = f"http://127.0.0.1:{port}/"
    with running(tmp_path, secret, port) as process:
        body = ping(endpoint_id=new_id(), at=clock.real_now())
        assert post(url, [secret], body) == 204
        assert post(url, [secret], body) == 204  # again: answered, not acted on
        assert post(url, [new_secret(), secret], body, webhook_id="evt_2") == 204  # during a rotation
        assert post(url, [new_secret()], body, webhook_id="evt_3") == 401
        assert post(url, [secret], body, webhook_id="evt_4", sent=body + b" ") == 401
        assert post(url, [secret], body, webhook_id="evt_5", shifted=-301) == 401
        assert httpx.post(url, content=body, trust_env=False).status_code == 401
        process.kill()
        printed = process.stdout.read().splitlines()
        assert len(printed) == 2
        assert all('"type": "test.ping"' in line for line in printed)


def test_from_registering_to_the_first_event_and_through_a_rotation(client, sorairo, monkeypatch, tmp_path):
    port = free_port()
    monkeypatch.setenv("TODOKE_OUTBOUND__ALLOWED_PRIVATE", f'["127.0.0.1/32:{port}"]')
    settings.cache_clear()
    client.headers.update(sorairo.headers)
    made = client.post("/partner/v1/endpoints", json={"url": f"http://127.0.0.1:{port}/"}).json()
    path = f"/partner/v1/endpoints/{made['endpoint']['id']}"

    def sent():
        """Send a test event, let the worker's dispatcher do its work, and return what the log says."""
        delivery = f"/partner/v1/deliveries/{client.post(f'{path}/test-events').json()['delivery_id']}"
        dispatcher.run_window()
        [attempt] = client.get(f"{delivery}/attempts").json()["attempts"]
        return client.get(delivery).json()["state"], attempt["status_code"]

    dispatcher = Dispatcher({"webhook": channels_from_settings()["webhook"]})
    try:
        with running(tmp_path, made["secret"], port) as process:
            assert sent() == ("delivered", 204)
            rotated = client.post(f"{path}/secret-rotations", json={}).json()["secret"]
            assert sent() == ("delivered", 204)  # the receiver still knows only the old secret
            client.post(f"{path}/secret-rotations", json={"immediately": True})
            assert sent() == ("retrying", 401)
            process.kill()
            received = [json.loads(line) for line in process.stdout.read().splitlines()]
    finally:
        dispatcher.close()
    assert rotated != made["secret"]
    assert [(event["type"], event["data"]) for event in received] == [
        ("test.ping", {"endpoint_id": made["endpoint"]["id"]})
    ] * 2


def test_the_portal_shows_the_same_receiver():
    shown = (PROJECT_DIRECTORY / "templates" / "partner" / "receiver.py.txt").read_text(encoding="utf-8")
    assert shown == RECEIVER


def test_the_guide_names_every_event_and_every_member():
    for event_type in EVENT_TYPES:
        [row] = re.findall(rf"^\| `{re.escape(event_type)}` \|.*$", GUIDE, re.M)
        members = EVENT_TYPES[event_type].model_fields["data"].annotation.model_fields
        assert all(f"`{name}`" in row for name in members) or "同じ" in row
        assert ("準備中" in row) == (event_type in PLANNED_EVENT_TYPES)


def test_the_guides_check_with_public_keys_takes_genuine_events_alone():
    program = {}
    exec(WITH_PUBLIC_KEYS, program)
    old, new, body = new_signing_key(), new_signing_key(), b'{"type":"test.ping"}'
    timestamp = int(clock.real_now().timestamp())
    headers = {
        "webhook-id": "evt_1",
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature([new_secret(), new, old], "evt_1", timestamp, body),
    }
    for known in (new, old):
        assert program["is_genuine"]([public_key_of(known)], headers, body)
    assert not program["is_genuine"]([public_key_of(new_signing_key())], headers, body)
    assert not program["is_genuine"]([public_key_of(new)], headers, body + b" ")
    stale = {**headers, "webhook-timestamp": str(timestamp - 301)}
    assert not program["is_genuine"]([public_key_of(new)], stale, body)
