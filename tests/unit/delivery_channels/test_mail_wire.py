"""SMTP in two round trips, against relays that answer as they like."""

import asyncio
import datetime as dt
import uuid

import pytest

from app.delivery.channels.contract import AttemptResult, Outcome, OutgoingEmail
from app.delivery.channels.email import EmailChannel, MailRelay
from app.delivery.channels.mail_message import MailSender


class Relay(asyncio.Protocol):
    """Answers each command line from a script; what it heard is kept."""

    def __init__(self, script: dict[str, str], heard: list[str], greeting: str = "250-x\r\n250 PIPELINING") -> None:
        self._script = {"EHLO": greeting} | script
        self._heard = heard
        self._buffer = b""
        self._in_message = False

    def connection_made(self, transport):
        self._transport = transport
        self._heard.append("connected")
        transport.write(b"220 x\r\n")

    def data_received(self, data):
        self._heard.append(f"packet of {data.count(b'FROM') + data.count(b'RCPT') + data.count(b'DATA')}")
        self._buffer += data
        while b"\r\n" in self._buffer:
            line, _, self._buffer = self._buffer.partition(b"\r\n")
            if self._in_message and line != b".":
                self._heard.append(line.decode())
                continue
            verb = "." if self._in_message else line[:4].decode()
            answer = self._script.get(verb, "250 OK")
            self._in_message = verb == "DATA" and answer.startswith("354")
            self._transport.write(answer.encode() + b"\r\n")


def send(script: dict[str, str], *, times: int = 1, **options) -> tuple[list[AttemptResult], list[str]]:
    heard: list[str] = []
    now = dt.datetime(2026, 11, 24, tzinfo=dt.UTC)

    async def run() -> list[AttemptResult]:
        server = await asyncio.get_running_loop().create_server(lambda: Relay(script, heard, **options), "127.0.0.1", 0)
        channel = EmailChannel(MailRelay("127.0.0.1", server.sockets[0].getsockname()[1]), MailSender("x", "a@b.example"))
        results = []
        for _ in range(times):
            outgoing = OutgoingEmail(
                delivery_id=uuid.uuid4(),
                attempted_at=now,
                composed_at=now,
                recipient="c@d.example",
                subject="s",
                text="t",
                html="h",
            )
            results.append(await channel.send(outgoing))
        await channel.close()
        server.close()
        return results

    return asyncio.run(run()), heard


def test_the_envelope_goes_in_one_packet() -> None:
    (first, second), heard = send({"DATA": "354 go", ".": "250 taken"}, times=2)
    assert first.outcome is second.outcome is Outcome.ACCEPTED
    assert heard.count("packet of 3") == 2
    assert heard.count("connected") == 1


def test_a_relay_without_pipelining_gets_one_command_at_a_time() -> None:
    (result,), heard = send({"DATA": "354 go", ".": "250 taken"}, greeting="250 x")
    assert result.outcome is Outcome.ACCEPTED
    assert heard.count("packet of 1") == 3


@pytest.mark.parametrize("to_data", ["354 go", "503 no recipient", "554 no valid recipients"])
def test_a_refused_recipient_gets_no_message_and_the_connection_goes_on(to_data: str) -> None:
    script = {"RCPT": "550 5.1.1 unknown", "DATA": to_data, ".": "554 no recipient"}
    results, heard = send(script, times=2)
    assert {(result.outcome, result.error) for result in results} == {(Outcome.UNDELIVERABLE, "smtp_5.1.1")}
    assert not any("Subject" in line for line in heard)
    assert heard.count("connected") == 1


def test_a_refused_sender_is_our_fault() -> None:
    (result,), _ = send({"MAIL": "550 5.7.1 not you", "RCPT": "503 no", "DATA": "503 no"})
    assert (result.outcome, result.error) == (Outcome.PERMANENT_FAILURE, "smtp_sender")


def test_an_answer_of_several_lines_is_one_answer() -> None:
    (result,), _ = send({"DATA": "354 go", ".": "250-2.0.0 taken\r\n250 as 17"})
    assert result.response_excerpt == "2.0.0 taken\nas 17"


@pytest.mark.parametrize("nonsense", ["hello", "25", "2x0 OK", ""])
def test_what_is_no_smtp_ends_the_connection(nonsense: str) -> None:
    results, heard = send({"RCPT": nonsense}, times=2)
    assert {(result.outcome, result.error) for result in results} == {(Outcome.RETRY, "disconnected")}
    assert heard.count("connected") == 2
