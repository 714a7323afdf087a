"""The full programme document (制度): the rule that runs, and everything a family or a clerk needs beside it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from app.rules.application import Application
from app.rules.documents import Day, Document, SpanText, TextField
from app.rules.parameters import Source
from app.rules.rule import Rule, Unmodelled

HttpsAddress = Annotated[str, Field(pattern=r"^https://[^\s/]+(/\S*)?$")]


class CheckedSource(Source):
    """A public page the programme was written from, and the day a person last compared the two."""

    url: HttpsAddress
    title: str = Field(min_length=1)
    checked_on: Day


class LegalBasis(Document):
    """A law by name, with its e-Gov law id (`https://laws.e-gov.go.jp/law/<id>`) and article where they are known."""

    name: str
    e_gov_law_id: Annotated[str, Field(pattern=r"^\d{3}[A-Z]+\d{8,12}$")] | None = None
    article: str | None = None


class Online(Document):
    """An online way to apply: an address, or the procedure's id in ぴったりサービス."""

    url: HttpsAddress | None = None
    pittari_procedure_id: str | None = None

    @model_validator(mode="after")
    def _somewhere(self) -> Online:
        if self.url is None and self.pittari_procedure_id is None:
            raise ValueError("expected url or pittari_procedure_id")
        return self


class Ways(Document):
    """How one applies; at least one way."""

    online: Online | None = None
    counter: TextField | None = None
    post: TextField | None = None

    @model_validator(mode="after")
    def _some_way(self) -> Ways:
        if self.online is None and self.counter is None and self.post is None:
            raise ValueError("expected at least one of online, counter, post")
        return self


PhoneNumber = Annotated[str, Field(pattern=r"^(0\d{1,4}-\d{1,4}-\d{3,5}|1\d\d|#\d{4})$")]
"""A number as it is printed: 03-3366-4152, 0120-0-78310, and the short ones such as 189 and #8000."""


class Contact(Document):
    """Whom to ask: the desk by the name it bears; a number only where one is published."""

    desk: TextField
    phone: PhoneNumber | None = None
    url: HttpsAddress | None = None
    hours: TextField | None = None


class ProgrammeApplication(Application):
    """Applying, with what a person needs in hand: ways, papers, desk, and about how many minutes it takes."""

    how: Ways | None = None
    documents: tuple[TextField, ...] = ()
    contact: Contact | None = None
    minutes: Annotated[int, Field(ge=1, le=600)] | None = None


class NotifyPlan(Document):
    """How long before a right begins it is told, and how long before the deadline it is said again."""

    lead: SpanText
    remind_before_deadline: tuple[SpanText, ...] = ()


class UnmodelledCondition(Unmodelled):
    """A condition that ordinary applicants meet and the rule does not test, with the reason why it does not."""

    reason: Annotated[str, Field(min_length=1)]


class Expectation(Document):
    """What an example expects of one subject; only the keys that are written are compared."""

    verdict: Literal["eligible", "ineligible", "undetermined"]
    amount: int | None = None
    least: int | None = None
    most: int | None = None
    eligible_from: Day | None = None
    eligible_until: Day | None = None
    counted_on: Day | None = None
    deadline: Day | None = None
    pays_from: Annotated[str, Field(pattern=r"^\d{4}-\d{2}$")] | None = None
    take_up: str | None = None
    missing: tuple[str, ...] | None = None


class Example(Document):
    """A test the programme carries: a household (a file in `households/`, or inline), a day, and the answer."""

    household: str | dict[str, Any]
    on: Day
    expect: Annotated[dict[str, Expectation], Field(min_length=1)]
    note: str | None = None


class Programme(Rule):
    """One version of a programme (制度の版): the rule with its names, sources, ways to apply and examples."""

    psid: Annotated[str, Field(pattern=r"^psid3\.0\+\d{13}\+\S+\+UM\d+$")] | None = None
    based_on: Annotated[str, Field(pattern=r"^\d{6}/[a-z0-9][a-z0-9-]*$")] | None = None
    name: TextField
    summary: TextField
    sources: Annotated[tuple[CheckedSource, ...], Field(min_length=1)]
    legal_basis: tuple[LegalBasis, ...] = ()
    unmodelled: tuple[UnmodelledCondition, ...] = ()
    application: ProgrammeApplication | None = None
    notify: NotifyPlan | None = None
    draft_reason: str | None = None
    official_record: dict[str, Any] | None = None
    examples: tuple[Example, ...] = ()

    @property
    def notifies(self) -> bool:
        """Whether families hear of it: a draft is not verified yet, a desk or a page is no right of anybody."""
        return self.certainty == "verified" and self.kind not in ("consultation", "information")

    @model_validator(mode="after")
    def _draft_says_why(self) -> Programme:
        if (self.certainty == "draft") != (self.draft_reason is not None):
            raise ValueError("expected draft_reason exactly where certainty is draft")
        return self
