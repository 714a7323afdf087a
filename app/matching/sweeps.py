"""The life of a sweep: a publication becomes shards, shards are looked at in chunks, and the last one ends it.

A chunk is one short transaction in one municipality that also moves the shard's cursor, so a worker that dies loses
one chunk and another one goes on. Until the last shard is complete nothing is told about the programmes of a sweep,
and what it changed waits in the change queue under a reader of its own.
"""

import uuid
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sqlalchemy import text
from sqlmodel import Session, col, select

from app.matching import campaigns, quarantine
from app.matching.entitlements import Differences
from app.matching.tables import Sweep, SweepShard
from app.platform import clock
from app.platform.change_queue import NOTICES, forget, pass_on
from app.platform.identifiers import new_id
from app.registry.loading import Registry
from app.registry.versions import published_now
from app.rules.municipality_code import covers

RUNNING = "running"
_HUNDREDTHS = 100


def reader_of(sweep_id: uuid.UUID) -> str:
    """Return the reader under which the change queue keeps what a sweep changed."""
    return f"sweep:{sweep_id}"


def sweeping(session: Session) -> frozenset[str]:
    """Return the programmes of which nothing may be told yet, nor taken back.

    Those whose publication has not been evaluated for everybody, those in quarantine, and those that cannot be read,
    whether matching has met them yet or not. Any role but the web's, which sees the publications of its own
    municipality only.
    """
    registry, pending = published_now(session).registry, _publications_waiting(session)
    keys = {*registry.unreadable, *(key for key, _ in _with_relatives(registry, pending))}
    running = session.execute(text("SELECT unnest(programme_keys) FROM sweeps WHERE state = 'running'")).scalars()
    return frozenset({*keys, *running, *quarantine.quarantined_keys(session)})


def waits_to_begin(session: Session) -> bool:
    """Whether something was published that no sweep has taken up."""
    return bool(_publications_waiting(session))


def running(session: Session) -> list[uuid.UUID]:
    """Return the sweeps that run, the oldest first, and keep them from ending until this transaction does.

    What is queued under the reader of a sweep that ends meanwhile would wait there for nobody: the home page would say
    for ever that the family is being looked at.
    """
    statement = select(Sweep.id).where(Sweep.state == RUNNING).order_by(col(Sweep.id))
    return list(session.exec(statement.with_for_update(read=True, key_share=True)))


def begin(session: Session) -> Sweep | None:
    """Make one sweep of everything published since the last one began; None when nothing was. The caller commits."""
    rows = session.execute(
        text(
            "DELETE FROM changes WHERE id IN (SELECT id FROM changes WHERE reader = 'matching'"
            " AND household_id IS NULL ORDER BY id FOR UPDATE SKIP LOCKED) RETURNING programme_key, reason"
        )
    ).all()
    published = {key for key, _ in rows if key is not None}
    if not published:
        return None
    registry = published_now(session).registry
    areas = _with_relatives(registry, published)
    keys = sorted({key for key, _ in areas})
    reasons = {reason for _, reason in rows}
    sweep = Sweep(
        id=new_id(),
        programme_keys=keys,
        reason=quarantine.LIFTED if reasons == {quarantine.LIFTED} else "published",
        started_at=clock.now(),
    )
    session.add(sweep)
    session.flush()
    session.add_all(_shards(session, sweep.id, registry, areas))
    _take_over(session, sweep)
    campaigns.begin(session, sweep.id, keys, reader_of(sweep.id), clock.now())
    if quarantine.release(session, keys) or quarantine.LIFTED in reasons:
        pass_on(session, quarantine.READER, reader_of(sweep.id))
        if not quarantine.quarantined_keys(session):
            forget(session, quarantine.READER)
    session.flush()
    return sweep


def _publications_waiting(session: Session) -> set[str]:
    rows = session.execute(text("SELECT programme_key FROM changes WHERE reader = 'matching' AND household_id IS NULL"))
    return {key for key in rows.scalars() if key is not None}


def _with_relatives(registry: Registry, published: Collection[str]) -> set[tuple[str, str]]:
    """Return (programme, area) of what was published and of the programmes whose answers change with it.

    A local variant follows its original; the original is nobody's any more where a variant takes its place.
    """
    found = {(key, key.split("/", maxsplit=1)[0]) for key in published}
    for key, versions in registry.programmes.items():
        original, area = versions[-1].based_on, versions[-1].municipality
        if original is not None and (original in published or key in published):
            found |= {(key, area), (original, area)}
    return found


def _shards(
    session: Session, sweep_id: uuid.UUID, registry: Registry, areas: Collection[tuple[str, str]]
) -> Iterable[SweepShard]:
    """Return one shard for each municipality in which somebody enrolled may be concerned."""
    homes = session.execute(text("SELECT municipality_code, count(*) FROM households GROUP BY 1 ORDER BY 1")).all()
    reaching = {key for key, versions in registry.programmes.items() if any(version.reaches for version in versions)}
    for code, households in homes:
        keys = sorted({key for key, area in areas if covers(area, code) or key in reaching})
        if keys:
            yield SweepShard(
                sweep_id=sweep_id, municipality_code=code, programme_keys=keys, households_expected=households
            )


def _take_over(session: Session, sweep: Sweep) -> None:
    """Take the programmes that were published again out of the sweeps that still look at their earlier versions."""
    others = select(Sweep).where(Sweep.state == RUNNING, Sweep.id != sweep.id).order_by(col(Sweep.id))
    for other in session.exec(others.with_for_update()):
        kept = [key for key in other.programme_keys if key not in sweep.programme_keys]
        if len(kept) == len(other.programme_keys):
            continue
        pass_on(session, reader_of(other.id), reader_of(sweep.id))
        other.programme_keys = kept
        if not kept:
            other.state, other.finished_at = "superseded", clock.now()
            forget(session, reader_of(other.id))
        session.add(other)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sweep goes on: a shard that this transaction has locked, and the programmes still to be looked at."""

    shard: SweepShard
    programme_keys: tuple[str, ...]


def next_place(session: Session, but_not: Collection[str] = ()) -> Place | None:
    """Lock the next shard that nobody works on, the fullest town of the oldest sweep first; None: there is none.

    Args:
        session: of the worker, without a municipality yet.
        but_not: municipalities that somebody else keeps locked.
    """
    statement = (
        select(SweepShard)
        .join(Sweep, col(Sweep.id) == col(SweepShard.sweep_id))
        .where(Sweep.state == RUNNING, SweepShard.state == "waiting")
        .where(col(SweepShard.municipality_code).not_in(list(but_not)))
        .order_by(col(Sweep.id), col(SweepShard.households_expected).desc(), col(SweepShard.municipality_code))
        .limit(1)
        .with_for_update(of=SweepShard, skip_locked=True)
    )
    found = session.exec(statement).first()
    if found is None:
        return None
    shard = found
    # Who takes programmes over waits until this chunk has written down whom it changed, and is seen by the next one.
    still_wanted = session.exec(
        select(Sweep.programme_keys).where(Sweep.id == shard.sweep_id).with_for_update(read=True, key_share=True)
    ).one()
    return Place(shard, tuple(key for key in shard.programme_keys if key in still_wanted))


def move_on(
    session: Session, place: Place, last_household_id: uuid.UUID | None, looked_at: int, written: Differences
) -> None:
    """Move a shard's cursor in the transaction that stored its chunk; without a household it is complete."""
    shard = place.shard
    shard.started_at = shard.started_at or clock.now()
    shard.households += looked_at
    shard.rights_added += written.added
    shard.rights_changed += written.changed
    shard.rights_removed += written.removed
    if last_household_id is None:
        shard.state, shard.finished_at = "complete", clock.now()
    else:
        shard.last_household_id = last_household_id
    session.add(shard)
    session.flush()


def settle(session: Session) -> list[str]:
    """Note how far the running sweeps are and end those whose shards are all complete. The caller commits.

    Returns:
        the municipalities in which something may be told now.
    """
    released: list[str] = []
    statement = select(Sweep).where(Sweep.state == RUNNING).order_by(col(Sweep.id)).with_for_update(key_share=True)
    for sweep in session.exec(statement):
        waiting, looked_at, expected = session.execute(
            text(
                "SELECT count(*) FILTER (WHERE state = 'waiting'), coalesce(sum(households), 0),"
                " coalesce(sum(households_expected), 0) FROM sweep_shards WHERE sweep_id = :id"
            ),
            {"id": sweep.id},
        ).one()
        if waiting:
            sweep.share_done = min(_HUNDREDTHS - 1, _HUNDREDTHS * int(looked_at) // max(int(expected), 1))
        else:
            released += _end(session, sweep)
        session.add(sweep)
    session.flush()
    return sorted(set(released))


def _end(session: Session, sweep: Sweep) -> list[str]:
    """End a sweep; what it changed goes on to the notices. Nothing of a broken programme is told."""
    # Whoever queues under its reader has the row locked (`running`): what they write is passed on as well.
    session.execute(select(Sweep.id).where(Sweep.id == sweep.id).with_for_update())
    broken = set(sweep.programme_keys) & quarantine.quarantined_keys(session)
    failed = bool(sweep.programme_keys) and broken == set(sweep.programme_keys)
    sweep.state, sweep.share_done = ("failed" if failed else "complete"), _HUNDREDTHS
    sweep.finished_at = clock.now()
    campaigns.complete(session, sweep.id, clock.now())
    pass_on(session, reader_of(sweep.id), NOTICES)
    if broken:
        pass_on(session, reader_of(sweep.id), quarantine.READER)
    forget(session, reader_of(sweep.id))
    return list(session.exec(select(SweepShard.municipality_code).where(SweepShard.sweep_id == sweep.id)))
