"""The part of a programme document that decides who is entitled to what, from when and until when."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from app.rules.amounts import Amount
from app.rules.application import Application, Form, TakeUp
from app.rules.criteria import Criteria, mark_scope
from app.rules.documents import Day, Document, MonthDay, SpanText, Text, read_text
from app.rules.municipality_code import MunicipalityCode

ProgrammeKind = Literal[
    "cash", "in_kind", "service", "reduction", "checkup", "vaccination", "procedure", "consultation", "information"
]
Subject = Literal["child", "guardian", "pregnancy", "household"]


class Validity(Document):
    """The days a version is law, both included."""

    from_: Annotated[Day, Field(alias="from")]
    until: Day | None = None

    @model_validator(mode="after")
    def _not_reversed(self) -> Validity:
        if self.until is not None and self.until < self.from_:
            raise ValueError(f"expected until on or after from: found {self.from_} … {self.until}")
        return self


class IncomeYear(Document):
    """Which year's income counts, and the day of the year on which that moves on.

    With ``switches: 11-01, uses: previous_year`` the days from 2026-11-01 to 2027-10-31 use the income of 2025.
    """

    switches: MonthDay
    uses: Literal["previous_year", "year_before_previous", "current_year"] = "previous_year"


class Reaches(Document):
    """Whom a programme looks at beyond the people who live in its area.

    ``left_within``: households that left the area less than this long ago. The criteria judge them too and must say
    what living there means (``resident_on: today``), so that a gap between two towns is told and not passed over.
    Who is not known to have left the area is not reached: an unknown former town is no perhaps in every town.
    """

    left_within: SpanText

    @model_validator(mode="after")
    def _forward(self) -> Reaches:
        if (self.left_within.months, self.left_within.days) <= (0, 0):
            raise ValueError(f"expected a span of at least a day: found {self.left_within}")
        return self


class Unmodelled(Text):
    """A condition that the family is asked to check itself.

    ``contradicted_by`` says which known facts speak against it: while they hold, the right is refused; unknown, they
    leave it open to the family as before. A later answer can therefore end a right here, and only here.
    """

    contradicted_by: Annotated[Criteria | None, Field(alias="contradicted_by")] = None


class Rule(Document):
    """One version of a programme (制度), as the evaluator needs it; the registry's document extends it.

    ``key`` is ``CODE/id``; ``version`` is the first day of validity.
    """

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    municipality: MunicipalityCode
    kind: ProgrammeKind
    subject: Subject
    criteria: Criteria
    unmodelled: tuple[Annotated[Unmodelled, BeforeValidator(read_text)], ...] = ()
    amount: Amount | None = None
    application: Application | None = None
    take_up: tuple[TakeUp, ...] = ()
    form: Form | None = None
    income_year: IncomeYear | None = None
    sensitive: bool = False
    reaches: Reaches | None = None
    valid: Validity
    certainty: Literal["verified", "draft"]
    next_check_on: Day | None = None

    @model_validator(mode="after")
    def _refusal_belongs_to_opt_out(self) -> Rule:
        ways = {part.is_ or part.else_ for part in self.take_up}
        occasions = () if self.application is None else (part.occasion for part in self.application.deadlines)
        if "refusal" in occasions and "opt_out" not in ways:
            raise ValueError("expected a deadline for a refusal only where take_up has a case opt_out")
        return self

    @model_validator(mode="before")
    @classmethod
    def _mark_scope(cls, document: Any) -> Any:
        if isinstance(document, dict) and document.get("subject") in ("child", "guardian", "pregnancy", "household"):
            return mark_scope(document, document["subject"])
        return document

    @property
    def key(self) -> str:
        """``CODE/id``, unique in the registry."""
        return f"{self.municipality}/{self.id}"

    @property
    def version(self) -> str:
        """The version is named by its first day."""
        return self.valid.from_.isoformat()
