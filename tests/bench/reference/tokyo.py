"""Programmes of Tokyo."""

import datetime as dt

import numpy as np

from tests.bench.reference.asked import (
    NO,
    UNKNOWN,
    YES,
    at_least,
    at_most,
    both,
    either,
    judged,
    no,
    one_of,
    open_at_best,
    yes,
    yes_if_known,
)
from tests.bench.reference.childcare_and_school import CLASS_AGE, PRIVATE, SCHOOL, in_childcare
from tests.bench.reference.days import latest


def verdicts(a):
    found = {**children(a), **money(a), **incomes(a)}
    in_tokyo = a.child_in_tokyo
    found = {key: both(verdict, in_tokyo) for key, verdict in found.items()}
    found["consultation-child-illness"] = both(a.in_tokyo, a.some_child(a.under_18))
    found["consultation-children-family"] = both(a.in_tokyo, a.child_or_pregnancy)
    found["consultation-children-net"] = both(a.in_tokyo, a.has_child)
    found["consultation-pregnancy"] = both(a.in_tokyo, a.has_pregnancy)
    found["home-help"] = open_at_best(
        both(a.in_tokyo, either(a.has_pregnancy, a.some_child(a.born.aged(0, 36)))))
    a.complications = hospital_care_in_pregnancy(a)
    found["pregnancy-complication-medical-subsidy"] = both(a.complications, a.of_pregnancy(a.in_tokyo))
    return {f"130001/{key}": verdict for key, verdict in found.items()}


def children(a):
    found, child, to_6 = {}, a.h.child, a.born.up_to_year_end(6)
    born_in = a.where(a.born.fixed(dt.date(2025, 4, 1), dt.date(2027, 3, 31)),
                      lambda rows, households: a.lived_in_tokyo(households, child["date"][rows]))
    this_year = a.born.fixed(dt.date(2026, 4, 1), dt.date(2027, 3, 31)) & (a.on <= dt.date(2027, 9, 15))
    last_year = a.born.fixed(dt.date(2025, 4, 1), dt.date(2026, 3, 31)) & a.born.younger(30)
    found["baby-first"] = both(born_in, either(yes(this_year), judged(last_year)))
    found["babysitter-support"] = found["certified-nursery"] = judged(to_6)
    found["birthday-support"] = judged(a.born.aged(12, 36))
    in_season = dt.date(2026, 2, 2) <= a.on <= dt.date(2027, 4, 1)
    found["child-rearing-plus"] = yes(a.born.fixed(dt.date(2012, 4, 2), dt.date(2027, 4, 1)) & in_season)
    a.medical = both(a.not_assisted_child, a.at_home)
    a.infant_medical = both(yes(to_6), a.medical)
    found["infant-medical-subsidy"] = a.infant_medical
    found["child-medical-subsidy"] = both(yes(a.born.up_to_year_end(15, after=6)), a.medical)
    a.aged_15_to_18 = a.born.up_to_year_end(18, after=15)
    found["youth-medical-subsidy"] = both(yes(a.aged_15_to_18), a.medical)
    somewhere_else = in_childcare(a, "certified_by_tokyo", "company_led", "unlicensed")
    found["nursery-fee-free"] = both(
        yes(a.born.grades(-CLASS_AGE, 2 - CLASS_AGE)),
        either(in_childcare(a, "licensed_nursery", "certified_centre", "small_scale"),
               open_at_best(somewhere_else)))
    found["painless-delivery-subsidy"] = both(
        yes(a.born.aged(0, 12, ends=1) & a.born.fixed(dt.date(2025, 10, 1))), child["painless_delivery"],
        child["pregnancy_registered_in_tokyo"])
    private, kind = one_of(child["school_founder"], PRIVATE), child["school_kind"]
    found["private-high-school-fees"] = both(judged(a.born.grades(10, 12)), private, one_of(
        kind, SCHOOL["high"], SCHOOL["special_needs"], SCHOOL["technical_college"], SCHOOL["vocational"]))
    found["private-junior-high-fees"] = both(
        yes(a.born.grades(7, 9)), private, one_of(kind, SCHOOL["junior_high"], SCHOOL["special_needs"]))
    return found


def money(a):
    """018サポート and the loan for entrance examinations."""
    first = a.today - a.on.day + 1
    h = a.h
    there = np.where(h.moved_in <= first, h.town, h.former_town)
    on_the_first = np.where(h.former_from > first, UNKNOWN, yes(there // 10_000 == 13))
    found = {"018-support": both(yes(a.to_18 & ~a.born.since(first + 1)), a.of_child(on_the_first))}
    # Whoever has always lived in Tokyo, as far as the history goes, may have come from elsewhere in Tokyo before.
    stay = np.where(h.former_town // 10_000 == 13, h.former_from, h.moved_in)
    a_year = latest(a.on, 12)
    resided = np.where(stay <= a_year, YES, np.where(h.former_town // 10_000 == 13, UNKNOWN, NO))
    income, members, single = h.household["parents_income"], h.household["family_members"], h.household["single_parent"]
    limits = {name: a.rows(f"exam-challenge-limit-{name}", members) for name in ("single-parent", "two-parents")}
    under = {name: _at_most_row(income, limit) for name, limit in limits.items()}
    household = both(
        resided, a.not_assisted, at_most(h.household["deposits"], a.limits["exam-challenge-deposits-limit"]),
        either(both(single, under["single-parent"]), both(no(single), under["two-parents"])))
    found["exam-challenge-loan"] = both(yes(a.born.grades(9, 9) | a.born.grades(12, 12)), a.of_child(household))
    return found


def _at_most_row(income, limit):
    return yes_if_known(income <= limit, (income | limit) < 0)


def incomes(a):
    """Allowances that look at the claimant's income, and medical care of single parents."""
    found, child = {}, a.h.child
    development = a.of_child(a.claimant_under("child-development-allowance-limit", a.year((6, 1))))
    not_away = no(child["in_institution"])
    intellectual, physical = child["intellectual_disability_grade_tokyo"], child["physical_disability_grade"]
    disabled_physically = one_of(physical, 1, 2)
    found["child-development-allowance"] = both(yes(a.to_18), a.single_parent, development, a.at_home)
    found["child-development-allowance-disability"] = both(
        yes(a.under_20), either(one_of(intellectual, 1, 2, 3), disabled_physically,
                                child["cerebral_palsy_or_progressive_muscular_atrophy"]), development, not_away)
    severe = a.of_child(a.claimant_under("severe-disability-allowance-limit", a.year((11, 1)), inclusive=True))
    found["severe-disability-allowance"] = both(
        judged(a.under_20), either(one_of(intellectual, 1, 2), disabled_physically), not_away, severe)
    year = a.year((1, 1), back=2)
    household = both(
        a.h.household["single_parent"], a.not_assisted, a.claimant_under("single-parent-medical-limit", year),
        a.relatives_under("co_resident", "single-parent-medical-supporter-limit", year))
    found["single-parent-medical-subsidy"] = both(a.of_an_age, a.of_child(household), a.at_home)
    return found


def hospital_care_in_pregnancy(a):
    """Tokyo's help with complications of pregnancy, wherever the family lives."""
    mother = a.h.pregnancy
    tax = at_most(a.h.household["income_tax"], a.limits["pregnancy-complication-income-tax-limit"])
    window = a.due.between(latest(a.on, 3) + 1, a.today + 280)
    return both(yes(window), mother["hospitalised_for_complication"],
                either(a.of_pregnancy(tax), at_least(mother["hospital_days"], 26)), a.of_pregnancy(a.not_assisted))
