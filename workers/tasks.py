"""Tasks: each parses its ids, calls one use case and logs a summary."""

import logging

from app.delivery import dispatch
from app.platform import bell
from workers.celery_app import app

_logger = logging.getLogger(__name__)


@app.task(name=bell.DISPATCH)
def dispatch_deliveries() -> None:
    """Send what is due."""
    summary = dispatch.run_window()
    if summary.claimed:
        _logger.info("dispatch: %s", summary)


@app.task(name=bell.SWEEP)
def sweep() -> None:
    """Ring for deliveries that are due, whatever became of the rings before."""
    if dispatch.something_due():
        bell.ring_dispatch()
