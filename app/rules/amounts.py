"""Amounts as documents: the first case that holds, its yen a literal, a parameter, or a small exact arithmetic tree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag
from typing_extensions import TypeAliasType

from app.rules.criteria import ChildCriteria, Criteria, ParameterRef
from app.rules.documents import Document, Whole
from app.rules.leaves import PeoplePath, as_tuple
from app.rules.parameters import Rational

if TYPE_CHECKING:
    Term = Any


class FactTerm(Document):
    """The value of a number fact."""

    fact: str


class CountTerm(Document):
    """How many children count; unknown as long as one of them is open."""

    count: Literal["child"]
    where: ChildCriteria | None = None


class PaidElsewhere(Document):
    """The yen that other municipalities paid of a programme (its id, or ``CODE/id``), by household or person.

    ``assumed`` yen hold where nobody has said that anything was paid: ordinary applicants were paid nothing elsewhere.
    """

    paid_elsewhere: str
    assumed: Annotated[Whole | None, Field(ge=0)] = None


class TotalTerm(Document):
    """The sum of number facts over all people they belong to; unknown while somebody's figure is."""

    total: Annotated[tuple[PeoplePath, ...], BeforeValidator(as_tuple), Field(min_length=1)]


class Add(Document):
    """Sum of the terms."""

    add: Annotated[tuple[Term, ...], Field(min_length=2)]


class Subtract(Document):
    """The first term less the others."""

    subtract: Annotated[tuple[Term, ...], Field(min_length=2)]


class Multiply(Document):
    """Product of the terms."""

    multiply: Annotated[tuple[Term, ...], Field(min_length=2)]


class Least(Document):
    """The smallest of the terms."""

    min: Annotated[tuple[Term, ...], Field(min_length=2)]


class Most(Document):
    """The largest of the terms."""

    max: Annotated[tuple[Term, ...], Field(min_length=2)]


class Round(Document):
    """Round to a multiple of ``to`` yen; the law says when and which way (half up unless said otherwise)."""

    round: Term
    to: Annotated[Whole, Field(ge=1)] = 1
    half: Literal["up"] | None = None
    direction: Literal["half_up", "up", "down"] = "half_up"


_KINDS = ("parameter", "fact", "count", "total", "paid_elsewhere", "add", "subtract", "multiply", "min", "max", "round")


def _kind_of(value: Any) -> str | None:
    if isinstance(value, Mapping):
        return next((f"<{key}>" for key in _KINDS if key in value), None)
    if isinstance(value, Document):
        return next((f"<{key}>" for key in _KINDS if key in type(value).model_fields), None)
    return "<number>"


if not TYPE_CHECKING:
    Term = TypeAliasType(
        "Term",
        Annotated[
            Annotated[Rational, Tag("<number>")]
            | Annotated[ParameterRef, Tag("<parameter>")]
            | Annotated[FactTerm, Tag("<fact>")]
            | Annotated[CountTerm, Tag("<count>")]
            | Annotated[TotalTerm, Tag("<total>")]
            | Annotated[PaidElsewhere, Tag("<paid_elsewhere>")]
            | Annotated[Add, Tag("<add>")]
            | Annotated[Subtract, Tag("<subtract>")]
            | Annotated[Multiply, Tag("<multiply>")]
            | Annotated[Least, Tag("<min>")]
            | Annotated[Most, Tag("<max>")]
            | Annotated[Round, Tag("<round>")],
            Discriminator(
                _kind_of,
                custom_error_type="unknown_term",
                custom_error_message="a number, or one of " + ", ".join(_KINDS) + " as a key",
            ),
        ],
    )
    for _model in (Add, Subtract, Multiply, Least, Most, Round):
        _model.model_rebuild()


class AmountCase(Document):
    """Where ``when`` holds (always, if left out), this much.

    ``least`` and ``most`` bound it while its facts are unknown.
    """

    when: Criteria | None = None
    yen: Term
    per: Literal["month", "once", "year"]
    each: Literal["subject", "household"] = "subject"
    least: Term | None = None
    most: Term | None = None


Amount = Annotated[tuple[AmountCase, ...], Field(min_length=1)]
