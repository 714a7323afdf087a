"""Programmes of wards and towns: full of what only a few live in, so that residence is looked up for those alone."""

import datetime as dt

import numpy as np

from tests.bench.reference.asked import (
    UNKNOWN,
    at_least,
    both,
    either,
    judged,
    no,
    open_at_best,
    open_at_least,
    yes,
    yes_if_known,
)
from tests.bench.reference.childcare_and_school import in_childcare
from tests.bench.reference.days import latest, month_starts, months_after

CHIYODA, CHUO, MINATO, SHINJUKU, OTA, SETAGAYA, SHIBUYA = 131_016, 131_024, 131_032, 131_041, 131_113, 131_121, 131_130
NAKANO, TOSHIMA, KITA, ARAKAWA, EDOGAWA, MIHARASHI = 131_148, 131_164, 131_172, 131_181, 131_237, 139_904
ELSEWHERE = {"birthday-support": "birthday-support", "second-birthday-support": "second-birthday-support"}


REPLACED = {
    "000000/checkup-one-month": (SETAGAYA,),
    "000000/child-allowance": (KITA,),
    "000000/postnatal-care": (SHINJUKU,),
    "000000/postnatal-checkups": (SETAGAYA,),
    "000000/school-entry-grant": (NAKANO,),
    "000000/school-expense-assistance": (CHUO, MIHARASHI),
    "130001/babysitter-support": (OTA,),
    "130001/birthday-support": (MINATO, EDOGAWA, MIHARASHI),
    "130001/infant-medical-subsidy": (TOSHIMA, KITA, ARAKAWA, MIHARASHI),
    "130001/pregnancy-complication-medical-subsidy": (SHINJUKU,),
}
"""Towns in which a programme of their own takes the place of the nation's or Tokyo's; drafts take nobody's place."""


def verdicts(a):
    return {**births(a), **birthdays(a), **schools(a), **as_in_tokyo(a)}


def without_replaced(a, found):
    """Programmes of the nation and of Tokyo for those whose town has none of its own instead."""
    for key, towns in REPLACED.items():
        subject = key.split("/")[1].split("-")[0]
        if subject == "postnatal":  # the household's
            replaced = [a.in_town(code) for code in towns]
        elif subject == "pregnancy":
            replaced = [a.in_town(code)[a.h.pregnancy.household] for code in towns]
        else:
            replaced = [a.child_in(code) for code in towns]
        found[key] = found[key] * (~np.logical_or.reduce(replaced)).view(np.int8)
    return found


def births(a):
    found, h, child = {}, a.h, a.h.child
    first_year, two_years = a.born.aged(0, 12, ends=1), a.born.aged(0, 24)
    under_one = a.born.aged(0, 12)

    def born_there(code):
        return lambda rows, households: a.lived_in(code, households, child["date"][rows])

    def born_there_and_resided(code):
        return lambda rows, households: both(born_there(code)(rows, households), a.resided(code, households, 12))

    in_chiyoda = a.child_in(CHIYODA)
    found["131016/birth-cost-subsidy"] = a.where(
        in_chiyoda & two_years & a.born.fixed(dt.date(2025, 4, 1)), born_there_and_resided(CHIYODA))
    found["131016/birth-preparation-allowance"] = yes(
        a.due.days_old(-140, 14) & a.in_town(CHIYODA)[h.pregnancy.household])
    found["131016/next-generation-allowance"] = yes(in_chiyoda & a.aged_15_to_18)
    found["131016/teenage-allowance"] = yes(in_chiyoda & a.born.up_to_year_end(18, after=12))
    found["131032/birth-cost-subsidy"] = a.where(a.child_in(MINATO) & first_year, born_there_and_resided(MINATO))
    in_setagaya = a.child_in(SETAGAYA)
    found["131121/birth-cost-grant"] = a.where(in_setagaya & first_year, born_there(SETAGAYA))
    found["131121/checkup-one-month"] = yes(
        in_setagaya & a.born.fixed(dt.date(2024, 4, 1)) & a.born.between(latest(a.on, 12) + 1, a.today - 28))
    found["131121/childrearing-voucher"] = yes(in_setagaya & a.born.aged(0, 24, ends=1))
    found["131121/postnatal-checkups"] = both(
        yes(a.in_town(SETAGAYA)), a.some_child(a.born.aged(0, 2)), a.mother_not_known_absent)
    found["131041/postnatal-care"] = both(
        yes(a.in_town(SHINJUKU)), a.some_child(under_one), a.mother_not_known_absent)

    def three_months_at_birth(rows, households):
        births = child["date"][rows]
        since = np.where(births >= h.moved_in[households], a.stay_since(SHIBUYA, households), h.former_from[households])
        lived = a.lived_in(SHIBUYA, households, births)
        # Before the first stay that was told nobody knows where the family lived.
        return np.where(lived == UNKNOWN, lived, both(lived, yes(months_after(since, 3) <= births)))

    found["131130/birth-grant"] = a.where(a.child_in(SHIBUYA) & under_one, three_months_at_birth)
    edogawa = a.child_in(EDOGAWA) & under_one
    elsewhere = in_childcare(a, "none", "kindergarten", "company_led", "certified_by_tokyo", "unlicensed", "other")
    found["131237/infant-allowance"] = both(
        yes(edogawa), a.not_assisted_child, elsewhere, no(child["in_institution"]))
    return found


def birthdays(a):
    """Birthday presents: who lived there on the birthday has them; who came later may, unless another town paid."""
    found, child = {}, a.h.child
    first, second = child["birthday-support"], child["second-birthday-support"]

    def there_or_perhaps(code, months, paid, start=None):
        def judge(rows, households):
            day = months_after(child["date"][rows], months)
            there = a.lived_in(code, households, day if start is None else start(day))
            return either(there, open_at_best(no(paid[rows])))
        return judge

    second_year, third_year = a.born.aged(12, 24), a.born.aged(24, 36)
    found["131032/birthday-support"] = a.where(a.child_in(MINATO) & third_year, there_or_perhaps(MINATO, 24, first))
    found["131113/birthday-support"] = a.where(a.child_in(OTA) & second_year, there_or_perhaps(OTA, 12, first))
    found["131113/second-birthday-support"] = a.where(a.child_in(OTA) & third_year, there_or_perhaps(OTA, 24, second))
    found["131237/birthday-support"] = a.where(
        a.child_in(EDOGAWA) & a.born.aged(12, 18), there_or_perhaps(EDOGAWA, 12, first, month_starts))
    found["139904/birthday-support"] = a.where(
        a.child_in(MIHARASHI) & second_year, there_or_perhaps(MIHARASHI, 12, first))
    h = a.h
    left = (h.former_town == SHINJUKU) & (h.moved_in > latest(a.on, 12))

    def shinjuku(rows, households):
        there = h.town[households] == SHINJUKU
        not_paid = no(first[rows])
        lived = a.lived_in(SHINJUKU, households, months_after(child["date"][rows], 12))
        return np.where(there, either(lived, not_paid), open_at_best(not_paid))

    found["131041/birthday-support"] = a.where(
        a.born.aged(18, 24) & ((h.town == SHINJUKU) | left)[child.household], shinjuku)
    return found


def schools(a):
    found, household = {}, a.h.household
    compulsory = a.born.grades(1, 9)
    grounds = either(household["public_assistance"], household["residence_tax_exempt"], household["child-rearing-allowance"])
    found["131024/school-expense-assistance"] = both(
        yes(compulsory & a.child_in(CHUO)), a.of_child(open_at_least(grounds)), a.covered_school)
    limit, income = a.rows("miharashi-school-expense-limit", household["family_members"]), household["parents_income"]
    under = yes_if_known(income <= limit, (income | limit) < 0)
    found["139904/school-expense-assistance"] = both(
        yes(compulsory & a.child_in(MIHARASHI)), a.of_child(either(grounds, under)), a.covered_school)
    entering = (a.born.grades(0, 0) | a.born.grades(6, 6)) & a.child_in(NAKANO)
    nakano = both(judged(entering), a.not_assisted_child)
    if (3, 2) <= (a.on.month, a.on.day) <= (3, 31):
        first = np.int32(a.today - a.on.day + 1)
        there = a.where(entering, lambda rows, households: a.lived_in(NAKANO, households, np.full(len(rows), first)))
        nakano = both(nakano, there)
    found["131148/school-entry-grant"] = nakano
    return found


def as_in_tokyo(a):
    """What wards have as Tokyo or the nation has it, for those who live there."""
    found = {}
    for code in (TOSHIMA, KITA, ARAKAWA, MIHARASHI):
        found[f"{code}/infant-medical-subsidy"] = both(a.infant_medical, yes(a.child_in(code)))
    found["131172/child-allowance"] = both(yes(a.to_18 & a.child_in(KITA)), a.at_home)
    grades = ("physical_disability_grade", "intellectual_disability_grade_tokyo", "mental_disability_grade")
    disabled = either(*(at_least(a.h.child[name], 1) for name in grades))
    in_ota = a.child_in(OTA)
    found["131113/babysitter-support"] = either(
        yes(a.born.up_to_year_end(6) & in_ota), both(yes(a.born.up_to_year_end(12) & in_ota), disabled))
    found["139904/consultation-children-centre"] = both(a.child_or_pregnancy, yes(a.in_town(MIHARASHI)))
    found["131041/pregnancy-complication-medical-subsidy"] = both(
        a.complications, yes(a.in_town(SHINJUKU)[a.h.pregnancy.household]))
    return found
