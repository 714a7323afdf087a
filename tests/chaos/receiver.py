"""The outside world of a chaos run as one process: partner apps, mail relay and LINE, with a log of their own.

Each webhook request is written down when it arrives, before anything is answered, and again when it is taken. Mail and
LINE pushes are written down when they are taken. The stand-ins are those of `app/sandbox`.

    CHAOS_FOLDER=… python -m tests.chaos.receiver

prints the addresses as one JSON line. Where the folder has a file `healed`, everybody behaves from then on.
"""

import asyncio
import hashlib
import itertools
import json
import os
import random
import re
import signal
import sys
import time
import uuid
from collections.abc import Callable
from email.parser import BytesHeaderParser
from pathlib import Path
from typing import Any

from aiohttp import web

from app.delivery.channels.line import retry_key
from app.sandbox.hosting import running
from app.sandbox.line_server import LineServer, ReceivedPush
from app.sandbox.mail_sink import MailSink, StoredMail
from app.sandbox.partner_app import PartnerApp, signature_is_genuine
from tests.chaos.evidence import append

_MODES = {
    "hang": "hang",
    "error": "error_500",
    "throttle": "throttle_429",
    "trickle": "slow_trickle",
    "big": "big_response",
    "gone": "gone_410",
}
_DELIVERY = re.compile(r"dlv-([0-9a-f]{32})@")
_numbers = itertools.count(1)


class ChaosApp(PartnerApp):
    """All partners' endpoints: the path says which one, and so how it behaves."""

    def __init__(self, folder: Path, slow_seconds: float) -> None:
        super().__init__(keep_attempts=False)
        self._folder, self._log_to = folder, folder / "requests.jsonl"
        self._slow_seconds = slow_seconds
        self._known: dict[str, dict[str, str]] = {}

    async def _webhook(self, request: web.BaseRequest) -> web.StreamResponse:
        at, number = time.time(), next(_numbers)
        body = await request.read()
        known = self._endpoint(request.path)
        self._write_arrival(request, body, known, at, number)
        manner = "healthy" if (self._folder / "healed").exists() and known["manner"] != "gone" else known["manner"]
        if manner in _MODES:
            self.behave(_MODES[manner], path=request.path, retry_after="5")
        else:
            self.behaviours.pop(request.path, None)
            # Long enough that some are killed while they wait for the answer, and on the slow path some lapse.
            await asyncio.sleep(random.uniform(0, self._slow_seconds) if manner == "slow" else random.uniform(0, 0.06))
        if manner in ("healthy", "slow", "big"):
            # Before the answer: who is killed by it was told. Who answers 64 MiB says 200 first: the status decides.
            append(self._log_to, number=number, yes_at=time.time())
        return await super()._webhook(request)

    def _write_arrival(
        self, request: web.BaseRequest, body: bytes, known: dict[str, str], at: float, number: int
    ) -> None:
        content = json.loads(body)
        append(
            self._log_to,
            number=number,
            at=at,
            target=known["endpoint"],
            event=request.headers.get("webhook-id", ""),
            verified=signature_is_genuine([known["secret"]], request.headers, body, time.time()),
            subject=content.get("data", {}).get("subject_id"),
            digest=hashlib.sha256(body).hexdigest()[:24],
        )
        self.secrets = [known["secret"]]

    def _take(self, request: web.BaseRequest, body: bytes) -> web.Response:
        """Take everything: whether it was signed rightly is for the checker to judge."""
        return web.Response(text="received")

    def _endpoint(self, path: str) -> dict[str, str]:
        if path not in self._known:
            self._known = json.loads((self._folder / "secrets.json").read_text())
        return self._known[path]


class Watched(list[Any]):
    """A stand-in's list of what it took, which tells somebody of each addition."""

    def __init__(self, tell: Callable[[Any], None]) -> None:
        super().__init__()
        self._tell = tell

    def append(self, taken: Any) -> None:
        super().append(taken)
        self._tell(taken)


def _mail_logger(log: Path) -> Callable[[StoredMail], None]:
    def write(mail: StoredMail) -> None:
        found = _DELIVERY.search(BytesHeaderParser().parsebytes(mail.raw).get("message-id", ""))
        event = str(uuid.UUID(found[1])) if found else "unknown"
        address = mail.recipients[0]
        append(log, number=f"m{next(_numbers)}", at=mail.received_at, yes_at=mail.received_at, target="email", event=event, address=address)  # fmt: skip

    return write


def _push_logger(log: Path) -> Callable[[ReceivedPush], None]:
    def write(push: ReceivedPush) -> None:
        # The key stands for a delivery, and cannot be read back: the evidence joins it.
        append(log, number=f"l{next(_numbers)}", at=push.received_at, yes_at=push.received_at, target="line", key=push.retry_key, address=push.to)  # fmt: skip

    return write


def join_line_keys(folder: Path) -> None:
    """Write beside each LINE push the delivery that its retry key stands for; after the run, when all are known."""
    pushes = [json.loads(line) for line in (folder / "requests.jsonl").read_text().splitlines() if '"line"' in line]
    if not pushes:
        return
    changes = [json.loads(line) for line in (folder / "changes.jsonl").read_text().splitlines()]
    ids = {one["id"] for one in changes if one["channel"] == "line"}
    by_key = {retry_key(uuid.UUID(one), form=form): one for one in ids for form in ("messages", "text")}
    for push in pushes:
        append(folder / "requests.jsonl", number=push["number"], event=by_key.get(push["key"], "unknown"))


def main() -> None:
    folder = Path(os.environ["CHAOS_FOLDER"])
    stop_signals = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, stop_signals)
    app = ChaosApp(folder, float(os.environ.get("CHAOS_SLOW_SECONDS", "0.5")))
    mail, line = MailSink(), LineServer()
    mail.mails = Watched(_mail_logger(folder / "requests.jsonl"))
    line.pushes = Watched(_push_logger(folder / "requests.jsonl"))
    with running(app, mail, line):
        addresses = {
            "webhook": app.webhook_url,
            "smtp_port": mail.smtp_port,
            "line": line.url,
            "line_token": line.channel_token,
        }
        print(json.dumps(addresses), flush=True)
        signal.sigwait(stop_signals)


if __name__ == "__main__":
    sys.exit(main())
