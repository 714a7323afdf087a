"""Forms: a submitted form becomes a pydantic model, or errors beside its fields with everything typed kept.

A form model inherits `Form`. No field takes a 個人番号: what people type into says so beside the field (`TYPED_INTO`),
anything else a form carries is refused as a whole. An error is a key of `templates/phrases/web.yaml` (`error.required`
…), never a sentence in Python; raise `FieldProblem("key")` in a validator for one of your own.
"""

import unicodedata
from dataclasses import dataclass, field
from typing import Annotated, Any, Generic, Self, TypeVar

from fastapi import Depends
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import PydanticCustomError
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request

from app.platform.errors import InvalidInput
from app.rules.my_number import holds_my_number
from app.web.csrf import FIELD
from app.web.dates import PARTS
from app.web.pages import phrase

TYPED_INTO = frozenset({"email", "code", "url", "number"}) | {
    f"{name}-{part}" for name in ("birth", "due", "date") for part in PARTS
}
"""Fields with a keyboard. Whoever reads one looks for a 個人番号 in it: `fill`, `DateParts`, `read_answer`."""
_PHRASES = {
    "missing": "error.required",
    "string_too_short": "error.required",
    "string_too_long": "error.too_long",
    "date_from_datetime_parsing": "error.date",
    "date_parsing": "error.date",
    "date_type": "error.date",
    "int_parsing": "error.number",
    "int_type": "error.number",
    "greater_than_equal": "error.number_range",
    "less_than_equal": "error.number_range",
    "literal_error": "error.choice",
    "enum": "error.choice",
    "my_number": "error.my_number",
}


def FieldProblem(key: str) -> PydanticCustomError:  # noqa: N802 - reads as the exception that it is
    """Return the error of one field, by its key in the catalogue of phrases."""
    return PydanticCustomError("phrase", key)


class Form(BaseModel):
    """A form's fields. Blank fields are left out before validation, so that a default or `required` applies."""

    model_config = ConfigDict(extra="ignore", str_strip_whitespace=True)

    @model_validator(mode="before")
    @classmethod
    def _only_filled(cls, values: Any) -> Any:
        return {name: value for name, value in values.items() if value not in ("", [])}


F = TypeVar("F", bound=Form)


@dataclass
class Filled(Generic[F]):
    """What somebody sent: `given` as typed, `errors` by field as texts, `value` where there are none."""

    given: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    value: F | None = None

    def refuse(self, name: str, key: str) -> Self:
        """Add an error of one field by its phrase."""
        self.errors[name] = phrase(key)
        self.value = None
        return self

    def refuse_input(self, error: InvalidInput, name: str, key: str) -> Self:
        """Add the error of a service: at the field it names if this form has it, else at `name`."""
        return self.refuse(error.field if error.field in self.given else name, key)


class HoldsMyNumber(InvalidInput):
    """A 個人番号 came in a field that nobody types into."""

    slug = "my-number"


async def submitted(request: Request) -> FormData:
    """Return the submitted form; the access dependency has read and checked it already.

    Raises:
        HoldsMyNumber: in a field that is chosen from or hidden; nothing of the form is used.
    """
    form = await request.form()
    for name, value in form.multi_items():
        if name not in TYPED_INTO | {FIELD} and isinstance(value, str) and holds_my_number(value):
            raise HoldsMyNumber("found a 個人番号 (My Number) in the form; Todoke never takes one: leave it out")
    return form


Submitted = Annotated[FormData, Depends(submitted)]


def fill(model: type[F], form: FormData, start: dict[str, Any] | None = None) -> Filled[F]:
    """Read a submitted form into a model.

    Args:
        model: the form; a field typed `list[…]` takes every value of its name.
        form: as submitted.
        start: values that do not come from the browser.
    """
    filled: Filled[F] = Filled(given=_given(model, form))
    for name, value in filled.given.items():
        texts = value if isinstance(value, list) else [value]
        if any(holds_my_number(text) for text in texts):
            filled.errors[name] = phrase("error.my_number")
    try:
        value = model.model_validate({**filled.given, **(start or {})})
    except ValidationError as error:
        for one in error.errors(include_url=False):
            name = str(one["loc"][0]) if one["loc"] else "form"
            filled.errors.setdefault(name, _text(one))
    else:
        filled.value = None if filled.errors else value
    return filled


def _given(model: type[Form], form: FormData) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for name, description in model.model_fields.items():
        values = [_clean(value) for value in form.getlist(name) if not isinstance(value, UploadFile)]
        if "list" in str(description.annotation):
            given[name] = values
        else:
            given[name] = values[-1] if values else ""
    given.pop(FIELD, None)
    return given


def _clean(text: str) -> str:
    return unicodedata.normalize("NFC", text).replace("\x00", "").strip()


def _text(error: Any) -> str:
    if error["type"] == "phrase":
        return phrase(error["msg"])
    return phrase(_PHRASES.get(error["type"], "error.other"))
