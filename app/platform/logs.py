"""Logs: one JSON object per line, tracebacks without the values of variables.

A traceback that prints local variables would write whatever a function holds, families' answers among them.
"""

import structlog


def configure_logs() -> None:
    """Set how this process logs; every process does so once, when it starts."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
    )
