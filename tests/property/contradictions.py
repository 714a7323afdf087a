"""Where a later answer may end what was sure: the one exception from "filling in overturns nothing".

What is known to contradict counts, what is unknown contradicts nobody: `unmodelled.contradicted_by` of a right, `unless`
of a rank, and a sum paid elsewhere that is `assumed` while nobody knows of it.
"""

import numpy as np

from app.rules.amounts import PaidElsewhere
from app.rules.columns import NO
from app.rules.evaluate import walk
from app.rules.nodes import Uncontradicted
from app.rules.people_nodes import people_verdicts
from app.rules.reading import Moment, Reading


def refused_by_contradiction(rule, population, day):
    """(household, subject) of every right that a known fact speaks against."""
    reading, kind = Reading(Moment.on(population, day), rule.rule), population.people[rule.subject]
    refused = np.zeros(kind.size, dtype=np.bool_)
    for node in rule.contradictions:
        refused |= people_verdicts(node, rule.subject, reading) == NO
    return {(population.ids[kind.household[row]], kind.ids[row]) for row in np.flatnonzero(refused)}


def _nodes_of_amounts(rule):
    conditions = [case.when for case in rule.cases if case.when is not None]
    return [node for when in conditions for node in walk(when) if isinstance(node, Uncontradicted)]


def households_that_rank_without(rule, population, day):
    """Ids of households of which a child is known not to count in a rank that an amount hangs on."""
    reading, found = Reading(Moment.on(population, day), rule.rule), set()
    for node in _nodes_of_amounts(rule):
        homes = population.people[node.scope].household[node.verdicts(reading) == NO]
        found |= {population.ids[home] for home in homes}
    return found


def assumes(term):
    """Whether a figure takes what nobody knows of as a sum."""
    own = isinstance(term.source, PaidElsewhere) and term.source.assumed is not None
    return own or any(assumes(part) for part in term.inner)
