"""Dates, links, numbers and what may not stand in a registry."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.calendar.era import era_date
from app.registry.formats.texts import (
    email_address,
    https_address,
    read_date,
    telephone_numbers,
    unusable,
    without_links,
)
from app.rules.my_number import check_digit


@pytest.mark.parametrize(
    "text",
    [
        "2026-04-01",
        "2026/4/1",
        "２０２６／０４／０１",
        "2026年4月1日",
        "20260401",
        "令和8年4月1日",
        "Ｒ８．４．１",
        "r8/4/1",
        " 2026.4.1 ",
    ],
)
def test_dates_in_every_style(text):
    assert read_date(text) == dt.date(2026, 4, 1)


@pytest.mark.parametrize(
    "text",
    [
        "随時",
        "",
        "2026-13-01",
        "令和8年2月30日",
        "令和元年4月30日",
        "昭和64年1月8日",
        "2026",
        "令和0年5月1日",
        None,
        True,
    ],
)
def test_no_dates(text):
    assert read_date(text) is None


@given(st.dates(dt.date(1926, 12, 25), dt.date(2090, 12, 31)))
def test_era_dates_come_back(day):
    assert read_date(era_date(day)) == day


def test_links_leave_their_titles():
    text, addresses = without_links("くわしくは案内;https://example.invalid/a と一覧;http://example.invalid/b。です")
    assert text == "くわしくは案内 と一覧。です"
    assert addresses == ("https://example.invalid/a", "http://example.invalid/b")


def test_telephone_numbers_of_several_desks():
    assert telephone_numbers("０３－００００－０００１,03-0000-0002（内線 12）") == ("03-0000-0001", "03-0000-0002")
    assert telephone_numbers("相談は#8000") == ("#8000",)
    assert telephone_numbers("2026-04-01") == ()


@pytest.mark.parametrize("text", ["a(at)b.example", "a＠b.example", "窓口: a[AT]b.example まで", "ａ（at）b.example"])
def test_email_addresses(text):
    assert email_address(text) == "a@b.example"


@pytest.mark.parametrize("text", ["http://a.example", "https://a b", "https:///x", "javascript:alert(1)", "https://"])
def test_only_https_addresses(text):
    assert https_address(text) is None


ELEVEN = st.integers(0, 10**11 - 1).map(lambda number: f"{number:011d}")


@given(ELEVEN, st.sampled_from(["{}", "番号は{}です", "{0[0]}-{0[1]}-{0[2]}"]))
def test_my_numbers_are_found(eleven, shape):
    number = f"{eleven}{check_digit(eleven)}"
    text = shape.format([number[:4], number[4:8], number[8:]]) if "[" in shape else shape.format(number)
    assert ("a.b", "my_number") in list(unusable({"a": {"b": ["x", text]}}))
    wide = text.translate(str.maketrans("0123456789-", "０１２３４５６７８９－"))
    assert ("a", "my_number") in list(unusable({"a": wide}))


@given(ELEVEN)
def test_a_number_is_found_where_a_table_made_it_a_number(eleven):
    number = int(f"{eleven}{check_digit(eleven)}")
    if number >= 10**11:
        assert ("a", "my_number") in list(unusable({"a": number}))


@pytest.mark.parametrize(
    "text",
    [
        "psid3.0+7000020131041+0001+UM15",  # 法人番号 has thirteen digits
        "03-1234-5678 03-1234-5679",  # two telephone numbers
        "2026-04-01 2027-03-31",  # two dates
        "https://example.invalid/123456789018/",  # an address
    ],
)
def test_what_is_no_my_number(text):
    assert list(unusable({"a": text})) == []


def test_control_characters_and_depth():
    assert list(unusable({"a": "x\x00"})) == [("a", "control_characters")]
    assert list(unusable({"x\x00": "a"})) == [("", "control_characters")]
    deep: dict = {}
    for _ in range(20):
        deep = {"a": deep}
    assert [code for _, code in unusable(deep)] == ["nested_too_deeply"]
    assert [code for _, code in unusable({"a": "あ" * 100_001})] == ["text_too_long"]
    assert list(unusable({"a": "多行\n\t<script>"})) == []
