"""What consent does not open is left out of the document, and nothing else is."""

import datetime as dt
import random

from app.households.facts import catalogue, document_from, facts_of, only_consented
from app.households.synthetic import synthetic_households

CATEGORIES = ("basic", "income", "disability_health", "single_parent", "school")


def test_leaving_facts_out_is_the_same_as_putting_the_others_together():
    chance, known = random.Random(4), catalogue()
    for document in synthetic_households(40, on=dt.date(2026, 11, 24)):
        given = {"basic", *chance.sample(CATEGORIES, chance.randint(0, 4))}
        shown = only_consented(document, given, known)
        wanted = {
            key: value
            for key, value in facts_of(document).items()
            if known.get(key[1]) is None or known[key[1]].consent in given
        }
        assert facts_of(shown) == wanted
        assert facts_of(document_from(wanted)) == wanted
        assert shown["id"] == document["id"]
