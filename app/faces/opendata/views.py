"""The shapes of the API's answers and the parts of its addresses, as its OpenAPI document shows them."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from app.registry.municipalities import Municipality as MunicipalityDocument
from app.rules.facts import Fact
from app.rules.municipality_code import read_municipality_code
from app.rules.parameters import Parameter
from app.web.problems import promised_problem

PREFIX = "/open/v1"

Municipality = Annotated[
    str,
    Field(pattern=r"^[0-9]{6}$", description="Six-digit code; 000000 is the nation.", examples=["131121"]),
    AfterValidator(read_municipality_code),
]
ProgrammeId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$", examples=["child-allowance"])]


class View(BaseModel):
    """A closed part of an answer."""

    model_config = ConfigDict(extra="forbid")


class Headed(View):
    """What stands above every answer."""

    licence: Literal["CC-BY-4.0"]
    credit: str
    note: str


class SentenceView(View):
    """One condition in words, and how deep in the tree it stands."""

    depth: int
    sentence: str


class ProgrammeView(View):
    """One version of a programme: the document that runs, its page, and its criteria in words by language.

    The document has a JSON Schema of its own, `/open/v1/schemas/programme`: a criteria tree may be of any depth.
    """

    key: str
    version: str
    page: str
    in_words: dict[Literal["ja", "ja-easy", "en"], list[SentenceView]]
    programme: dict[str, Any]


class ProgrammesView(Headed):
    """Programmes in force on a day."""

    on: str
    programmes: list[ProgrammeView]


class MunicipalitiesView(Headed):
    """Municipalities that the registry knows; `own_programmes`: one has entered programmes of its own."""

    municipalities: list[MunicipalityDocument]
    own_programmes: list[str]


class VocabularyView(Headed):
    """The facts that criteria ask about, by path such as `child.birth_date`."""

    facts: dict[str, Fact]


class ParametersView(Headed):
    """Dated amounts and limits, each with its source."""

    parameters: list[Parameter]


class ChangeView(View):
    """One published change: of a programme's version or of a parameter."""

    kind: str
    programme: str | None = None
    parameter: str | None = None
    valid_from: str | None = None
    at: str
    page: str | None = None


class ChangesView(Headed):
    """Changes in the order of their publication; `next` is the cursor to ask with next time."""

    changes: list[ChangeView]
    next: str
    more: bool


class DumpView(View):
    """One day's dump."""

    day: str
    address: str


class DumpsView(Headed):
    """The days that a dump can be had for."""

    first: str | None
    latest: DumpView | None


PROBLEMS: dict[int | str, dict[str, Any]] = {
    404: promised_problem("There is no such thing."),
    422: promised_problem("The request does not have the expected shape."),
    429: promised_problem("Too many answers had to be made for this address; wait as long as Retry-After says."),
}
