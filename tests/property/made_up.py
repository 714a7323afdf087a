"""Households made up by chance: awkward birthdays, holes in a history, ranges, dated incomes, people living elsewhere.

``Maker.household`` leaves much unknown; ``Maker.filled`` makes everything known that was not, and changes nothing else.
All fictional.
"""

import copy
import datetime as dt

FIELDS = {"guardians": "guardian", "children": "child", "pregnancies": "pregnancy", "co_residents": "co_resident"}
AWKWARD = ((1, 1), (1, 31), (2, 28), (2, 29), (3, 1), (3, 31), (4, 1), (4, 2), (11, 30), (12, 31))
TOWNS = ("131121", "131172", "131130", "141003")
YEN = (0, 1, 99, 100, 350_000, 689_999, 690_000, 1_069_999, 1_070_000, 1_220_000, 2_460_000, 3_604_000, 5_000_000)
DATE_FIELDS = {"guardian": "birth_date", "child": "birth_date", "co_resident": "birth_date", "pregnancy": "due_date"}


def awkward_day(chance, year):
    """A day of the year at which ages and school years are miscounted."""
    month, day = chance.choice(AWKWARD)
    leap = year % 4 == 0
    return dt.date(year, month, 28 if (month, day) == (2, 29) and not leap else day)


class Maker:
    """Makes households that speak a catalogue, around a day. ``unknown`` is how often a fact is left out.

    Of ``towns`` those that stand side by side are neighbours: families move between them.
    """

    def __init__(self, catalogue, today, programmes=("other",), towns=TOWNS, unknown=0.25):
        self.catalogue, self.today, self.programmes, self.towns, self.unknown = (
            catalogue, today, tuple(programmes), towns, unknown)

    # ---- values

    def value(self, fact, chance):
        """A value of a fact."""
        if fact.type == "bool":
            return chance.random() < 0.6
        if fact.type == "choice":
            return chance.choice(list(fact.choices))
        if fact.type == "date":
            return self.near(chance).isoformat()
        low, high = fact.at_least or 0, fact.at_most if fact.at_most is not None else 10**9
        if fact.type == "yen":
            return min(max(chance.choice(YEN), low), high)
        return chance.randint(low, min(high, low + 5))

    def near(self, chance):
        """A day within two years or so of today."""
        if chance.random() < 0.4:
            return awkward_day(chance, self.today.year + chance.randint(-2, 1))
        return self.today + dt.timedelta(days=chance.randint(-700, 400))

    def birth(self, chance):
        """A child's birth date: often small, now and then not yet born, up to 23 years."""
        if chance.random() < 0.1:
            return self.today + dt.timedelta(days=chance.randint(-70, 70))
        years = chance.choice([0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 12, 14, 15, 17, 18, 19, 22])
        if chance.random() < 0.5:
            return awkward_day(chance, self.today.year - years)
        return self.today - dt.timedelta(days=years * 365 + chance.randint(-300, 365))

    def date_of(self, owner, chance):
        """The date that stands beside a person's id."""
        if owner == "child":
            return self.birth(chance)
        if owner == "pregnancy":
            return self.today + dt.timedelta(days=chance.choice([chance.randint(-700, 700), chance.randint(-60, 200)]))
        return dt.date(chance.randint(1950, 2006), chance.randint(1, 12), chance.randint(1, 28))

    # ---- documents

    def stated(self, fact, chance):
        """A fact as a document may state it: bare, declined, by year, by programme, or as a range."""
        if chance.random() < self.unknown:
            return chance.choice([None, "declined"])
        number = fact.type in ("yen", "int")
        way = chance.random()
        if number and way < 0.15:
            low, high = sorted((self.value(fact, chance), self.value(fact, chance)))
            return chance.choice([{"at_least": low}, {"at_most": high}, {"at_least": low, "at_most": high}])
        if fact.type == "yen" and way < 0.5:
            years = sorted(chance.sample(range(self.today.year - 3, self.today.year + 3), chance.randint(1, 3)))
            return [{"value": self.value(fact, chance), "income_year": year} for year in years]
        if fact.type == "yen" and way < 0.55:
            return {chance.choice(self.programmes): self.value(fact, chance)}
        return self.value(fact, chance)

    def facts(self, owner, chance):
        """Some facts of an owner."""
        known = {name: fact for name, fact in self.catalogue.by_owner[owner].items()
                 if name not in ("birth_date", "due_date", "claimant")}
        return {name: self.stated(fact, chance) for name, fact in known.items() if chance.random() < 0.9}

    def answers(self, chance):
        """What is received, and what was paid elsewhere."""
        found = {}
        if chance.random() < 0.6:
            found["receives"] = {name: chance.choice([True, False, "declined"]) for name in self.programmes
                                 if chance.random() < 0.7}
        if chance.random() < 0.6:
            found["received_elsewhere"] = {name: chance.choice([True, False, 0, 30_000, "declined"])
                                           for name in self.programmes if chance.random() < 0.7}
        return found

    def person(self, owner, number, chance):
        person = {"id": f"{owner[:2]}{number}", "facts": self.facts(owner, chance)}
        if chance.random() > self.unknown / 2:
            person[DATE_FIELDS[owner]] = self.date_of(owner, chance).isoformat()
        if owner in ("child", "pregnancy") and chance.random() < 0.3:
            person.update(self.answers(chance))
        return person

    def history(self, chance, who=None):
        """Where somebody lived: moves in the years around today, now and then with a hole."""
        day, entries = self.today - dt.timedelta(days=chance.choice([40, 400, 900, 4000])), []
        place = chance.randrange(len(self.towns))
        for _ in range(chance.randint(1, 3)):
            entry = {"municipality": self.towns[place], "from": day.isoformat()}
            place = (place + chance.choice([-1, 1, 1, 2])) % len(self.towns)
            stays = chance.randint(20, 600)
            if chance.random() < 0.25:
                entry["until"] = (day + dt.timedelta(days=stays - chance.randint(1, 15))).isoformat()
            if chance.random() < 0.3:
                entry["planned_move_out_on"] = (day - dt.timedelta(days=chance.randint(0, 5))).isoformat()
            entries.append(entry if who is None else {**entry, "who": who})
            day += dt.timedelta(days=stays)
        return entries

    def household(self, chance):
        """A household in which anything may be missing."""
        document = {"facts": self.facts("household", chance), **self.answers(chance)}
        if chance.random() < 0.9:
            document["municipality"] = chance.choice(self.towns)
        for field, owner in FIELDS.items():
            if chance.random() < 0.9:
                most = {"child": 4, "guardian": 2, "pregnancy": 1, "co_resident": 2}[owner]
                least = 1 if owner == "guardian" and chance.random() < 0.95 else 0
                document[field] = [self.person(owner, number, chance) for number in range(chance.randint(least, most))]
        if len(document.get("guardians", ())) > 1 and chance.random() < 0.3:
            chance.choice(document["guardians"])["facts"]["claimant"] = chance.random() < 0.7
        if chance.random() < 0.6:
            document["residence"] = self.history(chance)
        people = [person["id"] for field in FIELDS for person in document.get(field, ())]
        if people and chance.random() < 0.2:
            document["residence"] = [*document.get("residence", []), *self.history(chance, chance.choice(people))]
        return document

    # ---- filling

    def filled(self, document, chance):
        """The same household with everything known that was not; what was known stays as it is."""
        full = copy.deepcopy(document)
        for field, owner in FIELDS.items():
            if field not in full:
                least = 1 if owner == "guardian" else 0
                full[field] = [{"id": f"{owner[:2]}{number}"} for number in range(chance.randint(least, 2))]
            for person in full[field]:
                if person.get(DATE_FIELDS[owner]) in (None, "declined"):
                    person[DATE_FIELDS[owner]] = self.date_of(owner, chance).isoformat()
                self.fill_facts(owner, person.setdefault("facts", {}), chance)
        self.fill_facts("household", full.setdefault("facts", {}), chance)
        for question in ("receives", "received_elsewhere"):
            answered = full.setdefault(question, {})
            for name in self.programmes:
                if answered.get(name) in (None, "declined"):
                    answered[name] = chance.random() < 0.5
        full["residence"] = self.fill_history(full, chance)
        return full

    def fill_facts(self, owner, facts, chance):
        for name, fact in self.catalogue.by_owner[owner].items():
            if name in ("birth_date", "due_date", "claimant"):
                continue
            stated = facts.get(name)
            if stated in (None, "declined"):
                facts[name] = self.value(fact, chance)
            elif isinstance(stated, list):
                # Where a programme names no income year the newest figure counts: only older ones are added.
                years = {part["income_year"] for part in stated}
                facts[name] = stated + [{"value": self.value(fact, chance), "income_year": year}
                                        for year in range(2015, max(years)) if year not in years]
            elif isinstance(stated, dict) and not {"at_least", "at_most"}.isdisjoint(stated):
                low = stated.get("at_least", fact.at_least or 0)
                high = stated.get("at_most", max(low, fact.at_most or 10**7))
                facts[name] = chance.choice([low, high, chance.randint(low, high)])
            elif isinstance(stated, dict):
                facts[name] = {programme: self.value(fact, chance) for programme in self.programmes} | stated

    def fill_history(self, document, chance):
        """A history without holes for everybody who has one; a bare municipality begins at some day."""
        entries = document.get("residence", [])
        shared = [entry for entry in entries if "who" not in entry]
        if not shared:
            begins = (self.today - dt.timedelta(days=chance.choice([10, 200, 800, 3000]))).isoformat()
            town = document.get("municipality") or chance.choice(self.towns)
            shared = [{"municipality": town, "from": begins}]
        filled = self.close_holes(shared, chance)
        for who in sorted({entry["who"] for entry in entries if "who" in entry}):
            mine = [entry for entry in entries if entry.get("who") == who]
            filled += [{**entry, "who": who} for entry in self.close_holes(mine, chance)]
        return filled

    def close_holes(self, entries, chance):
        ordered = sorted(entries, key=lambda entry: entry["from"])
        other = chance.choice([town for town in self.towns if town != ordered[0]["municipality"]])
        closed = [{"municipality": other, "from": "1950-01-01"}]
        for place, entry in enumerate(ordered):
            closed.append({key: value for key, value in entry.items() if key != "until"})
            following = ordered[place + 1]["from"] if place + 1 < len(ordered) else None
            until = entry.get("until")
            if until is not None and (following is None or until < following):
                gap = dt.date.fromisoformat(until) + dt.timedelta(days=1)
                if following is None or gap.isoformat() < following:
                    closed[-1]["until"] = until
                    closed.append({"municipality": chance.choice(self.towns), "from": gap.isoformat()})
        return closed
