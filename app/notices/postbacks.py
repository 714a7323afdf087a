"""What a button in a message carries: an action for one contact and one notice, marked by us, for a limited time.

No fact stands in it, only ids; and it works only when the contact's own user presses it (`app.safeguards.line_events`).
"""

import base64
import binascii
import datetime as dt
import hmac
import struct
import uuid
from dataclasses import dataclass
from typing import Any, Final

from app.delivery.channels.line import POSTBACK_DATA_LIMIT
from app.households.outcomes import outcome_choices
from app.households.tables import ContactPoint
from app.notices.tables import Notice
from app.platform.errors import InvalidInput
from app.platform.rendering import phrases
from app.platform.sealing import blind_index

APPLIED, NOT_FOR_US, LATER, STOP = "applied", "not_for_us", "later", "stop"
ACTIONS: Final = (APPLIED, NOT_FOR_US, LATER, STOP)
LIFETIME: Final = dt.timedelta(days=90)
_PREFIX: Final = "t1."
_FORM: Final = ">BI16s16s"
_MARK_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Postback:
    """A button that was pressed, marked by us: what it asks for, and whether its time is over."""

    action: str
    contact_point_id: uuid.UUID
    notice_id: uuid.UUID
    expired: bool


def postback_data(action: str, contact_point_id: uuid.UUID, notice_id: uuid.UUID, now: dt.datetime) -> str:
    """Return the data of one button: opaque, unforgeable, for `LIFETIME` from now."""
    until = int((now + LIFETIME).timestamp())
    body = struct.pack(_FORM, ACTIONS.index(action), until, contact_point_id.bytes, notice_id.bytes)
    data = _PREFIX + base64.urlsafe_b64encode(body + _mark(body)).decode().rstrip("=")
    assert len(data) <= POSTBACK_DATA_LIMIT
    return data


def read_postback(data: str, now: dt.datetime) -> Postback:
    """Return what a button says.

    Raises:
        InvalidInput: it was not made by us, or was changed.
    """
    text = data.removeprefix(_PREFIX)
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        raw = b""
    size = struct.calcsize(_FORM)
    body, mark = raw[:size], raw[size:]
    if not data.startswith(_PREFIX) or len(raw) != size + _MARK_BYTES or not hmac.compare_digest(mark, _mark(body)):
        raise InvalidInput("found data of a button that Todoke did not make")
    action, until, contact, notice = struct.unpack(_FORM, body)
    return Postback(ACTIONS[action], uuid.UUID(bytes=contact), uuid.UUID(bytes=notice), now.timestamp() >= until)


def outcome_of(action: str, notice: Notice) -> str:
    """Return the outcome that a button means for a notice: "applied" is "vaccinated" for a vaccination."""
    if action == APPLIED:
        return outcome_choices(notice.content.get("programme_kind", ""))[0]
    return {NOT_FOR_US: "not_wanted", LATER: "later"}[action]


def buttons(contact: ContactPoint, told: Notice | None, now: dt.datetime) -> list[dict[str, str]]:
    """Return the buttons of a message: its outcome if it tells of one support alone, and always how to stop.

    Args:
        contact: whom the message goes to.
        told: the one notice that an outcome can be said of; None for an overview, several, or what is hidden.
        now: the clock's instant.
    """
    catalogue = phrases("notices/phrases.ja")
    made: list[dict[str, Any]] = []
    if told is not None:
        words = catalogue["outcome"] | catalogue["outcome_of_kind"].get(told.content.get("programme_kind", ""), {})
        made = [
            _button(words[outcome_of(action, told)], postback_data(action, contact.id, told.id, now))
            for action in (APPLIED, NOT_FOR_US, LATER)
        ]
    stop = postback_data(STOP, contact.id, uuid.UUID(int=0), now)
    return [*made, _button(phrases("notices/line_answers.ja")["labels"]["stop"], stop)]


def _button(label: str, data: str) -> dict[str, str]:
    return {"label": label, "data": data}


def _mark(body: bytes) -> bytes:
    return blind_index(body.hex(), "line postback")[:_MARK_BYTES]
