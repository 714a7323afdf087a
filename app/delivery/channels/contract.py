"""What every channel is given and what it gives back.

A channel takes one message and makes one attempt. It returns an `AttemptResult` whatever the network does; it raises
only where a programmer made a mistake, and it always ends before its total deadline.
"""

import enum
import re
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol, TypeVar

#: Bytes of an answer that are read, and characters of it that are kept.
EXCERPT_LIMIT: Final = 4096
_NOT_PRINTED: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class Outcome(enum.StrEnum):
    """What became of one attempt, and therefore what to do next."""

    DELIVERED = "delivered"
    """The receiver itself said yes: done."""
    ACCEPTED = "accepted"
    """A carrier (mail relay, LINE) took it: done for us, though nobody promises that it arrives."""
    RETRY = "retry"
    """It may work later: uses up one step of the retry schedule."""
    THROTTLED = "throttled"
    """Too fast: pause this target for `retry_after_seconds`; uses up no step."""
    PERMANENT_FAILURE = "permanent_failure"
    """This message will never be taken as it is, and the fault is on our side: stop and look."""
    ENDPOINT_GONE = "endpoint_gone"
    """The receiver says that it is retired (410): disable it."""
    TARGET_BLOCKED = "target_blocked"
    """Our guard refused the address: nothing was sent."""
    CHANNEL_CLOSED = "channel_closed"
    """The carrier takes nothing from us now (quota used up, token refused): the whole channel rests, the row waits."""
    UNDELIVERABLE = "undeliverable"
    """This person cannot be reached through this channel (now): use the next one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptResult:
    """What one attempt came to.

    Attributes:
        status_code: HTTP status or SMTP reply code; None if there was no answer.
        error: a short stable name such as `timeout`, `connect` or `http_500`; None where it worked.
        response_excerpt: at most 4,096 characters of the answer, without the address it was sent to.
        retry_after_seconds: how long to pause (`throttled`, `channel_closed`), or to wait at least (`retry`).
        reference: what the carrier calls this message, for asking it later.
    """

    outcome: Outcome
    duration_seconds: float
    status_code: int | None = None
    error: str | None = None
    response_excerpt: str = ""
    retry_after_seconds: float | None = None
    reference: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """What all channels are given.

    Attributes:
        delivery_id: the row; everything that must be the same on every attempt is derived from it.
        attempted_at: the real moment of this attempt, with time zone.
    """

    delivery_id: uuid.UUID
    attempted_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingWebhook(Outgoing):
    """One signed POST.

    Attributes:
        webhook_id: the same over retries and replays; the receiver drops a second one.
        secrets: the live keys (`whsec_…`, `whsk_…`), newest first; two of a kind during a rotation.
        body: the exact bytes that are signed and sent.
    """

    webhook_id: str
    url: str
    secrets: tuple[str, ...] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingEmail(Outgoing):
    """One mail to one person.

    Attributes:
        composed_at: becomes the Date header; the same on every attempt.
        unsubscribe_url: the https address for one-click unsubscribing; None for mail that answers a person's own
            request, such as a sign-in code.
    """

    recipient: str = field(repr=False)
    subject: str = field(repr=False)
    text: str = field(repr=False)
    html: str = field(repr=False)
    composed_at: datetime
    unsubscribe_url: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingLine(Outgoing):
    """One push to one LINE user.

    Attributes:
        messages: one to five message objects of the Messaging API.
        fallback_text: sent as a plain text message instead if LINE finds fault with the message objects.
        first_attempted_at: of this delivery; LINE forgets a retry key after 24 hours.
    """

    user_id: str = field(repr=False)
    messages: tuple[Mapping[str, object], ...] = field(repr=False)
    fallback_text: str = field(default="", repr=False)
    first_attempted_at: datetime | None = None


_Given_contra = TypeVar("_Given_contra", bound=Outgoing, contravariant=True)


class Channel(Protocol[_Given_contra]):
    """A way out. One object lives as long as the worker process and owns its connections.

    Connections are opened by the first `send`, so a channel may be made before the process forks, and is then used
    from one event loop only.
    """

    async def send(self, outgoing: _Given_contra, /) -> AttemptResult:
        """Make one attempt."""

    async def close(self) -> None:
        """Release every connection."""


class Stopwatch:
    """Measures one attempt and stamps its duration on the result."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def result(
        self,
        outcome: Outcome,
        *,
        status_code: int | None = None,
        error: str | None = None,
        response_excerpt: str = "",
        retry_after_seconds: float | None = None,
        reference: str | None = None,
    ) -> AttemptResult:
        """Return the result of the attempt that began when this object was made."""
        return AttemptResult(
            outcome=outcome,
            duration_seconds=time.monotonic() - self._started,
            status_code=status_code,
            error=error,
            response_excerpt=response_excerpt,
            retry_after_seconds=retry_after_seconds,
            reference=reference,
        )


def excerpt(answer: bytes | str, *, without: str = "") -> str:
    """Return what is kept of an answer: bounded, printable, and without the address it was sent to."""
    text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
    text = _NOT_PRINTED.sub("\N{REPLACEMENT CHARACTER}", text[:EXCERPT_LIMIT])
    return re.sub(re.escape(without), "…", text, flags=re.IGNORECASE) if without else text
