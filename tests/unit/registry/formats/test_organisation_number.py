"""法人番号 and 団体コード: check digits find every single wrong digit that they can."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.registry.formats.organisation_number import check_digit, municipality_of, of_municipality
from app.rules.municipality_code import check_digit as code_check_digit
from app.rules.municipality_code import read_municipality_code

CODES = (
    st.integers(min_value=1000, max_value=47999)
    .map(lambda five: f"{five:05d}")
    .map(lambda five: f"{five}{code_check_digit(five)}")
)


@pytest.mark.parametrize(
    ("code", "number"),
    [("130001", "8000020130001"), ("131041", "7000020131041"), ("131016", "8000020131016")],
)
def test_numbers_of_real_bodies(code, number):
    assert of_municipality(code) == number
    assert municipality_of(number) == code


def test_the_nation_has_none():
    assert of_municipality("000000") is None


@given(CODES)
def test_there_and_back(code):
    number = of_municipality(code)
    assert len(number) == 13
    assert municipality_of(number) == code


@given(CODES, st.integers(0, 12), st.integers(1, 8))
def test_a_wrong_digit_is_found(code, place, off):
    """Weights are 1 and 2 modulo 9, so that only 0 and 9 in one place cannot be told apart."""
    number = of_municipality(code)
    wrong = str((int(number[place]) + off) % 10)
    if {wrong, number[place]} == {"0", "9"}:
        return
    spoiled = number[:place] + wrong + number[place + 1 :]
    with pytest.raises(ValueError, match="found"):
        municipality_of(spoiled)


@given(CODES, st.integers(0, 5), st.integers(1, 9))
def test_a_wrong_digit_in_a_municipality_code_is_found(code, place, off):
    """11 − x modulo 11 is written with one digit: remainders 0 and 10 share theirs, all else is told apart."""
    spoiled = code[:place] + str((int(code[place]) + off) % 10) + code[place + 1 :]
    if code_check_digit(spoiled[:5]) == int(spoiled[5]):
        assert read_municipality_code(spoiled) == spoiled
    else:
        with pytest.raises(ValueError, match="check digit is wrong"):
            read_municipality_code(spoiled)


@pytest.mark.parametrize("number", ["", "700002013104", "70000201310411", "７０００020131041", "1000012050002"])
def test_other_numbers_are_refused(number):
    with pytest.raises(ValueError, match="found"):
        municipality_of(number)


def test_check_digit_formula():
    """9 − (Σ Pₙ·Qₙ mod 9): 000020131041 from the right is 1·1+4·2+0+1·2+3·1+1·2+0+2·2 = 20; 9 − 2 = 7."""
    assert check_digit("000020131041") == 7
