"""Tasks: each parses its ids, calls one use case and logs a summary."""

import logging

from app.delivery import dispatch, owner_mails
from app.insight import funnel, measures
from app.matching import audit, reach
from app.matching import sweep as matching
from app.matching.watch import beat
from app.notices import announce as notices
from app.notices import bulletin_rounds, replays
from app.platform import bell
from app.safeguards import alarm, line_events, line_forgetting, line_quota, moving
from workers.celery_app import app

_logger = logging.getLogger(__name__)
_BULLETIN_SECONDS = 10.0
"""Every worker may be at it: whatever else is due waits no longer than this."""


@app.task(name=bell.MATCH)
def match() -> None:
    """Evaluate what changed."""
    for run in matching.drain(matching.WINDOW_SECONDS):
        _logger.info("matched: municipality %s, %d households, %s", run.municipality_code, run.households, run.reason)
    beat("match")


@app.task(name=bell.REVIEW)
def review() -> None:
    """Carry out the moves whose day has come; queue the households one of whose rights has come to its review."""
    moved = moving.carry_out_due()
    if moved:
        _logger.info("moved: %d households", moved)
    queued = matching.queue_reviews()
    if queued:
        _logger.info("review: %d households queued", queued)
    beat("review")


@app.task(name=bell.ANNOUNCE)
def announce(municipality_code: str | None = None) -> None:
    """Plan and release notices for entitlements whose day has come, in one municipality or everywhere.

    Everywhere, who enrolled since also hears of the bulletins that are in force.
    """
    done = notices.announce(municipality_code)
    if done.households:
        _logger.info("announced: %d households, %d planned, %d queued", done.households, done.planned, done.queued)
    for code in sorted(done.municipalities):
        bell.ring(bell.COUNT, code)
    if municipality_code is None:
        newcomers = bulletin_rounds.tell_newcomers()
        if newcomers:
            _logger.info("bulletins: %d households that enrolled since", newcomers)
        beat("announce")  # the nightly look-up is over everywhere


@app.task(name=bell.RELEASE)
def release() -> None:
    """Release planned notices whose moment has come."""
    done = notices.release_due()
    if done.households:
        _logger.info("released: %d households, %d notices, %d queued", done.households, done.released, done.queued)
    beat("release")


@app.task(name=bell.BULLETINS)
def tell_bulletins() -> None:
    """Go on telling, or calling back, what is for everybody in an area."""
    households = bulletin_rounds.work_off(_BULLETIN_SECONDS)
    if households:
        _logger.info("bulletins: %d households", households)
    beat("bulletins")


@app.task(name=bell.COUNT)
def count(municipality_code: str) -> None:
    """Count the figures of one municipality."""
    funnel.count(municipality_code)


@app.task(name=bell.MEASURE)
def measure() -> None:
    """Measure what the metrics show."""
    measures.measure()


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
    beat("sweep")


@app.task(name=bell.REACH)
def count_reach() -> None:
    """Count whom drafts would reach, where staff asked."""
    answered = reach.count_asked()
    if answered:
        _logger.info("reach: %d questions answered", answered)


@app.task(name=bell.OVERSEE)
def oversee() -> None:
    """Go on with audits that are due, and raise the alarm about work that is overdue."""
    finished = audit.audit_due()
    if finished:
        _logger.info("audit: %d municipalities finished", finished)
    beat("oversee")
    alarm.raise_alarms()


@app.task(name=bell.LINE_EVENTS)
def work_line_events() -> None:
    """Work what the LINE-style platform told."""
    worked = line_events.work_events()
    if worked:
        _logger.info("line: %d events worked", worked)


@app.task(name=bell.LINE_QUOTA)
def read_line_quota() -> None:
    """Read what the month still allows on LINE, and forget what came from there long ago."""
    line_quota.read_quota()
    forgotten = line_forgetting.forget_old()
    if forgotten:
        _logger.info("line: %d old rows forgotten", forgotten)


@app.task(name=bell.OWNERS)
def tell_owners() -> None:
    """Tell the owners of endpoints that fail, or work again."""
    queued = owner_mails.tell_owners()
    if queued:
        _logger.info("owners: %d mails queued", queued)


@app.task(name=bell.REPLAY)
def replay() -> None:
    """Tell endpoints what they were never told, where their partners asked for it."""
    for done in replays.work_off():
        _logger.info("replay %s: %d households, %d queued, %s", done.id, done.households, done.queued, done.outcome)
