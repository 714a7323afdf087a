"""Plain columns of household documents, read document by document.

It covers the shapes that the generator writes: lists of guardians, children and pregnancies always given, dates known,
one marked claimant, a residence history of one or two entries that have begun. Anything else is refused.
"""

import datetime as dt

import numpy as np

from tests.bench.reference.days import number

NOTHING = -1
CHOICES = {
    "annual_income_band": ("under_270", "from_270_to_380", "from_380_to_490", "over_490"),
    "health_insurance": ("employee", "dependant", "national", "none"),
    "mother_health_insurance": ("employee", "dependant", "national", "none"),
    "childcare": (
        "none", "licensed_nursery", "certified_centre", "small_scale", "kindergarten", "company_led",
        "certified_by_tokyo", "unlicensed", "other"),
    "school_kind": (
        "none", "primary", "junior_high", "high", "correspondence_high", "special_needs", "technical_college",
        "university", "vocational", "other"),
    "school_founder": ("national", "public", "private"),
    "sex": ("female", "male"),
    "residence_status": ("japanese", "special_permanent_resident", "permanent_resident", "student", "other"),
}  # fmt: skip
FLAGS = {
    "household": (
        "single_parent", "public_assistance", "residence_tax_exempt", "needs_daytime_care",
        "divorced_since_april_2026", "child_support_agreed"),
    "guardian": (
        "employment_insurance", "employment_insurance_twelve_months", "on_childcare_leave", "gave_birth",
        "fourteen_days_of_leave", "reduced_hours", "studying_for_qualification", "plans_vocational_course"),
    "child": (
        "in_institution", "special_needs_class", "hospital_care_for_prematurity", "painless_delivery",
        "pregnancy_registered_in_tokyo", "treatment_to_improve_disability", "severe_disability_needing_constant_care",
        "cerebral_palsy_or_progressive_muscular_atrophy"),
    "pregnancy": ("mother_on_national_pension", "hospitalised_for_complication"),
    "co_resident": (),
}  # fmt: skip
NUMBERS = {
    "household": ("residence_tax_income_levy", "parents_income", "income_tax", "deposits", "family_members"),
    "guardian": ("dependants", "total_income"),
    "child": (
        "birth_weight_grams", "special_allowance_grade", "physical_disability_grade",
        "intellectual_disability_grade_tokyo", "mental_disability_grade"),
    "pregnancy": ("fetuses", "hospital_days"),
    "co_resident": ("dependants",),
}  # fmt: skip
CHOICES_OF = {
    "household": ("annual_income_band",),
    "guardian": ("health_insurance",),
    "child": ("childcare", "school_kind", "school_founder", "sex", "residence_status"),
    "pregnancy": ("mother_health_insurance",),
    "co_resident": (),
}
ANSWERS = {
    "household": (("receives", "child-rearing-allowance"),),
    "child": (("received_elsewhere", "birthday-support"), ("received_elsewhere", "second-birthday-support")),
    "pregnancy": (("received_elsewhere", "pregnancy-support-benefit-first"),),
}
LISTS = {"guardian": "guardians", "child": "children", "pregnancy": "pregnancies", "co_resident": "co_residents"}
DATES = {"child": "birth_date", "guardian": "birth_date", "pregnancy": "due_date"}


class People(dict):
    """Columns of one kind by the names of the facts; ``household`` has the row of each person's household.

    Flags and answers are verdicts (0 no, 1 unknown, 2 yes), choices positions, numbers and dates whole; −1 unknown.
    """

    def __init__(self, kind, owners, household):
        self.household = np.array(household, dtype=np.intp)
        self.size = len(owners)
        told = [owner.get("facts") or {} for owner in owners]
        for name in FLAGS[kind]:
            self[name] = np.array([three(facts.get(name)) for facts in told], dtype=np.int8)
        for name in NUMBERS[kind]:
            self[name] = np.array([whole(facts.get(name)) for facts in told], dtype=np.int32)
        for name in CHOICES_OF[kind]:
            places = {None: NOTHING, **{choice: place for place, choice in enumerate(CHOICES[name])}}
            self[name] = np.array([places[facts.get(name)] for facts in told], dtype=np.int8)
        for question, programme in ANSWERS.get(kind, ()):
            answers = [(owner.get(question) or {}).get(programme) for owner in owners]
            self[programme] = np.array([1 if answer is None else 2 * (answer > 0) for answer in answers], dtype=np.int8)
        if kind in DATES:
            days = [number(dt.date.fromisoformat(owner[DATES[kind]])) for owner in owners]
            self["date"] = np.array(days, dtype=np.int32)
        if kind in ("guardian", "co_resident"):
            incomes = [money(facts.get("income_after_deductions")) for facts in told]
            self["income"], self["income_year"] = np.array(incomes, dtype=np.int32).reshape(-1, 2).T.copy()


class Households:
    """All columns of some documents: ``people[kind]``, the claimant's row, and the last two places of residence."""

    def __init__(self, documents, on):
        self.size = len(documents)
        people = {kind: ([], []) for kind in LISTS}
        self.claimant = np.empty(self.size, dtype=np.intp)
        self.co_residents_listed = np.array([one.get("co_residents") is not None for one in documents])
        places = []
        for row, document in enumerate(documents):
            for kind, name in LISTS.items():
                owners = document.get(name) or () if kind == "co_resident" else document[name]
                people[kind][0].extend(owners)
                people[kind][1].extend([row] * len(owners))
            first = len(people["guardian"][0]) - len(document["guardians"])
            (claiming,) = [place for place, one in enumerate(document["guardians"]) if one["facts"].get("claimant")]
            self.claimant[row] = first + claiming
            places.append(residence(document, on))
        self.household = People("household", documents, range(self.size))
        self.guardian, self.child, self.pregnancy, self.co_resident = (
            People(kind, *people[kind]) for kind in ("guardian", "child", "pregnancy", "co_resident"))
        self.former_town, self.former_from, self.town, self.moved_in = np.array(places, dtype=np.int32).T.copy()


def residence(document, on):
    """(town lived in before, since when, town lived in now, since when); the same town twice without a move."""
    entries = document["residence"]
    if len(entries) not in (1, 2) or any(set(entry) != {"municipality", "from"} for entry in entries):
        raise ValueError(f"{document['id']}: found residence {entries}; expected one or two entries without an end")
    days = [number(dt.date.fromisoformat(entry["from"])) for entry in entries]
    towns = [int(entry["municipality"]) for entry in entries]
    if days != sorted(days) or days[-1] > number(on) or document.get("received_elsewhere"):
        raise ValueError(f"{document['id']}: expected a history in order that has begun, and answers by person")
    return towns[0], days[0], towns[-1], days[-1]


def three(value):
    """A flag: 0 no, 1 unknown, 2 yes."""
    return 2 if value is True else 0 if value is False else 1


def whole(value):
    return NOTHING if value is None else value


def money(value):
    """(yen or −1, year or 0)."""
    if isinstance(value, dict):
        return whole(value["value"]), value.get("income_year", 0)
    return whole(value), 0
