"""The alarm of overdue work: logged as an error, and mailed to the operator at most once a day for each cause."""

import datetime as dt
import logging

from app.delivery.outbox import EmailMessage, Lane, enqueue_all
from app.matching.watch import Overdue, overdue
from app.platform import bell, clock
from app.platform.database import worker_session
from app.platform.rendering import render
from app.platform.settings import settings

_TEMPLATES = "notices/transactional/operator_alarm"
_logger = logging.getLogger(__name__)


def raise_alarms() -> list[Overdue]:
    """Look for overdue work, log each cause and queue a mail for each that was not mailed today; return the causes."""
    with worker_session() as session:
        causes = overdue(session, clock.real_now())
        for cause in causes:
            _logger.error("overdue: %s, last sign %s", cause.name, cause.since.isoformat(timespec="seconds"))
        if settings().operator.address:
            enqueue_all(session, [_mail(cause, clock.now()) for cause in causes])
        session.commit()
    if causes:
        bell.ring_dispatch()
    return causes


def _mail(cause: Overdue, now: dt.datetime) -> EmailMessage:
    key = f"alarm:{cause.name}:{clock.japan_date(clock.real_now())}"
    words = {
        "name": cause.name,
        "since": cause.since.astimezone(clock.JAPAN).strftime("%Y-%m-%d %H:%M"),
        "hours": max(1, int(cause.expected.total_seconds() // 3600)),
    }
    return EmailMessage(
        dedupe_key=key,
        event_id=key.replace(":", "_"),
        event_type="operator.alarm",
        lane=Lane.TRANSACTIONAL,
        due_at=now,
        address=settings().operator.address,
        subject=render(f"{_TEMPLATES}/subject.txt", **words),
        text=render(f"{_TEMPLATES}/email.txt", **words),
        html=render(f"{_TEMPLATES}/email.html", **words),
        composed_at=now,
    )
