"""The leaves of the criteria tree: each tests one thing. ``criteria`` joins them to trees."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from app.rules.documents import Day, Document, Literals, MonthDay, SpanText, TextField, Whole
from app.rules.municipality_code import MunicipalityCode

Path = TypeVar("Path", bound=str)


class ParameterRef(Document):
    """A dated parameter; ``by`` names the fact that chooses the row of a table."""

    parameter: str
    by: str | None = None


def _is_parameter(value: Any) -> str:
    return "<parameter>" if isinstance(value, Mapping | ParameterRef) else "<number>"


Limit = Annotated[
    Annotated[Whole, Tag("<number>")] | Annotated[ParameterRef, Tag("<parameter>")], Discriminator(_is_parameter)
]
"""A whole number, or a dated parameter."""


class Bounds(Document):
    """The limits of a number: at most one from below and one from above."""

    at_least: Limit | None = None
    over: Limit | None = None
    at_most: Limit | None = None
    under: Limit | None = None

    @property
    def bounded(self) -> bool:
        """Say whether there is any limit."""
        return any(bound is not None for bound in (self.at_least, self.over, self.at_most, self.under))

    def check_bounds(self) -> None:
        """Refuse two limits on one side, and a range that holds no number."""
        if (self.at_least is not None and self.over is not None) or (
            self.at_most is not None and self.under is not None
        ):
            raise ValueError("expected one lower and one upper bound at most")
        low = self.at_least if isinstance(self.at_least, int) else self.over + 1 if isinstance(self.over, int) else None
        high = (
            self.at_most if isinstance(self.at_most, int) else self.under - 1 if isinstance(self.under, int) else None
        )
        if low is not None and high is not None and high < low:
            raise ValueError(f"expected a range that holds at least one number: found {low} … {high}")


class Ground(Document):
    """A test that may be told to families in the author's words.

    ``because`` is a clause such as 「お子さんが生まれた」: a reason says it in place of the test. Beside a window it
    also says that the window's days are only how the rule is written, so that no family is shown them.
    """

    because: TextField | None = None


class FactTest(Ground, Bounds, Generic[Path]):
    """Compare a fact with literals, a dated parameter, or (a date) with a fixed range, both ends included."""

    fact: Path
    is_: Annotated[Literals | None, Field(alias="is")] = None
    in_: Annotated[tuple[Literals, ...] | None, Field(alias="in", min_length=1)] = None
    from_: Annotated[Day | None, Field(alias="from")] = None
    until: Day | None = None

    @model_validator(mode="after")
    def _one_comparison(self) -> FactTest[Path]:
        kinds = [
            self.is_ is not None,
            self.in_ is not None,
            self.bounded,
            self.from_ is not None or self.until is not None,
        ]
        if sum(kinds) != 1:
            raise ValueError("expected one comparison: is, in, at_least/over/at_most/under, or from/until")
        if self.from_ is not None and self.until is not None and self.until < self.from_:
            raise ValueError(f"expected until on or after from: found {self.from_} … {self.until}")
        self.check_bounds()
        return self


PeoplePath = Annotated[str, Field(pattern=r"^(guardian|child|pregnancy|co_resident)\.[a-z][a-z0-9_]*$")]


def as_tuple(value: Any) -> Any:
    """One path as a list of one."""
    return (value,) if isinstance(value, str) else value


class Total(Bounds):
    """The sum of number facts over all people they belong to (父母の合計, 世帯の合計所得) against limits.

    Unknown while somebody's figure is, unless the figures that are known decide; figures below zero do not exist.
    """

    total: Annotated[tuple[PeoplePath, ...], BeforeValidator(as_tuple), Field(min_length=1)]

    @model_validator(mode="after")
    def _one_comparison(self) -> Total:
        if not self.bounded:
            raise ValueError("expected at_least, over, at_most or under")
        if len(set(self.total)) < len(self.total):
            raise ValueError(f"expected each fact once: found {', '.join(self.total)}")
        self.check_bounds()
        return self


class Reckoning(Document):
    """How the law counts the edges of a window; the defaults are written at ``Within``."""

    from_: Annotated[Literal["birthday", "reached"] | None, Field(alias="from")] = None
    until: Literal["birthday", "reached", "until_reached", "included"] | None = None


class Within(Ground, Generic[Path]):
    """The day lies in a window counted from a date; both edges are included.

    B is the corresponding day (the day after the month's end where the month lacks it). First day: ``birthday`` → B,
    ``reached`` → B − 1. Last day: ``birthday`` (n歳未満) → B − 1, ``reached`` (至るまで) → B − 1,
    ``until_reached`` (…に達する日の前日まで) → B − 2, ``included`` → B. Years and months default to ``birthday``;
    weeks and days name days, so that their last day defaults to ``included`` (RSV: -84d … -22d).
    ``until_end_of`` then runs on to the end of that month, or to the next 31 March; ``from_start_of`` goes back to the
    first of the month, or to 1 April, that the first day lies in. ``after`` moves the date on before all counting
    (two years from eight weeks before the due date: ``after: -56d, from: 0d, until: 2y``).

    Basis: 年齢計算ニ関スル法律; 民法 143条.
    """

    within: Path
    after: SpanText | None = None
    from_: Annotated[SpanText | None, Field(alias="from")] = None
    until: SpanText | None = None
    reckoning: Reckoning = Reckoning()
    from_start_of: Literal["month", "school_year"] | None = None
    until_end_of: Literal["month", "school_year"] | None = None

    @model_validator(mode="after")
    def _not_reversed(self) -> Within[Path]:
        if self.from_ is None and self.until is None:
            raise ValueError("expected from, until, or both")
        if self.until is None and self.until_end_of is not None:
            raise ValueError("expected until wherever until_end_of is given")
        if self.from_ is None and self.from_start_of is not None:
            raise ValueError("expected from wherever from_start_of is given")
        if self.from_ is not None and self.until is not None:
            opens = min(self.from_.months * 28, self.from_.months * 31) + self.from_.days
            closes = max(self.until.months * 28, self.until.months * 31) + self.until.days
            same_unit = self.from_.in_days == self.until.in_days
            reversed_ = (self.until.months, self.until.days) < (self.from_.months, self.from_.days)
            if (same_unit and reversed_) or closes < opens or (self.from_ == self.until and not self._one_day()):
                raise ValueError(f"expected a window that holds a day: found {self.from_} … {self.until}")
        return self

    def _one_day(self) -> bool:
        return (
            self.until_end_of is not None
            or self.from_start_of is not None
            or self.until_reckoning == "included"
            or (self.until_reckoning in ("birthday", "reached") and self.from_reckoning == "reached")
        )

    @property
    def from_reckoning(self) -> str:
        """The reckoning of the first day with its default."""
        return self.reckoning.from_ or "birthday"

    @property
    def until_reckoning(self) -> str:
        """The reckoning of the last day with its default."""
        return self.reckoning.until or ("included" if self.until is not None and self.until.in_days else "birthday")


class FiscalYearEnd(Ground, Generic[Path]):
    """Until the first 31 March on or after the day an age is reached (…に達する日以後の最初の3月31日まで).

    Opens on the date itself; with ``from_age`` on the 1 April after the fiscal year end of that age.
    """

    fiscal_year_end: Path
    of_age: Annotated[Whole, Field(ge=0, le=120)]
    from_age: Annotated[Whole | None, Field(ge=0, le=120)] = None

    @model_validator(mode="after")
    def _not_reversed(self) -> FiscalYearEnd[Path]:
        if self.from_age is not None and self.from_age >= self.of_age:
            raise ValueError(f"expected from_age below of_age: found {self.from_age} and {self.of_age}")
        return self


class DateRange(Document):
    """A range of days, both included; one end may be open."""

    from_: Annotated[Day | None, Field(alias="from")] = None
    until: Day | None = None

    @model_validator(mode="after")
    def _not_reversed(self) -> DateRange:
        if self.from_ is None and self.until is None:
            raise ValueError("expected from, until, or both")
        if self.from_ is not None and self.until is not None and self.until < self.from_:
            raise ValueError(f"expected until on or after from: found {self.from_} … {self.until}")
        return self


class On(Document):
    """The right itself exists only in these days."""

    on: DateRange


class YearlyRange(Document):
    """A season, both days included; it may run over the new year."""

    from_: Annotated[MonthDay, Field(alias="from")]
    until: MonthDay


class EachYear(Document):
    """The right exists each year in this season only."""

    each_year: YearlyRange


class Judgement(Document):
    """A human decides: never known to the machine."""

    judgement: TextField


DATE_OR_FACT = r"^(\d{4}-\d{2}-\d{2}|(household|guardian|child|pregnancy|co_resident)\.[a-z][a-z0-9_]*)$"
DateOrFact = Annotated[str, Field(pattern=DATE_OR_FACT)]
"""A fixed day written 2026-05-01, or the path of a date fact."""
Whose = Literal["household", "claimant"]


class ResidenceTest(Document):
    """Whose residence, and where: the bound person's (else the household's) in the programme's area.

    ``whose`` asks for the household's or the claimant's instead (単身赴任: a claimant may live elsewhere).
    Before the first entry of a history people lived in some other municipality; in its holes they may have lived
    anywhere.
    """

    whose: Whose | None = None
    area: MunicipalityCode | None = None


class Resided(ResidenceTest):
    """Has lived without a break in the area for at least this long, on the day or on the day of ``by``."""

    resided: SpanText
    by: DateOrFact | None = None

    @model_validator(mode="after")
    def _forward(self) -> Resided:
        if (self.resided.months, self.resided.days) <= (0, 0):
            raise ValueError(f"expected a span of at least a day: found {self.resided}")
        return self


class ResidedSince(ResidenceTest):
    """Has lived without a break in the area from a day (a fixed one, or a date fact) until the day asked."""

    resided_since: DateOrFact


class ResidentOn(ResidenceTest):
    """Lived in the area on a fixed day, on a date fact (or ``after`` a span from it), or today.

    ``month_start`` is the first day of the month; a child's first such day is the first of a month on or after its
    birth. ``today`` is the day itself: of use where a programme ``reaches`` those who have left.
    ``start_of`` goes back to the first of the month, or to 1 April, that the day lies in.
    """

    resident_on: Literal["month_start", "today"] | DateOrFact
    after: SpanText | None = None
    start_of: Literal["month", "school_year"] | None = None

    @model_validator(mode="after")
    def _counted_from_a_date(self) -> ResidentOn:
        if self.resident_on in ("month_start", "today") and (self.after or self.start_of):
            raise ValueError(f"expected after and start_of only beside a date: found {self.resident_on}")
        return self


class Receives(Document):
    """The household already receives another programme (its id, or ``CODE/id``)."""

    receives: str


class ReceivedElsewhere(Document):
    """Another municipality has already paid this programme (or a named one)."""

    received_elsewhere: str
