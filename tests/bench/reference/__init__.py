"""The programmes of `registry_data` written out by hand in numpy for one day, with masks for what is unknown.

It reads the documents itself and counts days itself: nothing of `app` is used, so that equal verdicts mean something.
Belongs here: one module for each field of programmes, what they share in `asked.py`. Not here: racing and comparing
(`tests/bench/evaluate.py`). A new programme: its lines in the module of its field; the comparison fails until they are
there.

    households = Households(documents, on)
    verdicts(households, on, limits)    # key → 0 no, 1 unknown, 2 yes for each child, guardian, pregnancy or household
"""

from tests.bench.reference import (
    allowances,
    childcare_and_school,
    pregnancy_and_birth,
    tokyo,
    vaccinations_and_checkups,
    wards,
)
from tests.bench.reference.asked import Asked
from tests.bench.reference.households import Households

__all__ = ["LIMITS", "Households", "verdicts"]

LIMITS = (
    "child-development-allowance-limit",
    "child-rearing-allowance-partial-limit",
    "child-rearing-allowance-supporter-least-limit",
    "child-rearing-allowance-supporter-limit",
    "child-rehabilitation-medical-care-limit",
    "exam-challenge-deposits-limit",
    "exam-challenge-limit-single-parent",
    "exam-challenge-limit-two-parents",
    "miharashi-school-expense-limit",
    "pregnancy-complication-income-tax-limit",
    "premature-infant-birth-weight",
    "severe-disability-allowance-limit",
    "single-parent-medical-limit",
    "single-parent-medical-supporter-limit",
    "single-parent-tax-deduction-limit",
    "special-child-rearing-allowance-limit",
    "special-child-rearing-allowance-supporter-least-limit",
    "special-child-rearing-allowance-supporter-limit",
)
"""Parameters that the rules below name: a number, or (rows by number, step past the last or None where unknown)."""


def verdicts(households, on, limits):
    """All programmes on a day: key → verdicts."""
    asked = Asked(households, on, limits)
    found = {}
    for field in (
        pregnancy_and_birth, vaccinations_and_checkups, childcare_and_school, allowances, tokyo, wards,
    ):  # fmt: skip
        found |= field.verdicts(asked)
    return wards.without_replaced(asked, found)
