"""Running the examples that a programme carries: each is a household, a day, and the answers that must come out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from app.registry.loading import Registry
from app.registry.positions import Complaint, read_documents
from app.registry.programme import Example, Expectation, Programme
from app.rules.answers import Answer
from app.rules.documents import DocumentError
from app.rules.household import Household, read_household
from app.rules.inquiry import answers_on
from app.rules.population import Population


def run_examples(registry: Registry, keys: tuple[str, ...] | None = None) -> list[Complaint]:
    """Run the examples of all programmes (or some) and return every difference with the line of the example."""
    complaints: list[Complaint] = []
    for version in registry.versions:
        if keys is not None and version.key not in keys:
            continue
        document = registry.files[version.key, version.version]
        for position, example in enumerate(version.examples):
            for path, message in _differences(registry, version, example):
                at = f"examples[{position}]{path}"
                complaints.append(Complaint(document.file, document.line_of(at), at, message))
    return complaints


def example_household(registry: Registry, example: Example) -> Household:
    """Return the household of an example, by name or inline.

    Raises:
        DocumentError: the household is not a valid document; ValueError: there is no household of that name.
    """
    if not isinstance(example.household, str):
        return read_household(example.household, registry.facts, "example")
    path = registry.household_file(example.household)
    if not path.is_file():
        raise ValueError(f"found the household {example.household!r}; expected the name of a file in households/")
    return read_household(read_documents(path)[0].value, registry.facts, example.household)


def _differences(registry: Registry, version: Programme, example: Example) -> Iterator[tuple[str, str]]:
    try:
        household = example_household(registry, example)
    except DocumentError as error:
        for problem in error.problems:
            yield f".household.{problem.path}", f"found {problem.found}; expected {problem.expected}"
        return
    except ValueError as error:
        yield ".household", str(error)
        return
    used = registry.rulebook.on(version.key, example.on)
    if used is None or used.rule.version != version.version:
        yield ".on", f"found {example.on}; expected a day on which the version from {version.version} is law"
        return
    population = Population.from_documents([household], registry.facts)
    (answered,) = answers_on(registry.rulebook, population, example.on, [version.key])
    by_subject = {answer.subject: answer for answer in answered.answers}
    for subject, expected in example.expect.items():
        answer = by_subject.get(subject)
        if answer is None:
            yield f".expect.{subject}", f"found no such subject; expected one of {', '.join(by_subject) or 'none'}"
            continue
        found = _found(answer)
        for name, value in _expected(expected).items():
            if found[name] != value:
                yield f".expect.{subject}.{name}", f"found {_shown(found[name])}; expected {_shown(value)}"


def _expected(expected: Expectation) -> dict[str, Any]:
    return {name: getattr(expected, name) for name in expected.model_fields_set}


def _found(answer: Answer) -> dict[str, Any]:
    amount = answer.amount
    return {
        "verdict": answer.verdict,
        "amount": None if amount is None else amount.yen,
        "least": None if amount is None else amount.least,
        "most": None if amount is None else amount.most,
        "eligible_from": answer.eligible_from,
        "eligible_until": answer.eligible_until,
        "counted_on": answer.counted_on,
        "deadline": answer.deadline,
        "pays_from": answer.pays_from,
        "take_up": answer.take_up,
        "missing": tuple(dict.fromkeys(missing.fact for missing in answer.missing)),
    }


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) or "nothing" if isinstance(value, tuple) else str(value)
