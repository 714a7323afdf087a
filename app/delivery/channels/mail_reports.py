"""Reading what comes back: delivery reports (RFC 3464), bounces that keep to no standard, complaints (RFC 5965).

Whom a report is about says the token of our return path and nothing else: addresses inside a report are other people's
words. What it means is read from the status (RFC 3463), then from the answer of the far server, then from its wording.

A report about us (policy, content, sender) is told apart from one about the address: it is ours to mend and says
nothing against the family.
"""

import email
import email.policy
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from enum import StrEnum
from typing import Final

from app.delivery.channels.contract import excerpt
from app.delivery.channels.mail_return_path import ReturnPaths

#: More than this of a report is not read: what it says stands at its beginning.
LONGEST_REPORT: Final = 1_000_000
_LONGEST_WORDING: Final = 20_000
_STATUS: Final = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?![\d.])")
_STATUS_OF_FAILURE: Final = re.compile(r"(?<![\d.])([45])\.(\d{1,3})\.(\d{1,3})(?![\d.])")
_REPLY: Final = re.compile(r"(?<![\d.])([45]\d\d)[ -]")
_ADDRESS: Final = re.compile(r"[^\s<>@]+@[^\s<>@]+")
#: Where the return path may stand: how the mail reached us, what our relay was given, what the far server was told.
_WHERE_TO: Final = ("Delivered-To", "X-Original-To", "Envelope-To", "X-Envelope-To", "To")
_OF_OURS: Final = ("Original-Envelope-Id", "Original-Mail-From", "Return-Path")
_DAEMON: Final = re.compile(r"mailer-daemon|postmaster|mail.delivery.(?:sub)?system|mail-daemon|mdaemon", re.IGNORECASE)
_DELAYED: Final = re.compile(
    r"not yet been delivered|warning message only|delivery (?:of .{0,80})?(?:has been )?delayed|will (?:be retried"
    r"|continue to (?:try|be attempted)|keep trying)|still trying|配信が遅れ",
    re.IGNORECASE,
)
_FAILED: Final = re.compile(
    r"undeliver|non-?delivery|returned mail|returned to sender|returning message|did ?n[o']t reach|delivery problem"
    r"|(?:could|was|is|has|be) ?(?:not|n't) (?:be |been )?(?:able to be )?(?:delivered|sent)"
    r"|(?:not|wasn't|un)[ -]?able to deliver"
    r"|fail(?:ed|ure)? .{0,30}(?:deliver|mail|recipient|notice)|(?:delivery|mail|recipients?) .{0,40}fail"
    r"|配信できません|送信できません|届けられません|配信不能|不達",
    re.IGNORECASE,
)
#: In this order: a full mailbox is often called unavailable, an unknown user is often called rejected.
_WORDING: Final = (
    (
        "soft",
        r"quota|(?:mailbox|inbox) (?:is |was )?full|over .{0,20}(?:size|storage|limit)"
        r"|exceed.{0,20}(?:storage|disk|space)"
        r"|insufficient .{0,10}(?:storage|space)|too many (?:messages|mails)|try again|容量|いっぱい",
    ),
    (
        "hard",
        r"(?:user|recipient|mailbox|address|account|addressee)\b.{0,60}(?:unknown|not (?:found|known|exist"
        r"|recogni[sz]ed|active|listed|valid)|n[o']t (?:have|exist|match)|invalid|disabled|inactive|unavailable"
        r"|no longer|cannot be found"
        r"|suspended|discontinued)"
        r"|(?:unknown|no such|no valid|invalid|bad|inactive|nonexistent|non-existent) (?:\w+ )?(?:user|recipient"
        r"|mailbox|address|account|local|person|alias|destination|host|domain)"
        r"|no mailbox|not our customer|unrouteable|address rejected"
        r"|(?:host|domain|nameserver) .{0,30}(?:not found|unknown|does not exist|matches)"
        r"|宛先不明|存在しません|見つかりません",
    ),
    (
        "policy",
        r"spam|junk|black ?list|block ?list|blocked|policy|reputation|\bspf\b|\bdkim\b|\bdmarc\b|virus|unsolicited"
        r"|content .{0,10}(?:rejected|filter)|too (?:large|big)|(?:maximum|exceed).{0,20}message size|迷惑メール",
    ),
)
_WORDINGS: Final = tuple((kind, re.compile(words, re.IGNORECASE)) for kind, words in _WORDING)
_MARKUP: Final = re.compile(r"<!--.*?-->|<style.*?</style>|<[a-z/!][^>@]*>|&nbsp;", re.IGNORECASE | re.DOTALL)
_RETURNED_BELOW: Final = re.compile(
    r"(?im)^.{0,20}(?:below this line|original message|old message|returned mail -"
    r"|copy of (?:the|your) (?:original )?message).*$"
)


class Kind(StrEnum):
    """What a mail that came in says about one that went out."""

    HARD = "hard"
    """The address does not exist, or no longer: nothing more goes there."""
    SOFT = "soft"
    """It could not be delivered this time (mailbox full, far server away)."""
    POLICY = "policy"
    """The far server will not have our mail: ours to mend."""
    DELAYED = "delayed"
    """The relay still tries: no bounce."""
    COMPLAINT = "complaint"
    """The person has called it unwanted (ARF)."""
    UNSUBSCRIBE = "unsubscribe"
    """The person has written to the unsubscribe address."""
    NOTHING = "nothing"
    """Delivered after all, or an automatic answer."""
    UNREADABLE = "unreadable"
    """None of these: for a person to look at."""


@dataclass(frozen=True, slots=True)
class Report:
    """One report.

    Attributes:
        kind: see `Kind`.
        delivery_id: whose it is, proven by a token of ours; None if it carries none.
        status: enhanced status such as `5.1.1`, or a reply code such as `550`; empty if it names none.
        wording: what the far server said, without addresses.
    """

    kind: Kind
    delivery_id: uuid.UUID | None = None
    status: str = ""
    wording: str = ""


def read_report(raw: bytes, paths: ReturnPaths, *, recipient: str = "") -> Report:
    """Read one mail that came to a return path. Whatever bytes it is made of, this does not fail.

    Args:
        raw: the mail.
        paths: ours.
        recipient: the envelope recipient, where the mail server tells it.
    """
    message = email.message_from_bytes(raw[:LONGEST_REPORT], policy=email.policy.compat32)
    kind, status, wording = _meaning(message)
    return Report(kind, _delivery_of(message, paths, recipient), status, excerpt(_ADDRESS.sub("…", wording))[:500])


def _meaning(message: Message) -> tuple[Kind, str, str]:
    parts = list(message.walk())
    for part in parts:
        if part.get_content_type() == "message/feedback-report":
            return _feedback(part)
    for part in parts:
        if part.get_content_type() == "message/delivery-status":
            return _delivery_status(part, _human_text(message))
    subject = _header(message, "Subject")
    if _from_a_daemon(message) or _FAILED.search(subject):
        return _unstructured(subject + "\n" + _human_text(message))
    if _automatic(message):
        return Kind.NOTHING, "", ""
    if "unsubscribe" in subject.lower():
        return Kind.UNSUBSCRIBE, "", ""
    return Kind.UNREADABLE, "", ""


def _feedback(part: Message) -> tuple[Kind, str, str]:
    """Read an abuse report (RFC 5965)."""
    fields = _fields(part)
    feedback = fields.get("feedback-type", "").strip().lower()
    if feedback == "not-spam":
        return Kind.NOTHING, "", feedback
    return (Kind.POLICY if feedback == "auth-failure" else Kind.COMPLAINT), "", feedback


def _delivery_status(part: Message, human: str) -> tuple[Kind, str, str]:
    """Read what a report says about its recipients; there is one only, because each mail has one."""
    blocks = part.get_payload()
    found = [_fields(block) for block in blocks if isinstance(block, Message)] if isinstance(blocks, list) else []
    recipients = [fields for fields in found if "action" in fields or "status" in fields or "final-recipient" in fields]
    if not recipients:
        return _unstructured(human)
    fields = next((one for one in recipients if _action(one) == "failed"), recipients[0])
    action, diagnosis = _action(fields), fields.get("diagnostic-code", "")
    status = _STATUS.search(fields.get("status", ""))
    if action == "delayed":
        return Kind.DELAYED, status[0] if status else "", diagnosis
    if action in ("delivered", "relayed", "expanded"):
        return Kind.NOTHING, status[0] if status else "", diagnosis
    better = _STATUS.search(diagnosis)
    if status is None or (better is not None and status[2] == "0"):
        status = better or status
    return _judged(status, diagnosis or human, final=True)


def _action(fields: dict[str, str]) -> str:
    # Without an action it is what its status says: only 5.x.x and 4.x.x are reported at all.
    return fields.get("action", "failed").split("(")[0].strip().lower()


def _unstructured(text: str) -> tuple[Kind, str, str]:
    """Read a bounce that is only words."""
    if _DELAYED.search(text):
        return Kind.DELAYED, "", ""
    return _judged(_STATUS_OF_FAILURE.search(text), text, final=bool(_FAILED.search(text)))


def _judged(status: re.Match[str] | None, text: str, *, final: bool) -> tuple[Kind, str, str]:
    """Return what a failure means.

    Args:
        status: its enhanced status, if it names one.
        text: what the far server said.
        final: it is certain that delivery has failed.
    """
    text = " ".join(text.split())
    reply = _REPLY.search(text)
    code = status[0] if status is not None else reply[1] if reply is not None else ""
    worded = next((Kind(kind) for kind, pattern in _WORDINGS if pattern.search(text)), None)
    kind = _by_status(status) if status is not None else None
    if kind is None or (kind is Kind.SOFT and status is not None and status[2] in "04" and worded is Kind.HARD):
        kind = worded
    if kind is None and (final or code):
        kind = Kind.SOFT
    return kind or Kind.UNREADABLE, code, text


def _by_status(status: re.Match[str]) -> Kind | None:
    """Return what an enhanced status means by itself (RFC 3463, RFC 7505); None where it is a mere shrug."""
    area, detail = status[2], status[3]
    if area == "7":
        return Kind.POLICY
    if status[1] == "4":
        return Kind.SOFT
    match area, detail:
        case "1", "7" | "8":
            return Kind.POLICY  # the sender's address
        case "1", _:
            return Kind.HARD
        case "2", "1":
            return Kind.HARD  # closed
        case "2", "3":
            return Kind.POLICY  # our message is too long
        case "4", "4" | "6":
            return Kind.HARD  # no such host; a loop of the family's forwarding
        case "2" | "3" | "4", _:
            return Kind.SOFT
        case "5" | "6", _:
            return Kind.POLICY
    return None


def _from_a_daemon(message: Message) -> bool:
    senders = " ".join(_header(message, name) for name in ("From", "Sender"))
    return bool(_DAEMON.search(senders)) or "X-Failed-Recipients" in message


def _automatic(message: Message) -> bool:
    """Whether a machine wrote it (RFC 3834), such as an answer during holidays."""
    submitted = _header(message, "Auto-Submitted").split(";")[0].strip().lower()
    precedence = _header(message, "Precedence").strip().lower()
    return submitted not in ("", "no") or precedence in ("bulk", "junk", "auto_reply") or "X-Autoreply" in message


def _delivery_of(message: Message, paths: ReturnPaths, recipient: str) -> uuid.UUID | None:
    for text in (recipient, *_places(message)):
        found = paths.delivery_in(text)
        if found is not None:
            return found
    return None


def _places(message: Message) -> Iterator[str]:
    for name in _WHERE_TO:
        yield from (str(value) for value in message.get_all(name, []))
    for part in message.walk():
        if part is message:
            continue
        fields = _fields(part) if part.get_content_type() == "message/feedback-report" else {}
        for name in _OF_OURS:
            yield from (str(value) for value in part.get_all(name, []))
            yield fields.get(name.lower(), "")
        if part.get_content_type() == "text/rfc822-headers":
            yield _returned_path(_text_of(part))


def _returned_path(headers: str) -> str:
    returned = email.message_from_string(headers, policy=email.policy.compat32)
    return _header(returned, "Return-Path")


def _fields(part: Message) -> dict[str, str]:
    """Return the fields of a block: parsed as headers, or still in the body where it was not taken for a message."""
    fields = {name.lower(): str(value).strip() for name, value in part.items()}
    if part.get_content_type() == "message/feedback-report":
        inner = part.get_payload()
        block = inner[0] if isinstance(inner, list) and inner else email.message_from_string(_text_of(part))
        if isinstance(block, Message):
            fields |= {name.lower(): str(value).strip() for name, value in block.items()}
    return fields


def _human_text(message: Message) -> str:
    """Return the words for people: the first text that is not the mail that came back."""
    for part in message.walk():
        if part.get_content_type() in ("message/rfc822", "text/rfc822-headers"):
            break
        if part.get_content_maintype() == "text":
            text = _RETURNED_BELOW.split(_text_of(part))[0]
            return _MARKUP.sub(" ", text) if part.get_content_subtype() == "html" else text
    return ""


def _text_of(part: Message) -> str:
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        return str(part.get_payload())[:_LONGEST_WORDING] if isinstance(part.get_payload(), str) else ""
    charset = part.get_content_charset() or "utf-8"
    try:
        return payload[:_LONGEST_WORDING].decode(charset, "replace")
    except LookupError:
        return payload[:_LONGEST_WORDING].decode("utf-8", "replace")


def _header(message: Message, name: str) -> str:
    return str(message.get(name, ""))
