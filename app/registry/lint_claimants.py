"""Lint of whose fact speaks against a right: a bare guardian's fact is the claimant's, seldom the mother's."""

from __future__ import annotations

from collections.abc import Iterator

from app.registry.programme import Programme
from app.registry.references import FACT_KEYS
from app.rules.remarks import Remark, warning

_QUANTIFIERS = ("some", "every", "count")


def lint_claimants(version: Programme) -> Iterator[Remark]:
    """Bare guardian facts in ``contradicted_by`` where the right is a child's or belongs to a pregnancy."""
    if version.subject not in ("child", "pregnancy"):
        return
    for position, left in enumerate(version.unmodelled):
        if left.contradicted_by is None:
            continue
        tree = left.contradicted_by.model_dump(by_alias=True, exclude_none=True)
        for path, fact in _bare(tree, f"unmodelled[{position}].contradicted_by"):
            yield warning("claimant_contradicts", path, fact=fact)


def _bare(part: object, path: str) -> Iterator[tuple[str, str]]:
    """Facts of guardians outside a quantifier over guardians."""
    if isinstance(part, dict):
        if any(part.get(word) == "guardian" for word in _QUANTIFIERS):
            return
        for key, value in part.items():
            if key in FACT_KEYS and isinstance(value, str) and value.startswith("guardian."):
                yield path, value
            yield from _bare(value, f"{path}.{key}")
    elif isinstance(part, list | tuple):
        for position, value in enumerate(part):
            yield from _bare(value, f"{path}[{position}]")
