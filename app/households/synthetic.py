"""Generated households: for the demo, the sandbox and the benches. All fictional, and said to be so by their id.

What belongs here: the shares and shapes that make a made-up population look like families in Tokyo (how many
children, how old, which incomes, which towns, how much is unknown). The figures are rough on purpose; nothing is
measured with them. A household is the plain document of `registry_data/households/`, ready for JSON.

The same seed, day and number give the same household, however many are asked for.
"""

import datetime as dt
from collections.abc import Iterator
from typing import Any

import numpy as np

from app.households.synthetic_facts import NUMBERS, tell_more

Document = dict[str, Any]

CHUNK = 5_000
YOUNGEST_AGE_DAYS = 18 * 365
UNKNOWN_SHARE = 0.10
SINGLE_PARENT_SHARE = 0.09
PREGNANT_SHARE = 0.08
PUBLIC_ASSISTANCE_SHARE = 0.015
WITHOUT_CO_RESIDENTS_SHARE = 0.88
CHILDREN_SHARES = {1: 0.46, 2: 0.41, 3: 0.11, 4: 0.02}
MEDIAN_INCOME_YEN = {"couple": 3_900_000, "second": 1_500_000, "single": 1_350_000, "co_resident": 900_000}

# Inhabitants in thousands, rounded by hand: weights, not statistics.
TOKYO_THOUSANDS: dict[str, float] = {
    "131016": 67,
    "131024": 170,
    "131032": 260,
    "131041": 350,
    "131059": 240,
    "131067": 210,
    "131075": 280,
    "131083": 530,
    "131091": 420,
    "131105": 290,
    "131113": 750,
    "131121": 940,
    "131130": 240,
    "131148": 345,
    "131156": 590,
    "131164": 300,
    "131172": 360,
    "131181": 220,
    "131199": 590,
    "131202": 750,
    "131211": 695,
    "131229": 465,
    "131237": 695,
    "132012": 578,
    "132021": 185,
    "132039": 150,
    "132047": 195,
    "132055": 130,
    "132063": 260,
    "132071": 114,
    "132080": 242,
    "132098": 430,
    "132101": 126,
    "132110": 199,
    "132128": 190,
    "132136": 151,
    "132144": 129,
    "132152": 77,
    "132187": 56,
    "132195": 84,
    "132209": 84,
    "132217": 76,
    "132225": 115,
    "132233": 71,
    "132241": 147,
    "132250": 94,
    "132276": 54,
    "132284": 79,
    "132292": 206,
    "133035": 32,
    "133051": 16,
    "133078": 2,
    "133086": 5,
    "133612": 7,
    "133621": 0.3,
    "133639": 2.5,
    "133647": 1.8,
    "133817": 2.3,
    "133825": 0.3,
    "134015": 7,
    "134023": 0.2,
    "134210": 3,
}


def synthetic_households(
    count: int, *, on: dt.date, seed: int = 20261124, municipality: str | None = None
) -> Iterator[Document]:
    """Yield `count` household documents as they would stand on a day.

    Args:
        count: how many; memory stays flat however many are asked for.
        on: the day the ages and pregnancies are counted from; incomes are those of the year before.
        seed: another seed, another population.
        municipality: put every household into this town (six digits) instead of spreading them over Tokyo.

    Raises:
        ValueError: `count` is negative.
    """
    if count < 0:
        raise ValueError(f"count is {count}; expected zero or more households")
    for chunk, first in enumerate(range(0, count, CHUNK)):
        size = min(CHUNK, count - first)
        yield from _Chunk(np.random.default_rng([seed, chunk]), on, first, municipality).documents(size)


class _Chunk:
    """One chunk of households: all draws at once as columns, then documents one by one."""

    def __init__(self, rng: np.random.Generator, on: dt.date, first: int, municipality: str | None) -> None:
        self._rng = rng
        self._on = on
        self._first = first
        self._municipality = municipality
        self._income_year = on.year - 1

    def documents(self, size: int) -> Iterator[Document]:
        """Yield the first `size` households of the chunk; the draws never depend on `size`."""
        draws = self._draws()
        for row in range(size):
            yield self._document(row, draws)

    def _draws(self) -> dict[str, Any]:
        rng = self._rng
        towns = list(TOKYO_THOUSANDS)
        weights = np.array(list(TOKYO_THOUSANDS.values()))
        yen = rng.lognormal(0.0, 0.55, (CHUNK, 3))
        columns: dict[str, Any] = {
            "town": rng.choice(len(towns), CHUNK, p=weights / weights.sum()),
            "number": rng.choice(list(CHILDREN_SHARES), CHUNK, p=list(CHILDREN_SHARES.values())),
            "youngest_days": rng.integers(0, YOUNGEST_AGE_DAYS, CHUNK),
            "gaps": rng.integers(420, 2200, (CHUNK, 3)),
            "single": rng.random(CHUNK) < SINGLE_PARENT_SHARE,
            "pregnant": rng.random(CHUNK) < PREGNANT_SHARE,
            "first_child_expected": rng.random(CHUNK),
            "days_to_birth": rng.integers(1, 230, CHUNK),
            "twins": rng.random(CHUNK) < 0.01,
            "parent_age_days": np.clip(rng.normal(32, 5, (CHUNK, 2)), 19, 48) * 365.25,
            "factor": np.clip(yen, 0.0, 12.0),
            "no_income": rng.random((CHUNK, 3)),
            "assistance": rng.random(CHUNK) < PUBLIC_ASSISTANCE_SHARE,
            "civil_servant": rng.random(CHUNK) < 0.06,
            "moved_years": rng.exponential(6.0, CHUNK),
            "co_residents": rng.random(CHUNK),
            "unknown": rng.random((CHUNK, 8)) < UNKNOWN_SHARE,
            "supported": rng.random(CHUNK) < 0.6,
        }
        lists = {name: column.tolist() for name, column in columns.items()}
        lists["towns"] = towns
        lists["more"] = rng.random((CHUNK, NUMBERS))
        return lists

    def _document(self, row: int, draws: dict[str, Any]) -> Document:
        unknown: list[bool] = draws["unknown"][row]
        single = draws["single"][row]
        town = self._municipality or draws["towns"][draws["town"][row]]
        pregnancies = self._pregnancies(row, draws)
        children = self._children(row, draws, expecting=bool(pregnancies))
        moved_on = self._on - dt.timedelta(days=int(draws["moved_years"][row] * 365))
        document: Document = {
            "id": f"synthetic-{self._first + row + 1:07d}",
            "municipality": town,
            "residence": [{"municipality": town, "from": moved_on.isoformat()}],
            "facts": {
                "single_parent": None if unknown[0] else single,
                "public_assistance": None if unknown[1] else draws["assistance"][row],
            },
            "guardians": self._guardians(row, draws, children, single),
            "children": children,
            "pregnancies": pregnancies,
        }
        if not unknown[2]:
            document["co_residents"] = self._co_residents(row, draws)
        tell_more(document, self._on, draws["towns"], iter(draws["more"][row].tolist()).__next__)
        return document

    def _children(self, row: int, draws: dict[str, Any], *, expecting: bool) -> list[Document]:
        if expecting and draws["first_child_expected"][row] < 0.45:
            return []
        unknown: list[bool] = draws["unknown"][row]
        # A pregnancy now puts at least a year between the youngest child and today.
        age_days = draws["youngest_days"][row] + (365 if expecting else 0)
        children: list[Document] = []
        for position in range(draws["number"][row]):
            if position:
                age_days += draws["gaps"][row][position - 1]
            facts: Document = {"lives_with_guardian": True, "in_institution": None if unknown[3] else False}
            if age_days > 18 * 365:
                facts["supported_by_guardian"] = None if unknown[4] else draws["supported"][row]
            born_on = self._on - dt.timedelta(days=age_days)
            children.append({"id": f"c{position + 1}", "birth_date": born_on.isoformat(), "facts": facts})
        return children

    def _pregnancies(self, row: int, draws: dict[str, Any]) -> list[Document]:
        if not draws["pregnant"][row]:
            return []
        due_on = self._on + dt.timedelta(days=draws["days_to_birth"][row])
        fetuses = 2 if draws["twins"][row] else 1
        facts = {"fetuses": None if draws["unknown"][row][5] else fetuses}
        return [{"id": "p1", "due_date": due_on.isoformat(), "facts": facts}]

    def _guardians(self, row: int, draws: dict[str, Any], children: list[Document], single: bool) -> list[Document]:
        unknown: list[bool] = draws["unknown"][row]
        oldest_on = dt.date.fromisoformat(children[-1]["birth_date"]) if children else self._on
        guardians: list[Document] = []
        for position in range(1 if single else 2):
            born_on = oldest_on - dt.timedelta(days=int(draws["parent_age_days"][row][position]))
            kind = "second" if position else "single" if single else "couple"
            claimant = position == 0
            facts: Document = {
                "claimant": claimant,
                "income_after_deductions": None if unknown[6 + position] else self._income(row, position, kind, draws),
                "dependants": len(children) if claimant else 0,
                "civil_servant": draws["civil_servant"][row] and claimant,
            }
            guardians.append({"id": f"g{position + 1}", "birth_date": born_on.isoformat(), "facts": facts})
        return guardians

    def _co_residents(self, row: int, draws: dict[str, Any]) -> list[Document]:
        if draws["co_residents"][row] < WITHOUT_CO_RESIDENTS_SHARE:
            return []
        born_on = self._on - dt.timedelta(days=int(365.25 * 58 + draws["parent_age_days"][row][0] / 4))
        facts = {"income_after_deductions": self._income(row, 2, "co_resident", draws), "dependants": 0}
        return [{"id": "r1", "birth_date": born_on.isoformat(), "facts": facts}]

    def _income(self, row: int, position: int, kind: str, draws: dict[str, Any]) -> Document:
        earns_nothing = draws["no_income"][row][position] < (0.25 if kind in {"second", "co_resident"} else 0.03)
        yen = 0 if earns_nothing else MEDIAN_INCOME_YEN[kind] * draws["factor"][row][position]
        return {"value": round(yen / 1_000) * 1_000, "income_year": self._income_year}
