"""The guide's receiver, copied out of the guide and run as a partner would: with Python alone."""

import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from app.partners.events import EVENT_TYPES, ping
from app.partners.signing import new_secret, signature
from app.platform import clock
from app.platform.identifiers import new_id
from app.platform.settings import PROJECT_DIRECTORY

GUIDE = (PROJECT_DIRECTORY / "docs" / "partner-guide.md").read_text(encoding="utf-8")
[RECEIVER] = re.findall(r"```python\n(.*?)```", GUIDE, re.S)


@pytest.fixture
def receiver(tmp_path: Path):
    """Start the receiver; return its address, its secret and its process."""
    program, secret = tmp_path / "receiver.py", new_secret()
    program.write_text(RECEIVER, encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-I", str(program), str(port)],
        env={"TODOKE_SECRET": secret, "PATH": os.environ["PATH"], "PYTHONIOENCODING": "utf-8"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        _wait_for(port, process)
        yield f"http://127.0.0.1:{port}/", secret, process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


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


def test_the_receiver_takes_genuine_events_once_and_refuses_the_rest(receiver):
    url, secret, process = receiver
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


def test_the_portal_shows_the_same_receiver():
    shown = (PROJECT_DIRECTORY / "templates" / "partner" / "receiver.py.txt").read_text(encoding="utf-8")
    assert shown == RECEIVER


def test_the_guide_names_every_event_and_every_member():
    for event_type in EVENT_TYPES:
        [row] = re.findall(rf"^\| `{re.escape(event_type)}` \|.*$", GUIDE, re.M)
        members = EVENT_TYPES[event_type].model_fields["data"].annotation.model_fields
        assert all(f"`{name}`" in row for name in members) or "同じ" in row
