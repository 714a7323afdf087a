"""Forms keep what was typed, say what is wrong beside the field, and refuse a 個人番号 anywhere."""

import datetime as dt
from typing import Literal

from pydantic import Field, field_validator
from starlette.datastructures import FormData

from app.rules.my_number import check_digit
from app.web.forms import FieldProblem, Form, fill
from app.web.pages import phrase


class Example(Form):
    name: str
    born_on: dt.date
    many: list[str] = Field(default_factory=list)
    kind: Literal["a", "b"] = "a"
    note: str = ""


def submit(*pairs):
    return fill(Example, FormData(list(pairs)))


def test_a_right_form_becomes_a_value():
    filled = submit(("name", " 架空 "), ("born_on", "2026-11-05"), ("many", "x"), ("many", "y"), ("unknown", "z"))
    assert filled.errors == {}
    assert filled.value == Example(name="架空", born_on=dt.date(2026, 11, 5), many=["x", "y"])


def test_blank_and_wrong_fields_are_named_and_input_is_kept():
    filled = submit(("name", ""), ("born_on", "2026-13-01"), ("kind", "c"))
    assert filled.value is None
    assert filled.errors == {
        "name": phrase("error.required"),
        "born_on": phrase("error.date"),
        "kind": phrase("error.choice"),
    }
    assert filled.given["born_on"] == "2026-13-01"


def test_a_my_number_is_refused_in_every_text_field():
    eleven = "12345678901"
    number = eleven + str(check_digit(eleven))
    full_width = number.translate(str.maketrans("0123456789", "０１２３４５６７８９"))
    for field in ("name", "note", "many"):
        filled = submit(("name", "架空"), ("born_on", "2026-11-05"), (field, f"番号は {full_width} です"))
        assert filled.value is None
        assert filled.errors == {field: phrase("error.my_number")}
    wrong = eleven + str((check_digit(eleven) + 1) % 10)
    assert submit(("name", wrong), ("born_on", "2026-11-05")).value is not None


def test_an_own_problem_is_a_key_of_the_catalogue():
    class Own(Form):
        code: str

        @field_validator("code")
        @classmethod
        def _six(cls, value: str) -> str:
            if len(value) != 6:
                raise FieldProblem("error.code")
            return value

    assert fill(Own, FormData([("code", "12")])).errors == {"code": phrase("error.code")}
