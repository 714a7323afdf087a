"""Builds that are broken on purpose, so that it is seen that the checker would see it.

Each takes one promise away by replacing a function in a process of the run; `EXPECTED` names what the checker must say.
"""

import dataclasses
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import text

from app.delivery import claim, dispatch, record
from app.platform.database import worker_session
from app.safeguards import bereavement, protection, withdrawal

#: By name: which of these violations must be found.
EXPECTED: Final[dict[str, frozenset[str]]] = {
    "claim_without_gate": frozenset({"claimed_after_stop"}),
    "commit_after_sending": frozenset({"request_before_claim"}),
    "new_id_each_attempt": frozenset({"request_without_decision", "two_ids"}),
    "record_without_token": frozenset({"late_result_applied", "end_undone"}),
    "answer_without_waiting": frozenset({"request_after_answer"}),
    "no_sweep": frozenset({"lost"}),
    "wrong_partner": frozenset({"outside"}),
}


def break_worker(name: str) -> None:
    """Break this worker process (before it forks).

    Raises:
        ValueError: there is no such build.
    """
    if name and name not in EXPECTED:
        raise ValueError(f"found broken build {name!r}; expected one of {', '.join(EXPECTED)}")
    if name in _WORKER:
        _WORKER[name]()


def break_families(name: str) -> None:
    """Break a process that acts for families."""
    if name == "answer_without_waiting":
        for module in (withdrawal, protection, bereavement):
            module.wait_until_no_live_claim = lambda household_id, seconds=0.0: True  # type: ignore[attr-defined]


def _claim_without_gate() -> None:
    claim.why_not = lambda *given, **named: None  # type: ignore[assignment]


def _commit_after_sending() -> None:
    whole = claim.claim

    def in_a_session_of_its_own(session: Any, *given: Any, **named: Any) -> Any:
        opened = worker_session()
        own = opened.__enter__()
        # It waits in the loop that would end what it waits for.
        own.execute(text("SET LOCAL lock_timeout = '200ms'"))
        claimed = whole(own, *given, **named)

        def commit() -> None:
            own.commit()
            opened.__exit__(None, None, None)

        if claimed:
            threading.Timer(0.3, commit).start()
        else:
            commit()
        return claimed

    claim.claim = in_a_session_of_its_own


def _new_id_each_attempt() -> None:
    whole = dispatch.outgoing_of

    def with_another_id(row: Any, *given: Any) -> Any:
        outgoing = whole(row, *given)
        return (
            dataclasses.replace(outgoing, webhook_id=f"evt_{uuid.uuid4().hex}")
            if row.channel == "webhook"
            else outgoing
        )

    dispatch.outgoing_of = with_another_id


def _record_without_token() -> None:
    record._WRITE = text(record._WRITE.text.replace("AND d.claim_token = r.token", ""))


def _no_sweep() -> None:
    dispatch.something_due = lambda: False
    dispatch.Dispatcher._ring_for_what_waits = lambda self: None  # type: ignore[method-assign]


def _wrong_partner() -> None:
    whole = claim._targets
    seen: dict[Any, Any] = {}

    def of_another(*given: Any, **named: Any) -> Any:
        targets = whole(*given, **named)
        seen.update(targets)
        others = list(seen.values())
        return {key: others[int(time.time()) % len(others)] for key in targets}

    claim._targets = of_another


_WORKER: Final[dict[str, Callable[[], None]]] = {
    "claim_without_gate": _claim_without_gate,
    "commit_after_sending": _commit_after_sending,
    "new_id_each_attempt": _new_id_each_attempt,
    "record_without_token": _record_without_token,
    "no_sweep": _no_sweep,
    "wrong_partner": _wrong_partner,
}
