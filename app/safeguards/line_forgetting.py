"""What the LINE-style platform told, and what linking used, is forgotten when nothing can come back to it any more."""

import datetime as dt
from typing import Final

from sqlalchemy import text

from app.platform import clock
from app.platform.database import worker_session

#: A second telling of an event is known by its row; none comes after so long.
EVENTS_KEPT: Final = dt.timedelta(days=30)
#: A link that the platform told of may have waited for a day to be worked; then its nonce is looked up.
SECRETS_KEPT: Final = dt.timedelta(days=2)
_OLD: Final = {"line_events": "worked_at", "line_nonces": "expires_at", "line_link_tokens": "expires_at"}


def forget_old() -> int:
    """Delete events worked a month ago, and link tokens and nonces that ended; return how many rows."""
    now = clock.real_now()
    forgotten = 0
    with worker_session() as session:
        for table, ended_at in _OLD.items():
            before = now - (EVENTS_KEPT if table == "line_events" else SECRETS_KEPT)
            rows = session.execute(
                text(f"DELETE FROM {table} WHERE {ended_at} < :before RETURNING 1"),  # noqa: S608
                {"before": before},
            )
            forgotten += len(rows.all())
        session.commit()
    return forgotten
