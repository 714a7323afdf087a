"""Why did this family hear of a programme, or why didn't it: the whole way from rule to phone, for one household.

For operators who answer a telephone. It reads rows only, changes nothing, and is printed where it was asked: nothing of
it is logged. Each stage says what it found; the conclusion names the first stage at which the way ends.
"""

import datetime as dt
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlmodel import Session, col, or_, select

from app.delivery.tables import Delivery, DeliveryAttempt
from app.households.consent import is_given
from app.households.outcomes import CLOSING
from app.households.tables import Consent, Household, Outcome
from app.matching.past_decisions import decide_again
from app.matching.quarantine import quarantined_keys, set_aside
from app.matching.tables import Entitlement
from app.notices.holding import holds_in
from app.notices.planning import OVERVIEW
from app.notices.tables import Notice
from app.platform import clock
from app.platform.change_queue import Change
from app.platform.database import Context, enter, worker_session
from app.platform.errors import NotFound, TodokeError
from app.platform.rendering import phrases
from app.registry.loading import Registry
from app.registry.versions import published_now

_BASIC: Final = "matching:basic"
_ARRIVED: Final = ("delivered", "accepted")


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of the way.

    Attributes:
        name: programme, family, right, telling, message.
        found: what there is, in words, in the order of time.
        ends: why the way ends here, in words; empty where it goes on.
    """

    name: str
    found: tuple[str, ...]
    ends: str = ""


@dataclass(frozen=True, slots=True)
class Why:
    """The stages and, first of all, what it comes to."""

    conclusion: str
    stages: tuple[Stage, ...]


def why(household_id: uuid.UUID, programme_key: str) -> Why:
    """Say why a household heard of a programme, or why it did not.

    Raises:
        NotFound: no such household, or no such programme.
    """
    with worker_session() as session:
        household = session.get(Household, household_id)
        if household is None:
            raise NotFound(f"found no household {household_id}")
        enter(session, Context(municipality=household.municipality_code))
        asked = _Asked(session, household, programme_key, published_now(session).registry, clock.now())
        stages = tuple(asked.stages())
    ended = next((stage.ends for stage in stages if stage.ends), "")
    return Why(ended or asked.say("told"), stages)


@dataclass(frozen=True, slots=True)
class _Asked:
    """One question: the household in its municipality's context, the programme, the registry of now."""

    session: Session
    household: Household
    key: str
    registry: Registry
    now: dt.datetime

    def say(self, phrase: str, /, **values: object) -> str:
        return str(phrases("phrases/why")[phrase]).format(**values)

    def stages(self) -> Iterator[Stage]:
        """Yield the stages; the last one yielded is the one after which nothing more can be said."""
        yield self._programme()
        yield self._family()
        rights = self._rows(Entitlement, Entitlement.programme_key == self.key)
        yield self._right(rights)
        notices = self._notices()
        yield self._telling(rights, notices)
        if notices:
            yield self._message(notices)

    def _rows(self, table: Any, *conditions: Any) -> list[Any]:
        return list(self.session.exec(select(table).where(table.household_id == self.household.id, *conditions)))

    def _programme(self) -> Stage:
        key, area, today = self.key, self.household.municipality_code, clock.japan_date(self.now)
        if key in self.registry.unreadable:
            return Stage("programme", (), self.say("quarantined"))
        if key not in self.registry.programmes:
            raise NotFound(f"found no programme {key!r}; expected a published one such as 000000/child-allowance")
        version = self.registry.version_on(key, today) or self.registry.programmes[key][-1]
        found = self.say("programme", name=version.name.in_language("ja"), key=key, area=area)
        ends = ""
        if key not in self.registry.covering(area):
            ends = self.say("not_offered", area=area)
        elif by := self.registry.replaced_in(key, area, today):
            ends = self.say("replaced", by=by)
        elif not version.notifies:
            ends = self.say("not_notifying", status=version.status)
        elif key in quarantined_keys(self.session):
            ends = self.say("quarantined")
        return Stage("programme", (found,), ends)

    def _family(self) -> Stage:
        consents = [row for row in self._rows(Consent) if row.purpose.startswith(("matching:", "channel:"))]
        found = [
            self.say("consent", purpose=row.purpose, state=row.state, at=_at(row.starts_at))
            for row in sorted(consents, key=lambda row: row.starts_at)
        ]
        if self.household.protected_at is not None:
            found.append(self.say("protected", at=_at(self.household.protected_at)))
        found += [self.say("stopped", subject=subject) for subject in self.household.stopped_subjects]
        ends = ""
        if not any(row.purpose == _BASIC and is_given(row, self.now) for row in consents):
            ends = self.say("no_consent")
        elif any(row.household_id == self.household.id for row in set_aside(self.session)):
            ends = self.say("set_aside")
        return Stage("family", tuple(found), ends)

    def _right(self, rights: Sequence[Entitlement]) -> Stage:
        waiting = self._rows(Change)
        found = [self.say("evaluation_waits", reason=row.reason, at=_at(row.queued_at)) for row in waiting]
        found += [
            self.say(
                "right",
                subject=row.subject,
                verdict=phrases("phrases/why")["verdicts"][row.verdict],
                first=row.valid_from,
                last=row.valid_until or "",
                announce_on=row.announce_on,
                announced_at=_at(row.announced_at),
                deadline_on=row.deadline_on or "",
            )
            for row in sorted(rights, key=lambda row: (row.subject, row.valid_from))
        ]
        if rights:
            return Stage("right", tuple(found))
        return Stage("right", (*found, *self._as_decided_now()), self.say("no_right"))

    def _as_decided_now(self) -> Iterator[str]:
        """Yield what the rule says today of each subject, where nothing is stored."""
        try:
            decided = decide_again(self.session, self.household.id, self.key, clock.japan_date(self.now), self.now)
        except TodokeError as error:
            yield error.message
            return
        for answer in decided.answers:
            verdict = phrases("phrases/why")["verdicts"].get(answer.verdict, answer.verdict)
            yield self.say("decided", subject=answer.subject, verdict=verdict, reason=answer.reason or "")

    def _notices(self) -> list[Notice]:
        mine = self._rows(Notice, Notice.programme_key == self.key)
        overviews = {row.overview_id for row in mine if row.overview_id is not None}
        if overviews:
            mine += self._rows(Notice, Notice.programme_key == OVERVIEW, col(Notice.id).in_(overviews))
        return sorted(mine, key=lambda row: (row.release_at, row.id))

    def _telling(self, rights: Sequence[Entitlement], notices: Sequence[Notice]) -> Stage:
        outcomes = self._rows(Outcome, Outcome.programme_key == self.key, col(Outcome.undone_at).is_(None))
        found = [self.say("outcome", subject=row.subject, outcome=row.outcome) for row in outcomes]
        found += [
            self.say(
                "notice",
                kind=row.kind,
                subject=row.subject,
                state=row.state,
                reason=row.closed_reason or "",
                release_at=_at(row.release_at),
                released_at=_at(row.released_at),
                read_at=_at(row.read_at),
            )
            for row in notices
        ]
        return Stage("telling", tuple(found), self._why_untold(rights, notices, outcomes))

    def _why_untold(self, rights: Sequence[Entitlement], notices: Sequence[Notice], outcomes: Sequence[Outcome]) -> str:
        if any(row.released_at is not None for row in notices):
            return ""
        holds = holds_in(self.session, self.household.municipality_code)
        due = [row for row in rights if row.announced_at is None]
        if holds.everything or self.key in holds.of(self.household.id):
            return self.say("held")
        if any(row.outcome in CLOSING for row in outcomes):
            return self.say("closed_by_family")
        if planned := [row for row in notices if row.state == "planned"]:
            return self.say("planned", at=_at(planned[0].release_at))
        if notices:
            return self.say("ended", state=notices[-1].state, reason=notices[-1].closed_reason or "")
        if due:
            return self.say("not_due", day=min(row.announce_on for row in due))
        return self.say("nothing_to_tell") if rights else ""

    def _message(self, notices: Sequence[Notice]) -> Stage:
        ids = [row.id for row in notices]
        statement = select(Delivery).where(
            Delivery.household_id == self.household.id, or_(*(col(Delivery.notice_ids).contains([one]) for one in ids))
        )
        deliveries = sorted(self.session.exec(statement), key=lambda row: row.id)
        found = []
        for row in deliveries:
            attempts = self.session.exec(
                select(DeliveryAttempt).where(DeliveryAttempt.delivery_id == row.id).order_by(col(DeliveryAttempt.id))
            ).all()
            found.append(
                self.say(
                    "delivery",
                    channel=row.channel,
                    state=row.state,
                    reason=row.last_error or "",
                    created_at=_at(row.created_at),
                    finished_at=_at(row.finished_at),
                    halted=self.say("halted") if row.halt_id else "",
                )
            )
            found += [
                self.say(
                    "attempt", number=one.number, at=_at(one.started_at), outcome=one.outcome, error=one.error or ""
                )
                for one in attempts
            ]
        return Stage("message", tuple(found), self._why_unsent(notices, deliveries))

    def _why_unsent(self, notices: Sequence[Notice], deliveries: Sequence[Delivery]) -> str:
        if not any(row.released_at is not None for row in notices):
            return ""
        if not deliveries:
            return self.say("inbox_only")
        if any(row.state in _ARRIVED for row in deliveries):
            return ""
        last = deliveries[-1]
        return self.say("not_arrived", channel=last.channel, state=last.state, reason=last.last_error or "")


def _at(instant: dt.datetime | None) -> str:
    return "" if instant is None else instant.astimezone(clock.JAPAN).strftime("%Y-%m-%d %H:%M")
