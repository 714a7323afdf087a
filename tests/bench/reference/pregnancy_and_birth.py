"""Pregnancy, birth and the weeks after it: programmes of the nation."""

import datetime as dt

from tests.bench.reference.asked import (
    at_least,
    at_most,
    both,
    either,
    judged,
    one_of,
    open_at_best,
    open_at_least,
    unless,
    yes,
    yes_if_known,
)
from tests.bench.reference.days import latest, number


def verdicts(a):
    found = {}
    mother = a.h.pregnancy
    insurance, fetuses = mother["mother_health_insurance"], mother["fetuses"]
    employee, several = one_of(insurance, 0), at_least(fetuses, 2)
    found["birth-lump-sum-direct-payment"] = both(yes(a.due.days_old(-140, 14)), unless(one_of(insurance, 3)))
    guardians = a.h.guardian
    uninsured = one_of(guardians["health_insurance"], 3)
    uninsured_mother = either(
        a.some(guardians, both(guardians["gave_birth"], uninsured)), a.every(guardians, uninsured))
    found["birth-lump-sum-grant"] = both(yes(a.born.aged(0, 24, ends=1)), a.of_child(unless(uninsured_mother)))
    found["birth-registration"] = yes(a.born.aged(0, 3))
    not_lapsed = latest(a.on - a.on.resolution, 24) + 1 - 56  # two years from 56 days after the due date
    found["maternity-allowance"] = both(employee, either(
        yes(a.due.between(not_lapsed, a.today + 41)), both(several, yes(a.due.between(not_lapsed, a.today + 97)))))
    found["maternity-checkups"] = yes(a.due.days_old(-280, 14))
    found["maternity-dental-checkup"] = judged(_until_month(a, 12, days=-280))
    found["maternity-leave-premium-exemption"] = both(employee, either(
        yes(a.due.days_old(-41, 56)), both(several, yes(a.due.days_old(-97, 56)))))
    found["multiple-pregnancy-support"] = both(several, judged(_until_month(a, 12, days=-280)))
    found["national-health-insurance-maternity-reduction"] = both(one_of(insurance, 2), yes(a.due.aged(-6, 4)))
    found["national-pension-maternity-exemption"] = both(
        mother["mother_on_national_pension"], yes(a.due.between(number(dt.date(2019, 2, 1)), latest(a.on, -6))))
    found["newborn-hearing-screening"] = judged(a.born.days_old(0, 50))
    found["newborn-home-visit"] = yes(a.born.days_old(0, 27))
    found["infant-home-visit"] = yes(a.born.aged(0, 4))
    found["postnatal-care"] = both(a.some_child(a.born.aged(0, 12)), a.mother_not_known_absent)
    found["postnatal-checkups"] = both(
        open_at_best(a.some_child(a.born.aged(0, 2))), a.mother_not_known_absent)
    found["pregnancy-consultation"] = yes(_until_month(a, 4, days=-280))
    found["pregnancy-notification"] = yes(a.due.days_old(-280, -140))
    found["pregnancy-support-benefit-first"] = both(
        yes(_until_month(a, 16, days=-280)), _since_april_2025(a, dt.date(2025, 12, 1)),
        unless(mother["pregnancy-support-benefit-first"]))
    limit = latest(a.on - a.on.resolution, 24) + 57  # two years from eight weeks before the due date
    found["pregnancy-support-benefit-second"] = both(
        yes(a.due.between(limit, a.today + 56)), _since_april_2025(a, dt.date(2025, 7, 1)))
    found["rsv-maternal-vaccination"] = yes(a.due.days_old(-84, -22))
    found["premature-infant-medical-care"] = both(
        yes(a.born.aged(0, 12, ends=-1)), a.h.child["hospital_care_for_prematurity"],
        open_at_least(at_most(a.h.child["birth_weight_grams"], a.limits["premature-infant-birth-weight"])))
    found["fertility-treatment-insurance"] = judged(a.guardian_born.aged(18 * 12, 43 * 12))
    return {f"000000/{key}": verdict for key, verdict in found.items()}


def _since_april_2025(a, certain_from):
    """The programme that began in April 2025: certain for due dates from a day on, before it for a person to decide."""
    possible = a.due.since(number(dt.date(2025, 3, 18)))
    return yes_if_known(possible, possible & ~a.due.since(number(certain_from)))


def _until_month(a, months, days):
    """Due dates from so many days after them to the day before their corresponding day."""
    return a.due.between(latest(a.on, months) + 1, a.today - days)
