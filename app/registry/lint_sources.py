"""Lint of the figures a verified programme rests on: each needs a page of a public body."""

from __future__ import annotations

from collections.abc import Iterator

from app.registry.loading import Registry
from app.registry.programme import Programme
from app.registry.public_bodies import is_public_body
from app.registry.references import parameter_places
from app.rules.remarks import Remark, warning


def lint_sources(registry: Registry, version: Programme) -> Iterator[Remark]:
    """Name every parameter of a verified version that has a figure in its time read on a private page only."""
    if version.certainty != "verified":
        return
    told: set[str] = set()
    for path, name in parameter_places(registry.documents[version.key, version.version]):
        if name not in told and not _official(registry, version, name):
            told.add(name)
            yield warning("parameter_without_official_source", path, parameter=name, programme=version.name.ja)


def _official(registry: Registry, version: Programme, name: str) -> bool:
    """Say whether every period that the version may use has a public body's page."""
    until = version.valid.until
    return all(
        period.source is not None and is_public_body(period.source.url)
        for period in registry.parameters[name].periods
        if (period.valid_until is None or period.valid_until >= version.valid.from_)
        and (until is None or period.valid_from <= until)
    )
