"""The programmes of `registry_data` written out by hand in numpy, for one day, with masks for what is unknown.

It reads the documents itself and counts days itself: nothing of `app` is used, so that equal verdicts mean something.
A verdict is 0 no, 1 unknown, 2 yes, one per child or pregnancy in the order of the documents.
"""

import datetime as dt
from dataclasses import dataclass

import numpy as np

NO, UNKNOWN, YES = np.int8(0), np.int8(1), np.int8(2)
EPOCH = dt.date(1970, 1, 1).toordinal()
EARLY, LATE = dt.date(1950, 1, 1), dt.date(2080, 1, 1)


def day_number(text):
    return dt.date.fromisoformat(text).toordinal() - EPOCH


@dataclass
class Households:
    """Plain columns, filled document by document."""

    size: int
    town: np.ndarray
    moved_in: np.ndarray
    history: np.ndarray
    single_parent: np.ndarray
    public_assistance: np.ndarray
    co_residents_listed: np.ndarray
    guardian_household: np.ndarray
    guardian_claims: np.ndarray
    guardian_income: np.ndarray
    guardian_year: np.ndarray
    guardian_dependants: np.ndarray
    guardian_starts: np.ndarray
    child_household: np.ndarray
    child_birth: np.ndarray
    child_in_institution: np.ndarray
    pregnancy_household: np.ndarray
    pregnancy_due: np.ndarray
    co_household: np.ndarray
    co_income: np.ndarray
    co_year: np.ndarray
    co_dependants: np.ndarray


NOTHING = -1


def three(value):
    """A flag: 0 no, 1 unknown, 2 yes."""
    return 2 if value is True else 0 if value is False else 1


def money(value):
    """(yen or −1, year or 0)."""
    if isinstance(value, dict):
        return (NOTHING if value["value"] is None else value["value"], value.get("income_year", 0))
    return (NOTHING if value is None else value, 0)


def read(documents):
    """Columns of household documents; one residence entry at most, incomes bare or of one year."""
    rows = {name: [] for name in Households.__dataclass_fields__ if name not in ("size", "guardian_starts")}
    starts = []
    for row, document in enumerate(documents):
        residence = document.get("residence") or []
        rows["town"].append(int((residence[0] if residence else document)["municipality"]))
        rows["moved_in"].append(day_number(residence[0]["from"]) if residence else -(10**6))
        rows["history"].append(bool(residence))
        rows["single_parent"].append(three(document["facts"].get("single_parent")))
        rows["public_assistance"].append(three(document["facts"].get("public_assistance")))
        rows["co_residents_listed"].append(document.get("co_residents") is not None)
        starts.append(len(rows["guardian_household"]))
        for guardian in document["guardians"]:
            facts = guardian["facts"]
            income, year = money(facts.get("income_after_deductions"))
            rows["guardian_household"].append(row)
            rows["guardian_claims"].append(three(facts.get("claimant")))
            rows["guardian_income"].append(income)
            rows["guardian_year"].append(year)
            rows["guardian_dependants"].append(NOTHING if facts.get("dependants") is None else facts["dependants"])
        for child in document["children"]:
            rows["child_household"].append(row)
            rows["child_birth"].append(day_number(child["birth_date"]))
            rows["child_in_institution"].append(three(child["facts"].get("in_institution")))
        for pregnancy in document["pregnancies"]:
            rows["pregnancy_household"].append(row)
            rows["pregnancy_due"].append(day_number(pregnancy["due_date"]))
        for relative in document.get("co_residents") or []:
            income, year = money(relative["facts"].get("income_after_deductions"))
            dependants = relative["facts"].get("dependants")
            rows["co_household"].append(row)
            rows["co_income"].append(income)
            rows["co_year"].append(year)
            rows["co_dependants"].append(NOTHING if dependants is None else dependants)
    types = {"single_parent": np.int8, "public_assistance": np.int8, "guardian_claims": np.int8,
             "child_in_institution": np.int8, "child_birth": np.int32, "pregnancy_due": np.int32}
    columns = {name: np.array(values, dtype=types.get(name)) for name, values in rows.items()}
    return Households(size=len(rows["town"]), guardian_starts=np.array(starts), **columns)


# ---- days -------------------------------------------------------------------------------------------------------


def after_months(day, months):
    """The corresponding day; the first of the next month where the month lacks it."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    try:
        return dt.date(year, month + 1, day.day)
    except ValueError:
        return dt.date(year + (month + 1) // 12, (month + 1) % 12 + 1, 1)


def year_end(day):
    """The first 31 March on or after a day."""
    return dt.date(day.year if (day.month, day.day) <= (3, 31) else day.year + 1, 3, 31)


def age_year_end(birth, age):
    return year_end(after_months(birth, 12 * age) - dt.timedelta(days=1))


def last_birth(holds):
    """The last day for which a test holds that is true early and false later, as a day number."""
    low, high = EARLY.toordinal(), LATE.toordinal()
    while high - low > 1:
        middle = (low + high) // 2
        if holds(dt.date.fromordinal(middle)):
            low = middle
        else:
            high = middle
    return low - EPOCH


def between(days, first, last):
    """YES where first < day <= last."""
    return ((days > first) & (days <= last)).astype(np.int8) * YES


# ---- incomes ----------------------------------------------------------------------------------------------------


def year_that_counts(on, switch):
    return on.year - 1 if (on.month, on.day) >= switch else on.year - 2


def usable(income, year, needed):
    return (income >= 0) & ((year == 0) | (year == needed))


def claimants(h, needed):
    """(row of the claiming guardian, known): marked, else the only one left, else the highest known income."""
    claims, household = h.guardian_claims, h.guardian_household
    marked = np.zeros(h.size, dtype=bool)
    marked[household[claims == 2]] = True
    candidate = np.where(marked[household], claims == 2, claims != 0)
    known = usable(h.guardian_income, h.guardian_year, needed)
    count = np.bincount(household, weights=candidate, minlength=h.size)
    blind = np.bincount(household, weights=candidate & ~known, minlength=h.size)
    score = np.where(candidate, np.where(known, h.guardian_income, 0), -1)
    best = np.maximum.reduceat(score, h.guardian_starts)
    is_best = candidate & (score == best[household])
    row = np.full(h.size, len(household), dtype=np.int64)
    np.minimum.at(row, household[is_best], np.flatnonzero(is_best))
    certain = (count == 1) | ((count > 1) & (blind == 0))
    return np.where(certain, row, 0), certain


def table(rows, step, dependants):
    rows = np.array(rows)
    beyond = np.maximum(dependants - len(rows) + 1, 0)
    return rows[np.clip(dependants, 0, len(rows) - 1)] + beyond * step


def claimant_income(h, needed, rows, step, inclusive=False):
    """Is the claimant's income under (or at most) the limit for their dependants?"""
    row, certain = claimants(h, needed)
    income, dependants = h.guardian_income[row], h.guardian_dependants[row]
    limit = table(rows, step, dependants)
    verdict = ((income <= limit) if inclusive else (income < limit)).astype(np.int8) * YES
    known = certain & usable(income, h.guardian_year[row], needed) & (dependants >= 0)
    verdict[~known] = UNKNOWN
    return verdict


def relatives(household, income, year, dependants, needed, least, rows, step, size, listed):
    """Every relative is under the limit for dependants, or under the least limit whatever their number."""
    under = (income < table(rows, step, dependants)).astype(np.int8) * YES
    under[dependants < 0] = UNKNOWN
    least_verdict = (income < least).astype(np.int8) * YES
    verdict = np.maximum(under, least_verdict)
    verdict[~usable(income, year, needed)] = UNKNOWN
    result = np.full(size, YES, dtype=np.int8)
    np.minimum.at(result, household, verdict)
    result[~listed] = UNKNOWN
    return result


# ---- programmes -------------------------------------------------------------------------------------------------



def verdicts(h, on, limits):
    """All programmes on a day: key → verdicts. ``limits`` are the tables of the year: name → (rows, step) or a number."""
    today = on.toordinal() - EPOCH
    birth, due = h.child_birth, h.pregnancy_due

    def months(first, last):
        """From the corresponding day of `first` months to the day before that of `last`."""
        return between(birth, last_birth(lambda b: after_months(b, last) <= on),
                       last_birth(lambda b: after_months(b, first) <= on))

    def days(dates, first, last):
        return between(dates, today - last - 1, today - first)

    def to_year_end(age, after=None):
        opened = today if after is None else last_birth(lambda b: age_year_end(b, after) < on)
        return between(birth, last_birth(lambda b: age_year_end(b, age) < on), opened)

    def of_child(household_verdicts):
        return household_verdicts[h.child_household]

    tokyo = np.where(h.moved_in <= today, np.where(h.town // 10_000 == 13, YES, NO), UNKNOWN)
    under_18 = to_year_end(18)
    under_20 = months(0, 240)
    age_20 = between(birth, last_birth(lambda b: after_months(b, 240) <= on), 10**6)
    national = np.where(h.moved_in <= today, np.where(h.town == 131_172, NO, YES), YES)
    month_start = on.replace(day=1).toordinal() - EPOCH
    first_of_month = np.where(h.moved_in <= month_start, np.where(h.town // 10_000 == 13, YES, NO), UNKNOWN)
    open_grade = np.full(len(birth), UNKNOWN, dtype=np.int8)
    not_in_institution = YES - h.child_in_institution
    assisted = YES - h.public_assistance
    rearing_year, special_year, tokyo_year = (year_that_counts(on, switch) for switch in ((11, 1), (8, 1), (6, 1)))
    found = {}
    found["000000/birth-registration"] = months(0, 3)
    found["000000/checkup-eighteen-months"] = months(18, 24)
    not_known_away = np.where(h.child_in_institution == YES, NO, YES)
    at_home_under_18 = np.minimum(under_18, not_known_away)
    found["000000/child-allowance"] = (
        at_home_under_18 if not limits["replaced"] else np.minimum(at_home_under_18, of_child(national)))
    rearing = np.minimum(h.single_parent, claimant_income(h, rearing_year, *limits["partial"]))
    rearing = np.minimum(rearing, relatives(h.co_household, h.co_income, h.co_year, h.co_dependants, rearing_year,
                                            limits["supporter-least"], *limits["supporter"], h.size,
                                            h.co_residents_listed))
    either = np.minimum(np.maximum(under_18, np.minimum(age_20, open_grade)), not_known_away)
    found["000000/child-rearing-allowance"] = np.minimum(either, of_child(rearing))
    special = relatives(h.co_household, h.co_income, h.co_year, h.co_dependants, special_year, limits["special-least"],
                        *limits["special-supporter"], h.size, h.co_residents_listed)
    guardians = relatives(h.guardian_household, h.guardian_income, h.guardian_year, h.guardian_dependants, special_year,
                          limits["special-least"], *limits["special-supporter"], h.size, np.ones(h.size, dtype=bool))
    disabled = np.minimum(np.minimum(under_20, open_grade), not_in_institution)
    found["000000/disabled-child-welfare-allowance"] = np.minimum(disabled, of_child(np.minimum(special, guardians)))
    found["000000/measles-rubella-first"] = months(12, 24)
    found["000000/measles-rubella-second"] = between(
        birth, last_birth(lambda b: year_end(b - dt.timedelta(days=1)) < dt.date(year_end(on).year - 6, 3, 31)),
        last_birth(lambda b: year_end(b - dt.timedelta(days=1)) <= dt.date(year_end(on).year - 6, 3, 31)))
    found["000000/pregnancy-support-benefit-first"] = between(
        due, last_birth(lambda d: after_months(d, 16) <= on), today + 280)
    found["000000/pregnancy-support-benefit-second"] = between(
        due, last_birth(lambda d: after_months(d, 22) <= on), today + 56)
    found["000000/rota-first-dose"] = days(birth, 42, 104)
    found["000000/rota-monovalent"] = days(birth, 70, 168)
    found["000000/rota-pentavalent"] = days(birth, 70, 224)
    found["000000/rsv-maternal-vaccination"] = days(due, -84, -22)
    special = np.minimum(special, claimant_income(h, special_year, *limits["special"], inclusive=True))
    found["000000/special-child-rearing-allowance"] = np.minimum(disabled, of_child(special))
    born_on_the_first = np.where(birth <= month_start, of_child(first_of_month), NO)
    found["130001/018-support"] = np.minimum(np.minimum(under_18, born_on_the_first), of_child(tokyo))
    development = np.minimum(claimant_income(h, tokyo_year, *limits["development"]), tokyo)
    found["130001/child-development-allowance"] = np.minimum(
        at_home_under_18, of_child(np.minimum(development, h.single_parent)))
    found["130001/child-development-allowance-disability"] = np.minimum(disabled, of_child(development))
    in_tokyo = np.minimum(of_child(np.minimum(assisted, tokyo)), not_known_away)
    found["130001/infant-medical-subsidy"] = np.minimum(to_year_end(6), in_tokyo)
    found["130001/child-medical-subsidy"] = np.minimum(to_year_end(15, 6), in_tokyo)
    found["130001/youth-medical-subsidy"] = np.minimum(to_year_end(18, 15), in_tokyo)
    town, moved_in = of_child(h.town), of_child(h.moved_in)
    setagaya = np.where(moved_in <= today, (town == 131_121) * 2, np.where(town == 131_121, 0, 1)).astype(np.int8)
    born_here = np.where(moved_in <= birth, (town == 131_121) * 2, np.where(town == 131_121, 0, 1)).astype(np.int8)
    born_here[~of_child(h.history)] = UNKNOWN
    first_year = between(birth, last_birth(lambda b: after_months(b, 12) < on), today)
    found["131121/birth-cost-grant"] = np.minimum(np.minimum(first_year, born_here), setagaya)
    kita = np.where(h.moved_in <= today, (h.town == 131_172) * 2, np.where(h.town == 131_172, 0, 1)).astype(np.int8)
    found["131172/child-allowance"] = np.minimum(at_home_under_18, of_child(kita))
    return found
