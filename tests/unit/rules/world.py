"""A small catalogue, parameters and rules of their own for the tests of the rules room. All fictional."""

import datetime as dt
from pathlib import Path

import yaml

from app.rules.evaluate import Rulebook
from app.rules.facts import FactCatalogue
from app.rules.household import read_household
from app.rules.inquiry import answers_on
from app.rules.parameters import Parameter, Parameters
from app.rules.phrases import Phrases
from app.rules.population import Population
from app.rules.rule import Rule

ROOT = Path(__file__).parents[3]
D = dt.date.fromisoformat
ON = D("2026-11-21")

YES_NO = {"type": "bool"}
CATALOGUE = FactCatalogue.from_mapping({
    path: {"label": {"ja": path, "ja-easy": path, "en": path}, **kind}
    for path, kind in {
        "household.single_parent": YES_NO,
        "household.public_assistance": YES_NO,
        "household.levy": {"type": "yen"},
        "guardian.birth_date": {"type": "date"},
        "guardian.claimant": YES_NO,
        "guardian.civil_servant": YES_NO,
        "guardian.income_after_deductions": {"type": "yen"},
        "guardian.dependants": {"type": "int", "at_most": 99},
        "child.birth_date": {"type": "date"},
        "child.supported_by_guardian": YES_NO,
        "child.grade": {"type": "choice", "choices": {1: "1", 2: "2", 3: "3"}},
        "child.school_kind": {"type": "choice", "choices": {"public": "public", "private": "private"}},
        "child.school_grade": {"type": "int"},
        "child.class_age": {"type": "int"},
        "child.certified_on": {"type": "date"},
        "pregnancy.due_date": {"type": "date"},
        "pregnancy.fetuses": {"type": "int"},
        "co_resident.birth_date": {"type": "date"},
        "co_resident.income_after_deductions": {"type": "yen"},
        "co_resident.dependants": {"type": "int"},
    }.items()
})


def parameter(identifier, *periods, unit="yen"):
    return Parameter.model_validate({"id": identifier, "label": identifier, "unit": unit, "periods": list(periods)})


PARAMETERS = Parameters([
    parameter("limit", {"valid_from": "2024-04-01", "value": 1_000_000}, {"valid_from": "2026-04-01", "value": 1_200_000}),
    parameter("table", {"valid_from": "2024-11-01", "table": [690_000, 1_070_000], "beyond": {"step": 380_000}}),
    parameter("table-unknown", {"valid_from": "2024-11-01", "table": [690_000, 1_070_000], "beyond": "unknown"}),
    parameter("table-same", {"valid_from": "2024-11-01", "table": [690_000, 1_070_000], "beyond": "same"}),
    parameter("ends", {"valid_from": "2024-04-01", "valid_until": "2025-03-31", "value": 10}),
    parameter("full", {"valid_from": "2024-11-01", "value": 45_500}, {"valid_from": "2025-04-01", "value": 46_690},
              {"valid_from": "2026-04-01", "value": 48_050}),
    parameter("coefficient", {"valid_from": "2024-11-01", "value": "0.0250000"},
              {"valid_from": "2025-04-01", "value": "0.0256619"}, {"valid_from": "2026-04-01", "value": "0.0264029"}, unit="ratio"),
])


def rule(criteria, *, subject="household", municipality="000000", identifier="programme", valid="2024-04-01", **more):
    valid = valid if isinstance(valid, dict) else {"from": valid}
    return Rule.model_validate({
        "id": identifier, "municipality": municipality, "kind": "cash", "subject": subject, "criteria": criteria,
        "valid": valid, "certainty": "verified", **more,
    })


def rulebook(*rules):
    return Rulebook.compile(rules, CATALOGUE, PARAMETERS)


def population(*documents):
    return Population.from_documents([read_household(document, CATALOGUE, f"h{position}")
                                      for position, document in enumerate(documents)], CATALOGUE)


def verdicts(criteria, document, *, on=ON, subject="household", **more):
    """Verdicts of one rule for one household, by row of the subject."""
    made = rule(criteria, subject=subject, **more)
    found = answers_on(rulebook(made), population(document), on, [made.key])
    return [answer.verdict for answer in found[0].answers]


def verdict(criteria, document, **more):
    """The one verdict of one rule for one household."""
    (only,) = verdicts(criteria, document, **more)
    return only


def answers(made, document, on=ON, phrases=None):
    """Answers of one rule by subject."""
    made = made if isinstance(made, list) else [made]
    found = answers_on(rulebook(*made), population(document), on, [made[0].key], phrases)
    return {answer.subject: answer for answer in found[0].answers}


def phrases(language="ja"):
    words = yaml.safe_load((ROOT / "templates" / "phrases" / f"{language}.yaml").read_text(encoding="utf-8"))
    return Phrases(language, words, CATALOGUE, PARAMETERS)
