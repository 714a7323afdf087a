"""Childcare, school, and parents at work: programmes of the nation."""

import numpy as np

from tests.bench.reference.asked import both, either, judged, no, one_of, open_at_best, open_at_least, unless, yes
from tests.bench.reference.households import CHOICES

CHILDCARE = {choice: place for place, choice in enumerate(CHOICES["childcare"])}
SCHOOL = {choice: place for place, choice in enumerate(CHOICES["school_kind"])}
NATIONAL, PRIVATE = CHOICES["school_founder"].index("national"), CHOICES["school_founder"].index("private")
CLASS_AGE = 5
"""The class age of grade 0."""


def verdicts(a):
    found = {**childcare(a), **school(a), **working_parents(a)}
    return {f"000000/{key}": verdict for key, verdict in found.items()}


def in_childcare(a, *kinds):
    return one_of(a.h.child["childcare"], *(CHILDCARE[kind] for kind in kinds))


def childcare(a):
    found = {}
    at_most_grade_6 = a.born.grades(None, 6)
    found["after-school-club"] = both(yes(a.born.grades(1, 6)), a.needs_care)
    found["childcare-for-all"] = both(
        yes(a.born.aged(6, 36, ends=-1)), in_childcare(a, "none", "certified_by_tokyo", "unlicensed", "other"))
    found["child-short-stay"] = judged(a.to_18)
    found["family-support-centre"] = judged(at_most_grade_6)
    centre = open_at_best(in_childcare(a, "certified_centre"))
    turned_three = yes(a.born.grades(2 - CLASS_AGE, 2 - CLASS_AGE) & ~a.born.younger(36))
    found["free-childcare-three-to-five"] = both(
        either(yes(a.born.grades(3 - CLASS_AGE, 0)), both(turned_three, either(in_childcare(a, "kindergarten"), centre))),
        either(in_childcare(a, "none", "licensed_nursery", "certified_centre", "small_scale", "kindergarten",
                            "company_led"), a.needs_care))
    found["free-childcare-under-three"] = both(
        yes(a.born.between(None, a.today) & a.born.grades(None, 2 - CLASS_AGE)),
        either(a.tax_exempt_child, a.assisted_child),
        either(in_childcare(a, "licensed_nursery", "certified_centre", "small_scale", "company_led"),
               both(in_childcare(a, "none", "certified_by_tokyo", "unlicensed", "other"), a.needs_care)))
    found["sick-childcare"] = both(judged(at_most_grade_6), a.needs_care)
    found["temporary-childcare"] = judged(a.born.grades(None, 0))
    return found


def school(a):
    found = {}
    compulsory, entering = a.born.grades(1, 9), a.born.grades(0, 0) | a.born.grades(6, 6)
    kind, founder, status = (a.h.child[name] for name in ("school_kind", "school_founder", "residence_status"))
    high_school_age = a.born.grades(10, 12)
    first_year = judged(a.born.grades(10, 10))
    still_at = both(one_of(kind, SCHOOL["primary"], SCHOOL["junior_high"]), first_year)
    older = judged(a.born.grades(13, None))
    at_high_school = both(
        one_of(kind, SCHOOL["high"], SCHOOL["correspondence_high"]), either(yes(high_school_age), older))
    scholarship = either(at_high_school, still_at, both(
        one_of(kind, SCHOOL["technical_college"], SCHOOL["vocational"]), yes(high_school_age)))
    tuition = either(at_high_school, still_at, both(
        one_of(kind, SCHOOL["special_needs"], SCHOOL["technical_college"], SCHOOL["vocational"]), yes(high_school_age)))
    from_10 = yes(a.born.grades(10, None))
    band = open_at_best(a.of_child(one_of(a.h.household["annual_income_band"], 0, 1, 2)))
    found["high-school-scholarship-benefit"] = both(
        from_10, scholarship, either(a.assisted_child, a.tax_exempt_child, band))
    status_like = either(one_of(status, 0, 1, 2), open_at_best(one_of(status, 4)))
    found["high-school-tuition-support"] = both(from_10, tuition, status_like)
    found["school-entry-grant"] = both(judged(entering), a.not_assisted_child)
    a.covered_school = unless(either(one_of(founder, PRIVATE), one_of(kind, SCHOOL["special_needs"])))
    found["school-expense-assistance"] = both(
        yes(compulsory), open_at_least(a.assisted_child), a.covered_school)
    found["school-injury-mutual-aid"] = judged(a.under_20)
    found["school-lunch-fee"] = both(yes(a.born.grades(1, 6)), unless(one_of(founder, NATIONAL, PRIVATE)))
    found["special-needs-education-allowance"] = both(
        yes(compulsory), either(a.h.child["special_needs_class"], one_of(kind, SCHOOL["special_needs"])))
    return found


def working_parents(a):
    found, g = {}, a.h.guardian
    insured, on_leave, mother = g["employment_insurance"], g["on_childcare_leave"], g["gave_birth"]
    twelve_months, fourteen_days = g["employment_insurance_twelve_months"], g["fourteen_days_of_leave"]
    entitled = both(insured, on_leave, twelve_months)
    newborn = a.of_guardian(a.some_child(a.born.days_old(0, 56)))
    not_mother = no(mother)
    found["birth-leave-benefit"] = both(entitled, newborn, not_mother)
    under_two = a.of_guardian(a.some_child(a.born.aged(0, 24, ends=-1)))
    under_one = a.of_guardian(a.some_child(a.born.aged(0, 12, ends=-1)))
    found["childcare-leave-benefit"] = both(entitled, either(under_one, open_at_best(under_two)))
    found["childcare-leave-premium-exemption"] = both(
        on_leave, a.of_guardian(a.some_child(a.born.aged(0, 36))), one_of(g["health_insurance"], 0))
    after_eight_weeks = a.of_guardian(a.some_child(a.born.days_old(56, 112)))
    both_rest = both(fourteen_days_of_two(a, fourteen_days))
    working_mother = a.of_guardian(a.some(g, both(mother, insured)))
    partner = either(a.guardian_single, both(not_mother, working_mother), both_rest)
    found["post-birth-leave-support-benefit"] = both(
        entitled, either(both(not_mother, newborn), both(mother, after_eight_weeks)), fourteen_days,
        open_at_least(partner))
    found["reduced-hours-benefit"] = open_at_best(both(insured, g["reduced_hours"], under_two, twelve_months))
    return found


def fourteen_days_of_two(a, fourteen_days):
    """Of each guardian's household: do at least two of them take fourteen days?"""
    household, size = a.h.guardian.household, a.h.size
    sure = np.bincount(household[fourteen_days == 2], minlength=size)
    possible = np.bincount(household[fourteen_days > 0], minlength=size)
    return a.of_guardian(yes(sure >= 2) | ((sure < 2) & (possible >= 2)).view(np.int8))
