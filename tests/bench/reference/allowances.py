"""Allowances, disabilities, single parents and consultation desks: programmes of the nation."""

from tests.bench.reference.asked import at_most, both, either, judged, no, open_at_best, open_at_least, yes


def verdicts(a):
    found = {**children(a), **single_parents(a)}
    found["consultation-child-guidance"] = found["consultation-partner-violence"] = a.child_or_pregnancy
    found["consultation-child-sos"] = a.has_child
    return {f"000000/{key}": verdict for key, verdict in found.items()}


def children(a):
    found, child = {}, a.h.child
    found["child-allowance"] = both(yes(a.to_18), a.at_home)
    found["child-rehabilitation-medical-care"] = both(
        yes(a.under_18), child["treatment_to_improve_disability"], open_at_least(a.of_child(
            at_most(a.h.household["residence_tax_income_levy"], a.limits["child-rehabilitation-medical-care-limit"] - 1))))
    found["chronic-childhood-disease-medical-care"] = judged(a.under_20)
    found["disabled-child-day-services"] = judged(a.under_18)
    not_away = no(child["in_institution"])
    special_year = a.year((8, 1))
    guardians = a.relatives_under("guardian", "special-child-rearing-allowance-supporter-limit", special_year,
                                  "special-child-rearing-allowance-supporter-least-limit")
    found["disabled-child-welfare-allowance"] = both(
        yes(a.under_20), child["severe_disability_needing_constant_care"], not_away,
        a.of_child(both(guardians, a.special_supporters)))
    claimant = a.claimant_under("special-child-rearing-allowance-limit", special_year, inclusive=True)
    found["special-child-rearing-allowance"] = both(
        yes(a.under_20), a.allowance_graded, not_away, a.of_child(both(claimant, a.special_supporters)))
    return found


def single_parents(a):
    found, single = {}, a.h.household["single_parent"]
    year = a.year((11, 1))
    supported = both(
        single, a.claimant_under("child-rearing-allowance-partial-limit", year),
        a.relatives_under("co_resident", "child-rearing-allowance-supporter-limit", year,
                          "child-rearing-allowance-supporter-least-limit"))
    before_20 = yes(a.born.younger(240))
    a.of_an_age = either(yes(a.to_18), both(before_20, a.allowance_graded))
    found["child-rearing-allowance"] = both(a.of_an_age, a.of_child(supported), a.at_home)
    with_child = both(single, a.has_child_under_20)
    found["child-support-securing"] = found["single-parent-loans"] = open_at_best(with_child)
    with_child = a.of_guardian(with_child)
    receives = a.of_guardian(open_at_least(a.h.household["child-rearing-allowance"]))
    found["higher-vocational-training-benefit"] = both(
        with_child, a.h.guardian["studying_for_qualification"], receives)
    found["vocational-course-benefit"] = open_at_best(
        both(with_child, a.h.guardian["plans_vocational_course"]))
    found["single-parent-tax-deduction"] = both(
        a.of_guardian(both(single, a.has_child)),
        at_most(a.h.guardian["total_income"], a.limits["single-parent-tax-deduction-limit"]))
    agreed = both(single, a.h.household["divorced_since_april_2026"], no(a.h.household["child_support_agreed"]))
    found["statutory-child-support"] = both(yes(a.under_18), a.of_child(agreed))
    found["survivors-basic-pension"] = open_at_best(both(
        either(yes(a.to_18), open_at_best(before_20)), a.single_parent))
    return found
