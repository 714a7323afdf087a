"""What generated families tell beyond ages and incomes: work, insurance, childcare, school, disabilities, moves.

The shares are rough and say nothing about anybody; what is unknown is left out. A family uses up its own list of
numbers between 0 and 1 in the order of the functions below, so that a new fact belongs at the end of its function.
"""

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any

Document = dict[str, Any]
Chance = Callable[[], float]
"""The next of a family's numbers between 0 and 1."""

NUMBERS = 192
"""Numbers a family may use up."""
UNTOLD_SHARE = 0.10
MOVED_SHARE = 0.15
MOVED_WITHIN_DAYS = 730
DISABILITY_SHARE = 0.03
ELSEWHERE = ("141003", "111007", "121002", "231002", "271004")
"""Towns outside Tokyo that families come from."""
INCOME_BANDS = ((2_700_000, "under_270"), (3_800_000, "from_270_to_380"), (4_900_000, "from_380_to_490"))
CHILDCARE_UNDER_THREE = (
    (0.45, "none"), (0.30, "licensed_nursery"), (0.06, "certified_centre"), (0.08, "small_scale"),
    (0.03, "company_led"), (0.05, "certified_by_tokyo"), (0.02, "unlicensed"), (0.01, "other"),
)  # fmt: skip
CHILDCARE_FROM_THREE = (
    (0.03, "none"), (0.52, "licensed_nursery"), (0.13, "certified_centre"), (0.25, "kindergarten"),
    (0.02, "company_led"), (0.03, "certified_by_tokyo"), (0.01, "unlicensed"), (0.01, "other"),
)  # fmt: skip
SCHOOLS = {
    "primary": ((0.985, "primary"), (0.015, "special_needs")),
    "junior_high": ((0.98, "junior_high"), (0.02, "special_needs")),
    "high": (
        (0.83, "high"), (0.08, "correspondence_high"), (0.02, "special_needs"), (0.02, "technical_college"),
        (0.02, "vocational"), (0.03, "none"),
    ),
    "later": ((0.55, "university"), (0.15, "vocational"), (0.05, "technical_college"), (0.25, "none")),
}  # fmt: skip
FOUNDERS = {
    "primary": ((0.95, "public"), (0.04, "private"), (0.01, "national")),
    "junior_high": ((0.74, "public"), (0.25, "private"), (0.01, "national")),
    "high": ((0.44, "public"), (0.55, "private"), (0.01, "national")),
    "later": ((0.2, "public"), (0.7, "private"), (0.1, "national")),
}
RESIDENCE_STATUSES = (
    (0.96, "japanese"), (0.01, "permanent_resident"), (0.005, "special_permanent_resident"), (0.02, "other"),
    (0.005, "student"),
)  # fmt: skip


def tell_more(document: Document, on: dt.date, towns: Sequence[str], chance: Chance) -> None:
    """Add to one generated family what it tells beyond ages and incomes, and for some a move in the last two years."""
    moved = chance() < MOVED_SHARE
    if moved:
        _move(document, on, towns, chance)
    single = len(document["guardians"]) == 1
    _about_the_household(document, single, chance)
    ages = [(on - dt.date.fromisoformat(child["birth_date"])).days for child in document["children"]]
    for guardian in document["guardians"]:
        mother = guardian is document["guardians"][-1]
        _about_a_guardian(guardian["facts"], mother, single, min(ages, default=10**5), chance)
    for child, age in zip(document["children"], ages, strict=True):
        _about_a_child(child["facts"], _school_grade(dt.date.fromisoformat(child["birth_date"]), on), age, chance)
        if moved and 365 <= age < 3 * 366 and chance() < 0.6:
            child["received_elsewhere"] = {"birthday-support": chance() < 0.4, "second-birthday-support": False}
    for pregnancy in document["pregnancies"]:
        mother_facts = document["guardians"][-1]["facts"]
        _about_a_pregnancy(pregnancy["facts"], mother_facts.get("health_insurance"), chance)
        if moved and chance() < 0.6:
            pregnancy["received_elsewhere"] = {"pregnancy-support-benefit-first": chance() < 0.5}


def _tell(facts: Document, name: str, value: Any, chance: Chance) -> None:
    if chance() >= UNTOLD_SHARE:
        facts[name] = value


def _pick(shares: Sequence[tuple[float, str]], chance: Chance) -> str:
    left = chance()
    for share, choice in shares:
        left -= share
        if left < 0:
            return choice
    return shares[-1][1]


def _move(document: Document, on: dt.date, towns: Sequence[str], chance: Chance) -> None:
    here = document["residence"][0]
    moved_on = on - dt.timedelta(days=int(chance() * MOVED_WITHIN_DAYS))
    came_from = towns if chance() < 0.7 else ELSEWHERE
    since = min(dt.date.fromisoformat(here["from"]), moved_on - dt.timedelta(days=60))
    former = {"municipality": came_from[int(chance() * len(came_from))], "from": since.isoformat()}
    document["residence"] = [former, {**here, "from": moved_on.isoformat()}]


def _income(facts: Document) -> int | None:
    stated = facts["income_after_deductions"]
    return None if stated is None else int(stated["value"])


def _about_the_household(document: Document, single: bool, chance: Chance) -> None:
    facts = document["facts"]
    incomes = [_income(guardian["facts"]) for guardian in document["guardians"]]
    if None not in incomes:
        total = sum(income or 0 for income in incomes)
        _tell(facts, "parents_income", total, chance)
        _tell(facts, "residence_tax_exempt", total <= 1_000_000, chance)
        _tell(facts, "residence_tax_income_levy", max(0, total - 450_000) * 6 // 10_000 * 100, chance)
        _tell(facts, "income_tax", max(0, total - 480_000) * 5 // 10_000 * 100, chance)
        band = next((name for limit, name in INCOME_BANDS if total * 1.35 < limit), "over_490")
        _tell(facts, "annual_income_band", band, chance)
    _tell(facts, "deposits", int(chance() ** 3 * 2_000) * 10_000, chance)
    _tell(facts, "needs_daytime_care", chance() < 0.65, chance)
    people = ("guardians", "children", "co_residents")
    _tell(facts, "family_members", sum(len(document.get(kind) or ()) for kind in people), chance)
    if single:
        _tell(facts, "divorced_since_april_2026", chance() < 0.08, chance)
        _tell(facts, "child_support_agreed", chance() < 0.4, chance)
        if chance() < 0.6:
            document["receives"] = {"child-rearing-allowance": (incomes[0] or 0) < 2_400_000}


def _about_a_guardian(facts: Document, mother: bool, single: bool, youngest_days: int, chance: Chance) -> None:
    employed = chance() < (0.7 if mother and not single else 0.88)
    insurance = "employee" if employed and chance() < 0.88 else "national"
    if not employed:
        insurance = _pick(((0.5, "dependant"), (0.48, "national"), (0.02, "none")), chance)
    _tell(facts, "health_insurance", insurance, chance)
    insured = insurance == "employee"
    _tell(facts, "employment_insurance", insured, chance)
    _tell(facts, "employment_insurance_twelve_months", insured and chance() < 0.9, chance)
    if youngest_days < 800:
        leave = (0.75 if youngest_days < 400 else 0.15) if mother else (0.3 if youngest_days < 150 else 0.02)
        on_leave = insured and chance() < leave
        _tell(facts, "on_childcare_leave", on_leave, chance)
        _tell(facts, "gave_birth", mother, chance)
        _tell(facts, "fourteen_days_of_leave", on_leave and chance() < 0.8, chance)
        _tell(facts, "reduced_hours", insured and not on_leave and chance() < (0.5 if mother else 0.04), chance)
    income = _income(facts)
    if income is not None:
        _tell(facts, "total_income", income * 13 // 10, chance)
    if single:
        _tell(facts, "studying_for_qualification", chance() < 0.06, chance)
        _tell(facts, "plans_vocational_course", chance() < 0.08, chance)


def _about_a_child(facts: Document, grade: int, age_days: int, chance: Chance) -> None:
    _tell(facts, "sex", "female" if chance() < 0.49 else "male", chance)
    if grade <= 0:
        shares = CHILDCARE_UNDER_THREE if grade <= -3 else CHILDCARE_FROM_THREE
        _tell(facts, "childcare", _pick(shares, chance), chance)
    else:
        stage = "primary" if grade <= 6 else "junior_high" if grade <= 9 else "high" if grade <= 12 else "later"
        _tell(facts, "school_kind", _pick(SCHOOLS[stage], chance), chance)
        _tell(facts, "school_founder", _pick(FOUNDERS[stage], chance), chance)
        _tell(facts, "special_needs_class", chance() < 0.03, chance)
    if grade >= 10:
        _tell(facts, "residence_status", _pick(RESIDENCE_STATUSES, chance), chance)
    if age_days < 800:
        weight = 1_400 + int((chance() + chance()) * 1_600)
        _tell(facts, "birth_weight_grams", weight, chance)
        _tell(facts, "hospital_care_for_prematurity", weight < 2_300 and chance() < 0.7, chance)
        _tell(facts, "painless_delivery", chance() < 0.3, chance)
        _tell(facts, "pregnancy_registered_in_tokyo", chance() < 0.9, chance)
    _about_disabilities(facts, chance)


def _about_disabilities(facts: Document, chance: Chance) -> None:
    if chance() < UNTOLD_SHARE:
        return
    disabled = chance() < DISABILITY_SHARE
    facts["special_allowance_grade"] = int(chance() * 3) if disabled else 0
    facts["severe_disability_needing_constant_care"] = disabled and chance() < 0.3
    facts["physical_disability_grade"] = int(chance() * 7) if disabled else 0
    facts["intellectual_disability_grade_tokyo"] = int(chance() * 5) if disabled else 0
    facts["cerebral_palsy_or_progressive_muscular_atrophy"] = disabled and chance() < 0.1
    facts["treatment_to_improve_disability"] = disabled and chance() < 0.3
    facts["mental_disability_grade"] = int(chance() * 4) if disabled else 0


def _about_a_pregnancy(facts: Document, mother_insurance: str | None, chance: Chance) -> None:
    if mother_insurance is not None:
        facts["mother_health_insurance"] = mother_insurance
        _tell(facts, "mother_on_national_pension", mother_insurance == "national" and chance() < 0.9, chance)
    hospitalised = chance() < 0.05
    _tell(facts, "hospitalised_for_complication", hospitalised, chance)
    if hospitalised:
        _tell(facts, "hospital_days", 1 + int(chance() * 60), chance)


def _school_grade(birth: dt.date, on: dt.date) -> int:
    """小学1年 = 1; whoever is born on 1 April goes with those born on 31 March."""
    before = birth - dt.timedelta(days=1)
    return (on.year - (on.month < 4)) - (before.year - (before.month < 4)) - 6
