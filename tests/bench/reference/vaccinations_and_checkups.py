"""Vaccinations and checkups of the nation: windows of age, school grades, and what towns decide."""

from tests.bench.reference.asked import both, judged, one_of, yes

BY_MONTHS = {
    "bcg": (5, 12), "checkup-eighteen-months": (18, 24), "checkup-three-months": (3, 6), "checkup-three-years": (36, 48),
    "diphtheria-tetanus-second": (132, 156), "dpt-ipv-hib-booster": (12, 90), "dpt-ipv-hib-first": (2, 90),
    "hepatitis-b-first": (2, 12), "hepatitis-b-third": (7, 12), "japanese-encephalitis-booster": (48, 90),
    "japanese-encephalitis-first": (36, 90), "japanese-encephalitis-second": (108, 156),
    "measles-rubella-first": (12, 24), "pneumococcal-booster": (12, 60), "pneumococcal-first": (2, 60),
    "varicella-first": (12, 36), "varicella-second": (18, 36),
}  # fmt: skip
IN_SOME_TOWNS = {"checkup-five-years": (54, 71), "checkup-nine-months": (9, 11), "checkup-six-months": (6, 8)}
BY_DAYS = {"rota-first-dose": (42, 104), "rota-monovalent": (70, 168), "rota-pentavalent": (70, 224)}


def verdicts(a):
    born = a.born
    found = {key: yes(born.aged(*months)) for key, months in BY_MONTHS.items()}
    found |= {key: judged(born.aged(*months)) for key, months in IN_SOME_TOWNS.items()}
    found |= {key: yes(born.days_old(*days)) for key, days in BY_DAYS.items()}
    before_school = born.grades(0, 0)
    found["checkup-one-month"] = judged(born.days_old(28, 41))
    found["hpv"] = both(yes(born.grades(6, 10)), one_of(a.h.child["sex"], 0))
    found["measles-rubella-second"] = yes(before_school)
    found["mumps-subsidy"] = judged(born.aged(12, 12 * 30) & born.grades(None, 0))
    autumn = (9, 1) <= (a.on.month, a.on.day) <= (11, 30)
    winter = (a.on.month, a.on.day) >= (12, 1) or (a.on.month, a.on.day) <= (3, 31)
    found["school-entry-checkup"] = yes(before_school & autumn)
    found["school-entry-notice"] = yes((before_school | born.grades(6, 6)) & winter)
    return {f"000000/{key}": verdict for key, verdict in found.items()}
