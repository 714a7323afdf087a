"""One mail to a partner's technical contact, from the templates of a folder, through the outbox."""

import datetime as dt
from typing import Any

from app.delivery.outbox import EmailMessage, Lane
from app.partners.tables import Partner
from app.platform import clock
from app.platform.rendering import render


def partner_mail(
    partner: Partner,
    address: str,
    folder: str,
    values: dict[str, Any],
    *,
    dedupe_key: str,
    event_id: str,
    event_type: str,
    life: dt.timedelta,
) -> EmailMessage:
    """Return the mail that `subject.txt`, `email.txt` and `email.html` of a folder make; it expires after its life."""
    now = clock.now()
    return EmailMessage(
        dedupe_key=dedupe_key,
        event_id=event_id,
        event_type=event_type,
        due_at=now,
        expires_at=now + life,
        lane=Lane.TRANSACTIONAL,
        partner_id=partner.id,
        address=address,
        subject=render(f"{folder}/subject.txt", **values),
        text=render(f"{folder}/email.txt", **values),
        html=render(f"{folder}/email.html", **values),
        composed_at=now,
    )
