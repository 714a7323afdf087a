"""What a channel is given for a claimed row."""

import datetime as dt

from app.delivery.channels.contract import OutgoingEmail, OutgoingLine, OutgoingWebhook
from app.delivery.claim import Claimed


def outgoing_of(row: Claimed, attempted_at: dt.datetime) -> OutgoingWebhook | OutgoingEmail | OutgoingLine:
    """Return what the channel of a row is given; the row could be opened."""
    content = row.content
    if row.channel == "webhook":
        return OutgoingWebhook(
            delivery_id=row.id,
            attempted_at=attempted_at,
            webhook_id=row.event_id,
            url=row.url,
            secrets=row.secrets,
            body=content["body"].encode(),
        )
    if row.channel == "email":
        return OutgoingEmail(
            delivery_id=row.id,
            attempted_at=attempted_at,
            recipient=row.address,
            subject=content["subject"],
            text=content["text"],
            html=content["html"],
            composed_at=dt.datetime.fromisoformat(content["composed_at"]),
            unsubscribe_url=content["unsubscribe_url"],
        )
    return OutgoingLine(
        delivery_id=row.id,
        attempted_at=attempted_at,
        user_id=row.address,
        messages=tuple(content["messages"]),
        fallback_text=content["fallback_text"],
        first_attempted_at=row.first_attempted_at,
    )
