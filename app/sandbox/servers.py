"""All stand-ins together, as `make demo` and the tests use them.

`python -m app.sandbox.servers` runs them as a process of their own and prints their addresses as one JSON line.
"""

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.sandbox.hosting import running
from app.sandbox.line_server import LineServer
from app.sandbox.mail_sink import MailSink
from app.sandbox.partner_app import PartnerApp


@dataclass(frozen=True, slots=True)
class Sandbox:
    """The three stand-ins while they run; each tells its addresses."""

    partner_app: PartnerApp
    mail_sink: MailSink
    line_server: LineServer

    def addresses(self) -> dict[str, str]:
        """Return what to type where: pages for a browser, and what the settings need."""
        return {
            "partner_app": self.partner_app.url,
            "webhook": self.partner_app.webhook_url,
            "mail_sink": self.mail_sink.url,
            "smtp": f"{self.mail_sink.smtp_host}:{self.mail_sink.smtp_port}",
            "line": self.line_server.url,
        }

    def forget(self) -> None:
        """Begin anew in all three."""
        self.partner_app.forget()
        self.mail_sink.forget()
        self.line_server.forget()


@contextmanager
def sandbox(*, log_path: Path | None = None) -> Iterator[Sandbox]:
    """Run the three stand-ins on one background thread until the block ends.

    Args:
        log_path: where the sample app appends verified events as JSON lines.
    """
    servers = Sandbox(PartnerApp(log_path=log_path), MailSink(), LineServer())
    with running(servers.partner_app, servers.mail_sink, servers.line_server):
        yield servers


def main() -> None:
    """Run the three stand-ins until SIGINT or SIGTERM."""
    stop_signals = {signal.SIGINT, signal.SIGTERM}
    # Blocked before the thread starts, so that it inherits the mask and only this one waits.
    signal.pthread_sigmask(signal.SIG_BLOCK, stop_signals)
    with sandbox() as servers:
        print(json.dumps(servers.addresses()), flush=True)  # noqa: T201 - the addresses are this program's output
        signal.sigwait(stop_signals)


if __name__ == "__main__":
    main()
