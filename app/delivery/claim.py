"""The claim: takes due rows for sending, and stops those that may no longer go.

It runs in a short transaction that is committed before anything is sent. It locks the gate rows of the households
`FOR SHARE`: a withdrawal or a protection flag has either committed before, and is seen, or waits until the claim has
committed. Households that somebody is changing right now are left for the next claim, so the two never block each
other. What is due follows the caller's `now` (`app.platform.clock`); leases are real time.
"""

import datetime as dt
import time
import uuid
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Result, TextClause, text
from sqlmodel import Session, col, select

from app.delivery import channel_health, pace, recovery
from app.delivery.fairness import Share, allot
from app.delivery.halting import hold
from app.delivery.outbox import ENDED_UNTOLD, KEY_GIVEN_AWAY, Lane, address_of, content_of
from app.delivery.queues import LAPSED, LIVE, queue_states, room_now
from app.partners.endpoint_keys import live_keys
from app.partners.tables import PartnerEndpoint
from app.platform.change_queue import NOTICES
from app.platform.clock import real_now
from app.platform.database import Context, app_session
from app.platform.errors import Misconfigured
from app.platform.halts import halts_in_force
from app.platform.identifiers import new_id

#: Why a row cannot be opened. The first is for good; the others may be put right by an operator or by a new secret.
CONTENT_UNREADABLE, KEY_MISSING, SECRET_UNREADABLE = "content_unreadable", "key_missing", "secret_unreadable"
_CANCELLED_AT_ONCE: Final = 5000
#: Workers end for many reasons, and take along whatever they held. Rows that were lost so often are claimed one at a
#: time from then on, so that one that ends its worker is found out, and those that were only near it are sent …
SUSPECT_AFTER: Final = 3
#: … and ends at so many.
MOST_LOSSES: Final = 12
_HALTED_BY: Final = ("channel", "partner_id", "municipality_code", "programme_keys")
_Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """One row that is ours until its lease ends.

    Attributes:
        token: fences off whoever loses the lease.
        content: what was sealed in the row; empty if it cannot be opened.
        unreadable: why it or the endpoint's secret cannot be opened; empty if all is well.
        claimed_at: reading of the monotonic clock just before the claim.
    """

    id: uuid.UUID
    token: uuid.UUID
    queue: str
    channel: str
    event_id: str
    requests: int
    retries: int
    first_attempted_at: dt.datetime
    expires_at: dt.datetime | None
    municipality_code: str
    contact_point_id: uuid.UUID | None
    endpoint_id: uuid.UUID | None
    claimed_at: float
    tried_before: bool = False
    content: Mapping[str, Any] = field(repr=False)
    unreadable: str = ""
    address: str = field(default="", repr=False)
    url: str = ""
    secrets: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a row does not go: the state it ends in, and the word that the log shows."""

    state: str
    reason: str


#: Sent again after what it says had ended.
_NO_LONGER_SO: Final = Refusal("cancelled", "superseded")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a dispatcher asks for.

    Attributes:
        free: free sockets by channel.
        resting: queues that this process leaves alone for now.
        turn: grows with every claim.
        claimed_by: number of the process, by which its death is seen; None: only the lease tells.
    """

    free: Mapping[str, int]
    resting: Collection[str] = ()
    turn: int = 0
    lease_seconds: float = 40.0
    claimed_by: int | None = None


def claim(session: Session, now: dt.datetime, request: Request) -> list[Claimed]:
    """Take due rows for sending. The caller commits before it sends any of them.

    Rows that may no longer go become `cancelled` or `expired` in the same transaction; halted ones wait.
    """
    claimed_at = time.monotonic()
    states = queue_states(session, now)
    _cancel_for_disabled(session, [state.waiting.queue for state in states if state.disabled])
    usable = [state.waiting for state in states if not state.disabled and state.waiting.queue not in request.resting]
    shares = allot(usable, request.free, request.turn)
    limited = {state.waiting.queue: state.limited for state in states if state.limited is not None}
    shares = _within_limits(session, shares, limited) if limited else shares
    candidates = _lock_candidates(session, shares, now) if shares else []
    gates = _lock_gates(session, candidates)
    halts = halts_in_force(session)
    again = [row["id"] for row in candidates if row["resent_at"] is not None]
    ended = recovery.ended_since(session, again) if again else ()
    going: list[_Row] = []
    refused: dict[Refusal, list[uuid.UUID]] = {}
    held: dict[uuid.UUID, list[uuid.UUID]] = {}
    for row in candidates:
        gate = gates.get(row["household_id"])
        if row["household_id"] is not None and gate is None:
            continue
        if refusal := why_not(row, gate, now) or (_NO_LONGER_SO if row["id"] in ended else None):
            refused.setdefault(refusal, []).append(row["id"])
        elif halt_id := halts.halting(**{name: row[name] for name in _HALTED_BY}):
            held.setdefault(halt_id, []).append(row["id"])
        else:
            going.append(row)
    for refusal, ids in refused.items():
        _refuse(session, refusal, ids)
    for halt_id, ids in held.items():
        hold(session, halt_id, ids)
    if taken := Counter(limited[row["queue"]] for row in going if row["queue"] in limited):
        pace.spend(session, taken)
    channel_health.spend(session, Counter(row["channel"] for row in going), real_now())
    return _take(session, going, request, claimed_at) if going else []


def _within_limits(session: Session, shares: Sequence[Share], limited: Mapping[str, uuid.UUID]) -> list[Share]:
    """Look again at queues whose limits must be exact, one claim after the other."""
    chosen = {share.queue: limited[share.queue] for share in shares if share.queue in limited}
    if not chosen:
        return list(shares)
    pace.lock(session, chosen.values())
    return pace.cut(shares, room_now(session, chosen))


def why_not(row: _Row, gate: _Row | None, now: dt.datetime) -> Refusal | None:
    """Say why a due row may not go, or None if it may.

    Args:
        row: a row of `deliveries`.
        gate: the household's gate row as it is now; None where no household is concerned.
        now: of `app.platform.clock`.
    """
    if row["stop_reason"] is not None:
        return Refusal("cancelled", row["stop_reason"])
    if row["expires_at"] is not None and row["expires_at"] <= now:
        return Refusal("expired", "expired")
    if gate is not None:
        if row["consent_epoch"] is not None and row["consent_epoch"] != gate["consent_epoch"]:
            return Refusal("cancelled", "consent_withdrawn")
        if row["lane"] != Lane.TRANSACTIONAL and set(row["subjects"]) & set(gate["stopped_subjects"]):
            return Refusal("cancelled", "person_stopped")
        if gate["protected_at"] is not None and not _confirmed_after(row, gate["protected_at"]):
            return Refusal("cancelled", "protected")
    if row["state"] == "sending" and row["losses"] + 1 >= MOST_LOSSES:
        return Refusal("failed", "worker_lost")
    return None


def _confirmed_after(row: _Row, protected_at: dt.datetime) -> bool:
    if row["channel"] == "webhook" or row["partner_id"] is not None:
        return False
    confirmed_at: dt.datetime | None = row["contact_confirmed_at"]
    return confirmed_at is not None and confirmed_at > protected_at


def wait_until_no_live_claim(household_id: uuid.UUID, seconds: float = 3.0) -> bool:
    """Wait until no worker holds a row of this household; call it after the commit of a withdrawal or protection.

    Returns:
        False if a request is still under way when the time is up: it had begun before the commit.
    """
    give_up_at = time.monotonic() + seconds
    while True:
        with app_session(Context(household=household_id)) as session:
            held = session.execute(
                text(
                    "SELECT EXISTS (SELECT FROM deliveries WHERE household_id = :household_id"
                    " AND state = 'sending' AND lease_until > clock_timestamp())"
                ),
                {"household_id": household_id},
            ).scalar_one()
        if not held:
            return True
        if time.monotonic() > give_up_at:
            return False
        time.sleep(0.03)


def _cancel_for_disabled(session: Session, queues: Sequence[str]) -> None:
    if not queues:
        return
    session.execute(
        text(
            "UPDATE deliveries SET state = 'cancelled', last_error = coalesce(stop_reason, 'endpoint_disabled'),"  # noqa: S608
            f" finished_at = now(), halt_id = NULL, lease_until = NULL, claim_token = NULL, {KEY_GIVEN_AWAY}"
            " WHERE id IN (SELECT id FROM deliveries WHERE queue = ANY(:queues)"
            f" AND {LIVE} AND (state <> 'sending' OR {LAPSED}) LIMIT :most FOR UPDATE SKIP LOCKED)"
        ),
        {"queues": list(queues), "most": _CANCELLED_AT_ONCE},
    )


_COLUMNS: Final = (
    "id, d.queue, lane, channel, state, household_id, municipality_code, partner_id, endpoint_id, contact_point_id,"
    " contact_confirmed_at, address_sealed, subjects, programme_keys, event_id, message_sealed,"
    " consent_epoch, stop_reason, expires_at, resent_at, first_attempted_at, requests, retries, losses"
)


#: Households that somebody is changing right now are passed over here, so that they hold up nobody behind them.
_OPEN_GATE: Final = (
    "(d.household_id IS NULL OR EXISTS (SELECT FROM households h WHERE h.id = d.household_id FOR SHARE SKIP LOCKED))"
)


def _candidates(condition: str) -> TextClause:
    return text(
        "SELECT chosen.* FROM unnest(CAST(:queues AS text[]), CAST(:counts AS int[])) AS share (queue, rows)"  # noqa: S608
        f" CROSS JOIN LATERAL (SELECT {_COLUMNS} FROM deliveries d WHERE d.queue = share.queue"
        f" AND {_OPEN_GATE} AND {condition} LIMIT share.rows FOR UPDATE SKIP LOCKED) AS chosen"
    )


_DUE: Final = "next_attempt_at <= :now ORDER BY next_attempt_at"
_FRESH: Final = _candidates(f"state = 'scheduled' AND {_DUE}")
_AGAIN: Final = _candidates(f"state = 'retrying' AND {_DUE}")
# It was due when it was claimed; a clock that went back does not make it wait.
_LOST: Final = _candidates(f"{LAPSED} AND losses < {SUSPECT_AFTER} ORDER BY next_attempt_at")
_SUSPECTS: Final = _candidates(f"{LAPSED} AND losses >= {SUSPECT_AFTER} ORDER BY next_attempt_at")
_SUSPECT: Final = text(f"{_SUSPECTS} LIMIT 1")


def _lock_candidates(session: Session, shares: Sequence[Share], now: dt.datetime) -> list[_Row]:
    fresh = {share.queue: share.first_attempts for share in shares if share.first_attempts}
    further = Counter({share.queue: share.further_attempts for share in shares if share.further_attempts})
    rows = _lock(session, _FRESH, fresh, now)
    lost = _lock(session, _LOST, further, now)
    further -= Counter(row["queue"] for row in lost)
    suspect = _lock(session, _SUSPECT, further, now)
    further -= Counter(row["queue"] for row in suspect)
    return [*rows, *lost, *suspect, *_lock(session, _AGAIN, further, now)]


def _lock(session: Session, statement: TextClause, counts: Mapping[str, int], now: dt.datetime) -> list[_Row]:
    if not counts:
        return []
    values = {"queues": list(counts), "counts": list(counts.values()), "now": now}
    return _dicts(session.execute(statement, values))


def _dicts(found: Result[Any]) -> list[_Row]:
    names = tuple(found.keys())
    return [dict(zip(names, row, strict=True)) for row in found.all()]


def _lock_gates(session: Session, candidates: Sequence[_Row]) -> dict[uuid.UUID, _Row]:
    ids = sorted({row["household_id"] for row in candidates if row["household_id"] is not None})
    if not ids:
        return {}
    rows = session.execute(
        text(
            "SELECT id, consent_epoch, protected_at, stopped_subjects FROM households WHERE id = ANY(:ids)"
            " ORDER BY id FOR SHARE SKIP LOCKED"
        ),
        {"ids": ids},
    )
    return {row["id"]: row for row in _dicts(rows)}


def _refuse(session: Session, refusal: Refusal, ids: Sequence[uuid.UUID]) -> None:
    """End rows that may not go; what a family or an app did not hear by that is looked at again, under today's gate."""
    session.execute(_REFUSE, {"state": refusal.state, "reason": refusal.reason, "ids": list(ids), "reader": NOTICES})


_REFUSE: Final = text(f"""
WITH ended AS (
    UPDATE deliveries d SET state = r.state, last_error = r.reason, finished_at = now(), halt_id = NULL,
        lease_until = NULL, claim_token = NULL,
        stop_reason = CASE WHEN r.state = 'cancelled' THEN r.reason ELSE d.stop_reason END,
        dedupe_key = CASE WHEN d.lane <> 'transactional' AND (r.state = 'cancelled'
            OR (r.state = 'failed' AND d.lane = 'notice')) THEN d.dedupe_key || ':' || d.id ELSE d.dedupe_key END
    FROM (SELECT CAST(:state AS text) AS state, CAST(:reason AS text) AS reason) AS r WHERE d.id = ANY(:ids)
    RETURNING d.state, d.lane, d.stop_reason, d.household_id, d.municipality_code
)
INSERT INTO changes (household_id, municipality_code, reader, reason)
SELECT DISTINCT household_id, municipality_code, :reader, 'called back' FROM ended
WHERE {ENDED_UNTOLD} AND stop_reason IS NOT NULL AND household_id IS NOT NULL
""")  # noqa: S608


def _take(session: Session, rows: Sequence[_Row], request: Request, claimed_at: float) -> list[Claimed]:
    token, real = new_id(), real_now()
    session.execute(
        text(
            "UPDATE deliveries SET losses = losses + CAST(state = 'sending' AS int), state = 'sending',"
            " claim_token = :token, claimed_by = :claimed_by,"
            " lease_until = clock_timestamp() + make_interval(secs => :lease), requests = requests + 1,"
            " first_attempted_at = coalesce(first_attempted_at, :real) WHERE id = ANY(:ids)"
        ),
        {
            "ids": [row["id"] for row in rows],
            "token": token,
            "claimed_by": request.claimed_by,
            "lease": request.lease_seconds,
            "real": real,
        },
    )
    targets = _targets(session, {row["endpoint_id"] for row in rows if row["endpoint_id"] is not None}, real)
    return [_claimed(row, token, real, claimed_at, targets.get(row["endpoint_id"], ("", ()))) for row in rows]


def _targets(
    session: Session, endpoint_ids: Collection[uuid.UUID], real: dt.datetime
) -> dict[uuid.UUID, tuple[str, tuple[str, ...]]]:
    """Return address and live keys by endpoint; one whose keys cannot be opened is left out."""
    targets = {}
    if endpoint_ids:
        for endpoint in session.exec(select(PartnerEndpoint).where(col(PartnerEndpoint.id).in_(endpoint_ids))):
            with suppress(ValueError, Misconfigured):
                targets[endpoint.id] = (endpoint.url, live_keys(endpoint, real))
    return targets


def _claimed(
    row: _Row, token: uuid.UUID, real: dt.datetime, claimed_at: float, target: tuple[str, tuple[str, ...]]
) -> Claimed:
    url, secrets = target
    content: Mapping[str, Any] = {}
    address, unreadable = "", ""
    try:
        content = content_of(row["id"], row["message_sealed"])
        address = "" if row["channel"] == "webhook" else address_of(row["id"], row["address_sealed"])
    except ValueError:
        unreadable = CONTENT_UNREADABLE
    except Misconfigured:
        unreadable = KEY_MISSING
    if row["channel"] == "webhook" and not secrets:
        unreadable = unreadable or SECRET_UNREADABLE
    return Claimed(
        id=row["id"],
        token=token,
        queue=row["queue"],
        channel=row["channel"],
        event_id=row["event_id"],
        requests=row["requests"] + 1,
        retries=row["retries"],
        first_attempted_at=row["first_attempted_at"] or real,
        tried_before=row["first_attempted_at"] is not None,
        expires_at=row["expires_at"],
        municipality_code=row["municipality_code"],
        contact_point_id=row["contact_point_id"],
        endpoint_id=row["endpoint_id"],
        claimed_at=claimed_at,
        content=content,
        unreadable=unreadable,
        address=address,
        url=url,
        secrets=secrets,
    )
