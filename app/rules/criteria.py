"""The criteria tree: what a rule may test. Closed and typed; one union per scope.

A scope says whose facts a leaf may read: at household level the household's and the claimant's; inside a quantifier,
or where the right belongs to a person, also that person's. A child's fact at household level is refused with its path.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, TypeAlias, TypeVar

from pydantic import Discriminator, Field, PlainSerializer, SerializationInfo, Tag, TypeAdapter, model_validator
from typing_extensions import TypeAliasType

from app.rules.documents import Document, Whole
from app.rules.facts import Owner
from app.rules.leaves import (
    EachYear,
    FactTest,
    FiscalYearEnd,
    Judgement,
    On,
    ParameterRef,
    ReceivedElsewhere,
    Receives,
    Resided,
    ResidedSince,
    ResidentOn,
    Total,
    Within,
)

__all__ = [
    "ADAPTERS",
    "AllOf",
    "AnyOf",
    "ChildCriteria",
    "Count",
    "Criteria",
    "EachYear",
    "Every",
    "FactTest",
    "FiscalYearEnd",
    "Judgement",
    "Not",
    "On",
    "ParameterRef",
    "Rank",
    "ReceivedElsewhere",
    "Receives",
    "Resided",
    "ResidedSince",
    "ResidentOn",
    "Scope",
    "Some",
    "Total",
    "Within",
    "mark_scope",
]

Scope = Owner
Inner = TypeVar("Inner")
Kind = TypeVar("Kind", bound=str)
if TYPE_CHECKING:
    ChildCriteria: TypeAlias = Any
    HouseholdCriteria = GuardianCriteria = PregnancyCriteria = CoResidentCriteria = Any


class AllOf(Document, Generic[Inner]):
    """Every part holds (いずれも)."""

    all: Annotated[tuple[Inner, ...], Field(min_length=1)]


class AnyOf(Document, Generic[Inner]):
    """At least one part holds (いずれか)."""

    any: Annotated[tuple[Inner, ...], Field(min_length=1)]


class Not(Document, Generic[Inner]):
    """The part does not hold."""

    not_: Annotated[Inner, Field(alias="not")]


class Rank(Document):
    """N-th child: one plus the number of older children that count; equal birth dates are ordered by id.

    ``among``: a child counts where this holds. ``unless``: and not where this is known to hold; what is unknown
    excludes no child.
    """

    rank: Literal["child"]
    among: ChildCriteria | None = None
    unless: ChildCriteria | None = None
    at_least: Annotated[Whole | None, Field(ge=1)] = None
    at_most: Annotated[Whole | None, Field(ge=1)] = None
    is_: Annotated[Whole | None, Field(alias="is", ge=1)] = None

    @model_validator(mode="after")
    def _one_bound(self) -> Rank:
        _check_bounds(self.at_least, self.at_most, self.is_)
        return self


class Some(Document, Generic[Kind, Inner]):
    """At least one person of a kind; a list left out of the household is unknown."""

    some: Kind
    where: Inner | None = None


class Every(Document, Generic[Kind, Inner]):
    """Every person of a kind; true when there is none, unknown when the list was left out."""

    every: Kind
    where: Inner


class Count(Document, Generic[Kind, Inner]):
    """A number of people of a kind."""

    count: Kind
    where: Inner | None = None
    at_least: Annotated[Whole | None, Field(ge=0)] = None
    at_most: Annotated[Whole | None, Field(ge=0)] = None
    is_: Annotated[Whole | None, Field(alias="is", ge=0)] = None

    @model_validator(mode="after")
    def _one_bound(self) -> Count[Kind, Inner]:
        _check_bounds(self.at_least, self.at_most, self.is_)
        return self


def _check_bounds(at_least: int | None, at_most: int | None, is_: int | None) -> None:
    if (is_ is None) == (at_least is None and at_most is None):
        raise ValueError("expected is, or at_least and/or at_most")
    if at_least is not None and at_most is not None and at_most < at_least:
        raise ValueError(f"expected at_most not below at_least: found {at_least} … {at_most}")


GROUPS = {"all": "all", "any": "any", "not": "not"}
LEAVES = (
    "fact",
    "within",
    "fiscal_year_end",
    "on",
    "each_year",
    "rank",
    "total",
    "resided",
    "resided_since",
    "resident_on",
    "receives",
    "received_elsewhere",
    "judgement",
)
QUANTIFIERS = ("some", "every", "count")


def kind_of(node: Any) -> str | None:
    """The union tag of a node of the tree, as a mapping or as a model; None when it is none of the documented kinds."""
    if isinstance(node, Mapping):
        for key in (*GROUPS, *LEAVES):
            if key in node:
                return f"<{key}>"
        for key in QUANTIFIERS:
            if key in node:
                return f"<{key} {node[key]}>"
        return None
    for key in (*GROUPS, *LEAVES):
        if key in type(node).model_fields or (key == "not" and isinstance(node, Not)):
            return f"<{key}>"
    for key in QUANTIFIERS:
        if key in getattr(type(node), "model_fields", {}):
            return f"<{key} {getattr(node, key)}>"
    return None


_BY_KIND = Discriminator(
    kind_of,
    custom_error_type="unknown_criterion",
    custom_error_message="one of " + ", ".join((*GROUPS, *LEAVES, *QUANTIFIERS)) + " as a key, allowed in this scope",
)


def _path(name: str, *owners: str) -> Any:
    pattern = rf"^({'|'.join(owners)})\.[a-z][a-z0-9_]*$"
    return TypeAliasType(name, Annotated[str, Field(pattern=pattern)])


def _union(inner: Any, path: Any, *more: Any) -> Any:
    """Every kind of node that a scope allows; ``inner`` is the scope's own alias, still to be resolved."""
    members: list[Any] = [
        Annotated[AllOf[inner], Tag("<all>")],
        Annotated[AnyOf[inner], Tag("<any>")],
        Annotated[Not[inner], Tag("<not>")],
        Annotated[FactTest[path], Tag("<fact>")],
        Annotated[Within[path], Tag("<within>")],
        Annotated[FiscalYearEnd[path], Tag("<fiscal_year_end>")],
        Annotated[On, Tag("<on>")],
        Annotated[EachYear, Tag("<each_year>")],
        Annotated[Total, Tag("<total>")],
        Annotated[Resided, Tag("<resided>")],
        Annotated[ResidedSince, Tag("<resided_since>")],
        Annotated[ResidentOn, Tag("<resident_on>")],
        Annotated[Receives, Tag("<receives>")],
        Annotated[ReceivedElsewhere, Tag("<received_elsewhere>")],
        Annotated[Judgement, Tag("<judgement>")],
        *more,
    ]
    for kind, where in _PEOPLE.items():
        for quantifier, model in (("some", Some), ("every", Every), ("count", Count)):
            members.append(Annotated[model[Literal[kind], where], Tag(f"<{quantifier} {kind}>")])
    return Annotated[functools.reduce(operator.or_, members), _BY_KIND]


_PEOPLE = {
    "child": "ChildCriteria",
    "guardian": "GuardianCriteria",
    "pregnancy": "PregnancyCriteria",
    "co_resident": "CoResidentCriteria",
}
if not TYPE_CHECKING:
    _HOUSEHOLD = _path("HouseholdPath", "household", "guardian")
    HouseholdCriteria = TypeAliasType("HouseholdCriteria", _union("HouseholdCriteria", _HOUSEHOLD))
    GuardianCriteria = TypeAliasType("GuardianCriteria", _union("GuardianCriteria", _HOUSEHOLD))
    ChildCriteria = TypeAliasType(
        "ChildCriteria",
        _union("ChildCriteria", _path("ChildPath", "household", "guardian", "child"), Annotated[Rank, Tag("<rank>")]),
    )
    PregnancyCriteria = TypeAliasType(
        "PregnancyCriteria",
        _union("PregnancyCriteria", _path("PregnancyPath", "household", "guardian", "pregnancy")),
    )
    CoResidentCriteria = TypeAliasType(
        "CoResidentCriteria",
        _union("CoResidentCriteria", _path("CoResidentPath", "household", "guardian", "co_resident")),
    )
    Rank.model_rebuild()

ADAPTERS: dict[Scope, TypeAdapter[Any]] = {
    "household": TypeAdapter(HouseholdCriteria),
    "guardian": TypeAdapter(GuardianCriteria),
    "child": TypeAdapter(ChildCriteria),
    "pregnancy": TypeAdapter(PregnancyCriteria),
    "co_resident": TypeAdapter(CoResidentCriteria),
}
Tree = Any
"""One node of a tree: any of the models of this module. Walked by isinstance; the unions above guard the shape."""


_TREES = ("criteria", "when", "contradicted_by")
"""Keys of a document under which a tree stands."""


class Scoped(dict[str, Any]):
    """A criteria mapping that knows its scope, so that one field can hold the tree of any scope."""

    scope: Scope = "household"


def mark_scope(value: Any, scope: Scope) -> Any:
    """Mark every mapping that holds a tree in a raw document with the scope it is read in."""
    if isinstance(value, Mapping):
        return {key: _scoped(part, scope) if key in _TREES else mark_scope(part, scope) for key, part in value.items()}
    return [mark_scope(part, scope) for part in value] if isinstance(value, list | tuple) else value


def _scoped(value: Any, scope: Scope) -> Any:
    if not isinstance(value, Mapping):
        return value
    marked = Scoped(value)
    marked.scope = scope
    return marked


def _scope_of(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"<{getattr(value, 'scope', 'household')}>"
    return "<child>" if isinstance(value, Rank) else f"<{_OWNER_OF_ARGUMENT.get(_argument(value), 'household')}>"


def _argument(model: Any) -> str:
    """The name of the scope a generic node was made for, such as ``ChildCriteria`` or ``ChildPath``."""
    arguments = type(model).__pydantic_generic_metadata__["args"] if isinstance(model, Document) else ()
    return str(getattr(arguments[0], "__name__", arguments[0])) if arguments else ""


_OWNER_OF_ARGUMENT = {
    f"{prefix}{part}": owner
    for prefix, owner in (
        ("Guardian", "guardian"),
        ("Child", "child"),
        ("Pregnancy", "pregnancy"),
        ("CoResident", "co_resident"),
    )
    for part in ("Criteria", "Path")
}


def _dump(node: Any, info: SerializationInfo) -> Any:
    return node.model_dump(mode=info.mode, by_alias=True, exclude_none=True)


class _AnyScopeSchema:
    """In the JSON Schema the scopes overlap (a household leaf is allowed in all): anyOf, not oneOf."""

    def __get_pydantic_json_schema__(self, core: Any, handler: Any) -> dict[str, Any]:
        schema: dict[str, Any] = handler(core)
        return {"anyOf": schema["oneOf"]} if "oneOf" in schema else schema


if TYPE_CHECKING:
    Criteria = Any
else:
    Criteria = Annotated[
        Annotated[HouseholdCriteria, Tag("<household>")]
        | Annotated[GuardianCriteria, Tag("<guardian>")]
        | Annotated[ChildCriteria, Tag("<child>")]
        | Annotated[PregnancyCriteria, Tag("<pregnancy>")]
        | Annotated[CoResidentCriteria, Tag("<co_resident>")],
        Discriminator(_scope_of),
        _AnyScopeSchema(),
        PlainSerializer(_dump),
    ]
    """The tree of the scope that ``mark_scope`` has noted; without a mark, household scope."""
