"""Campaigns: what one publication of one programme may send, and when.

While its sweep counts, nothing of the programme is told and nothing told is taken back. Then the households that gained
and lost are compared with what the preview said: who published something else than they looked at is asked. So is who
publishes to more than ten thousand households without any preview: nobody has seen that number, a wrong rule shows in
nothing else before the phones ring, and saying yes costs one click. A large campaign that needs no question begins with
a few families. A campaign that takes the place of one that somebody held back is asked about as well, whatever its own
numbers: the rights held back then would otherwise go out with the next small correction.

    counting → open | canary | paused
    paused → approved | rejected, by a person
    approved → canary | open
    canary → open | paused, as `app.notices.canary` finds what came of the first

Families for whom a sweep changed something stored before wait in the change queue, under the campaign's own reader,
until the campaign is open.
"""

import datetime as dt
import hashlib
import uuid
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, and_, func, or_, text
from sqlalchemy.orm import Mapped
from sqlmodel import Session, col, select

from app.matching.oversight_tables import Campaign, ReachCount
from app.platform import clock
from app.platform.change_queue import NOTICES, forget, many_rights_changed, pass_on
from app.platform.errors import NotFound, NotPermitted
from app.platform.settings import settings
from app.platform.small_counts import rounded

HOLDING: Final = ("counting", "canary", "paused", "approved", "rejected")
"""States in which not everybody may be told."""
SIZE, NO_PREVIEW, EARLIER, CANARY = "size", "no_preview", "earlier", "canary"
_HASH_RANGE: Final = 1 << 24


@dataclass(frozen=True, slots=True)
class Held:
    """What campaigns hold back now.

    Attributes:
        programmes: told to nobody.
        canaries: told to a few: programme → (campaign, share).
    """

    programmes: frozenset[str] = frozenset()
    canaries: Mapping[str, tuple[uuid.UUID, float]] = field(default_factory=dict)

    def holds(self, programme_key: str, household_id: uuid.UUID) -> bool:
        """Say whether a household is not told of a programme yet."""
        if programme_key in self.canaries:
            return not is_canary(*self.canaries[programme_key], household_id)
        return programme_key in self.programmes

    def of(self, household_id: uuid.UUID) -> frozenset[str]:
        """Return the programmes of which a household is not told yet."""
        few = (key for key in self.canaries if self.holds(key, household_id))
        return self.programmes.union(few)

    def lets_through(self, programme_key: Mapped[str], household_id: Mapped[uuid.UUID]) -> ColumnElement[bool]:
        """Return the same as a condition on rows of a programme and a household, for whoever looks for what is due."""
        all_but = programme_key.not_in(self.programmes | self.canaries.keys())
        few = (
            and_(programme_key == key, are_canaries(campaign_id, share, household_id))
            for key, (campaign_id, share) in self.canaries.items()
        )
        return or_(all_but, *few)


def held(session: Session) -> Held:
    """Read what campaigns hold back now."""
    rows = session.execute(
        text("SELECT id, programme_key, state, canary_share FROM campaigns WHERE state = ANY(:holding)"),
        {"holding": list(HOLDING)},
    ).all()
    canaries = {row.programme_key: (row.id, row.canary_share) for row in rows if row.state == "canary"}
    return Held(frozenset(row.programme_key for row in rows) - canaries.keys(), canaries)


def is_canary(campaign_id: uuid.UUID, share: float, household_id: uuid.UUID) -> bool:
    """Say whether a household is among the few that hear first: always the same few, of all towns alike.

    Other ones in each campaign, so that no family is always the first.
    """
    digest = hashlib.sha256(f"{campaign_id}{household_id}".encode()).digest()
    return int.from_bytes(digest[:3]) < _HASH_RANGE * share


def are_canaries(campaign_id: uuid.UUID, share: float, household_id: Any) -> ColumnElement[bool]:
    """Return the condition that `is_canary` is, on a column of household ids."""
    digest = func.sha256(func.convert_to(func.concat(str(campaign_id), household_id), "UTF8"))
    place = func.get_byte(digest, 0) * 65536 + func.get_byte(digest, 1) * 256 + func.get_byte(digest, 2)
    few: ColumnElement[bool] = place < _HASH_RANGE * share
    return few


def reader_of(campaign_id: uuid.UUID) -> str:
    """Return the reader under which the change queue keeps what a held campaign changed."""
    return f"campaign:{campaign_id}"


def begin(
    session: Session, sweep_id: uuid.UUID, programme_keys: Collection[str], reader: str, now: dt.datetime
) -> None:
    """Hold what a sweep is about until it is counted, in the transaction that begins the sweep.

    Args:
        session: of the worker.
        sweep_id: the sweep.
        programme_keys: the published programmes and those that lean on them.
        reader: under which the change queue keeps what the sweep changes; what an earlier campaign held joins it.
        now: the clock's instant.
    """
    for key in sorted(programme_keys):
        earlier = _supersede(session, key)
        request_id, looked_at_on = _preview(session, key) or (None, _first_day(session, key, clock.japan_date(now)))
        campaign = Campaign(
            sweep_id=sweep_id,
            programme_key=key,
            municipality_code=key.split("/", maxsplit=1)[0],
            follows=None if earlier is None else earlier.follows,
            looked_at_on=looked_at_on,
            request_id=request_id,
            begun_at=now,
        )
        session.add(campaign)
        session.flush()
        if earlier is not None:
            _carry_counts(session, earlier.id, campaign.id)
            pass_on(session, reader_of(earlier.id), reader)
            forget(session, reader_of(earlier.id))


def _supersede(session: Session, key: str) -> Campaign | None:
    """End the campaign that holds a programme, if there is one; `follows` says what it was or what it had to follow."""
    statement = select(Campaign).where(Campaign.programme_key == key, col(Campaign.state).in_(HOLDING))
    earlier = session.exec(statement.with_for_update()).one_or_none()
    if earlier is not None:
        earlier.follows = earlier.state if earlier.state in ("paused", "rejected") else earlier.follows or earlier.state
        earlier.state = "superseded"
        session.add(earlier)
        session.flush()
    return earlier


def _carry_counts(session: Session, earlier: uuid.UUID, later: uuid.UUID) -> None:
    """Count what an earlier campaign found and did not tell towards the one that takes its place."""
    session.execute(
        text(
            "INSERT INTO campaign_counts (campaign_id, municipality_code, gains, loses, changes)"
            " SELECT :later, municipality_code, gains, loses, changes FROM campaign_counts WHERE campaign_id = :earlier"
        ),
        {"later": later, "earlier": earlier},
    )


def _preview(session: Session, key: str) -> tuple[uuid.UUID, dt.date] | None:
    """Return the last answer about exactly what is published now, which no campaign was compared with yet."""
    row = session.execute(
        text(
            "SELECT id, looked_at_on FROM reach_requests AS asked WHERE programme_key = :key AND state = 'counted'"
            " AND EXISTS (SELECT FROM programme_versions AS version WHERE version.draft_id = asked.draft_id"
            "   AND version.known_until IS NULL"
            "   AND (asked.ends_on IS NOT NULL OR version.sha256 IN (asked.sha256, asked.published_sha256)))"
            " AND NOT EXISTS (SELECT FROM campaigns WHERE request_id = asked.id AND counted_at IS NOT NULL)"
            " ORDER BY counted_at DESC LIMIT 1"
        ),
        {"key": key},
    ).one_or_none()
    return None if row is None else (row.id, row.looked_at_on)


def _first_day(session: Session, key: str, today: dt.date) -> dt.date:
    """Return the day to look at without a preview: the last version's first, today where that has begun."""
    statement = text(
        "SELECT max(valid_from) FROM programme_versions WHERE programme_key = :key AND known_until IS NULL"
    )
    first: dt.date | None = session.execute(statement, {"key": key}).scalar_one()
    return max(first or today, today)


@contextmanager
def counted(session: Session, municipality_code: str, household_ids: Collection[uuid.UUID]) -> Iterator[None]:
    """Count which of some households gain and lose while their rights are stored, in the caller's transaction.

    Args:
        session: of the worker in the municipality's context, its lock taken.
        municipality_code: of the households.
        household_ids: everybody whose rights are stored.
    """
    if not session.execute(text("SELECT EXISTS (SELECT FROM campaigns WHERE state = 'counting')")).scalar_one():
        yield
        return
    before = _stored(session, household_ids)
    yield
    after = _stored(session, household_ids)
    counts: dict[uuid.UUID, Counter[str]] = defaultdict(Counter)
    to_look_at: dict[uuid.UUID, set[uuid.UUID]] = defaultdict(set)
    for one in before.keys() | after.keys():
        was, is_now = before.get(one, _NOTHING), after.get(one, _NOTHING)
        counts[one.campaign_id][_change(was, is_now)] += 1
        if was is not _NOTHING and was != is_now:
            to_look_at[one.campaign_id].add(one.household_id)
    for campaign_id, found in sorted(counts.items()):
        _add(session, campaign_id, municipality_code, Size.of(found))
        many_rights_changed(session, to_look_at[campaign_id], municipality_code, [reader_of(campaign_id)])


class _Place(NamedTuple):
    campaign_id: uuid.UUID
    household_id: uuid.UUID


class _Stored(NamedTuple):
    """What is stored for a household of a campaign's programme, as digests of what a family would read.

    Attributes:
        on_the_day: of rights on the day that the campaign looks at; None where there is none.
        whole: of everything.
    """

    on_the_day: str | None
    whole: str | None


_NOTHING: Final = _Stored(None, None)


def _change(was: _Stored, is_now: _Stored) -> str:
    if was.on_the_day == is_now.on_the_day:
        return "stays"
    if was.on_the_day is None:
        return "gains"
    return "loses" if is_now.on_the_day is None else "changes"


def _stored(session: Session, household_ids: Collection[uuid.UUID]) -> dict[_Place, _Stored]:
    rows = session.execute(
        text(
            "SELECT campaign_id, household_id, md5(string_agg(told, ';' ORDER BY told) FILTER (WHERE on_the_day)),"
            "   md5(string_agg(told, ';' ORDER BY told))"
            " FROM (SELECT campaigns.id AS campaign_id, household_id,"
            "     verdict = 'eligible' AND valid_from <= looked_at_on"
            "       AND (valid_until IS NULL OR valid_until >= looked_at_on) AS on_the_day,"
            "     concat_ws('|', subject, verdict, valid_from, valid_until, deadline_on,"
            "       answer->'amount', answer->'steps', answer->'missing') AS told"
            "   FROM entitlements JOIN campaigns USING (programme_key)"
            "   WHERE campaigns.state = 'counting' AND household_id = ANY(:ids)) AS stored"
            " GROUP BY 1, 2"
        ),
        {"ids": list(household_ids)},
    )
    return {_Place(one[0], one[1]): _Stored(one[2], one[3]) for one in rows}


def _add(session: Session, campaign_id: uuid.UUID, municipality_code: str, found: "Size") -> None:
    session.execute(
        text(
            "INSERT INTO campaign_counts AS counted (campaign_id, municipality_code, gains, loses, changes)"
            " VALUES (:id, :code, :gains, :loses, :changes) ON CONFLICT (campaign_id, municipality_code) DO UPDATE"
            " SET gains = counted.gains + excluded.gains, loses = counted.loses + excluded.loses,"
            " changes = counted.changes + excluded.changes"
        ),
        {"id": campaign_id, "code": municipality_code, **asdict(found)},
    )


def complete(session: Session, sweep_id: uuid.UUID, now: dt.datetime) -> None:
    """Compare what a complete sweep counted with what was expected, in the transaction that completes it.

    A programme that is in quarantine was not evaluated: it stays held until a newer sweep has it.

    Args:
        session: of the worker.
        sweep_id: the sweep; what it changed goes on to the notices in the same transaction.
        now: the clock's instant.
    """
    campaigns = session.exec(
        select(Campaign).where(
            Campaign.sweep_id == sweep_id,
            Campaign.state == "counting",
            text("programme_key NOT IN (SELECT programme_key FROM quarantined_programmes)"),
        )
    ).all()
    for campaign in campaigns:
        expected, found = _expected(session, campaign), _found(session, campaign)
        campaign.counted_at = now
        campaign.figures = {
            "expected": None if expected is None else expected.shown,
            "found": found.shown,
            "is_large": found.most > settings().campaigns.canary_over,
        }
        campaign.question = question(expected, found, campaign.follows)
        if campaign.question is None:
            next_step(campaign, now)
        else:
            campaign.state = "paused"
        if campaign.state == "open":
            forget(session, reader_of(campaign.id))
        session.add(campaign)
    session.flush()


@dataclass(frozen=True, slots=True)
class Size:
    """How many households gain and lose a right, and how many keep one of another amount, deadline or end."""

    gains: int
    loses: int
    changes: int

    @classmethod
    def of(cls, counts: Mapping[str, int]) -> "Size":
        """Take the counts that there are; what is not there is none."""
        return cls(*(counts.get(name) or 0 for name in ("gains", "loses", "changes")))

    @property
    def most(self) -> int:
        """How many hear of it at most, for one and the same reason."""
        return max(self.gains, self.loses, self.changes)

    @property
    def shown(self) -> dict[str, int | None]:
        """The same as people may see it."""
        return {name: rounded(count) for name, count in asdict(self).items()}


def question(expected: Size | None, found: Size, follows: str | None) -> str | None:
    """Return why somebody has to be asked; None where nobody has to. See the module for the reasons."""
    limits = settings().campaigns
    if follows in ("paused", "rejected"):
        return EARLIER
    if expected is None:
        return NO_PREVIEW if found.most > limits.most_without_preview else None
    for wanted, counted_now in ((expected.gains, found.gains), (expected.loses, found.loses)):
        difference = abs(counted_now - wanted)
        if difference >= limits.least_difference and difference > limits.tolerance * wanted:
            return SIZE
    return None


def _expected(session: Session, campaign: Campaign) -> Size | None:
    if campaign.request_id is None or campaign.follows is not None:
        return None  # what was half told before does not compare with a preview of the whole
    gains, loses = func.sum(ReachCount.gains), func.sum(ReachCount.loses)
    row = session.exec(select(gains, loses).where(ReachCount.request_id == campaign.request_id)).one()
    return Size(row[0] or 0, row[1] or 0, 0)


def _found(session: Session, campaign: Campaign) -> Size:
    statement = text(
        "SELECT sum(gains) AS gains, sum(loses) AS loses, sum(changes) AS changes FROM campaign_counts"
        " WHERE campaign_id = :id"
    )
    return Size.of(session.execute(statement, {"id": campaign.id}).mappings().one())  # type: ignore[arg-type]


def decide(
    session: Session, campaign_id: uuid.UUID, decision: str, now: dt.datetime, *, by: str = "", comment: str = ""
) -> str:
    """Approve or reject a paused campaign; return the state it is in then. Deciding twice has no further effect.

    Args:
        session: of the web role in the context of an approver's account, or of the worker for an operator.
        campaign_id: the campaign.
        decision: approved or rejected.
        now: the clock's instant.
        by: the operator by name; for staff the database takes the account in context.
        comment: why, for the record.

    Raises:
        NotFound: no such campaign here.
        NotPermitted: it was decided otherwise, or is not waiting for a decision.
    """
    if session.get(Campaign, campaign_id) is None:
        raise NotFound(f"found no campaign {campaign_id} here")
    state = str(
        session.execute(
            text("SELECT decide_campaign(:id, :decision, :by, :comment, :at)"),
            {"id": campaign_id, "decision": decision, "by": by, "comment": comment or None, "at": now},
        ).scalar_one()
    )
    if state != decision and not (decision == "approved" and state in ("canary", "open")):
        raise NotPermitted(f"found the campaign {state}; expected one that is paused, to be {decision}")
    return state


def next_step(campaign: Campaign, now: dt.datetime) -> None:
    """Move a campaign that nothing holds on: to a few families first where it is large and was not there, else to all.

    Who opens one calls `let_go`.
    """
    is_large = bool((campaign.figures or {}).get("is_large"))
    if is_large and campaign.canary_began_at is None:
        campaign.state, campaign.canary_share = "canary", settings().campaigns.canary_share
        campaign.canary_began_at = now
    else:
        campaign.state, campaign.opened_at = "open", now


def let_go(session: Session, campaign: Campaign) -> None:
    """Have everybody looked at for whom an opened campaign changed something while it was held."""
    pass_on(session, reader_of(campaign.id), NOTICES)
    forget(session, reader_of(campaign.id))


def pause(campaign: Campaign, reason: str, figures: Mapping[str, Any]) -> None:
    """Hold a campaign until somebody decides; `figures` are as people may see them."""
    campaign.state, campaign.question = "paused", reason
    campaign.figures = {**(campaign.figures or {}), **figures}
