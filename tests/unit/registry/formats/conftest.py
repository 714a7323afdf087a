"""The registry as it is delivered, and what a reader knows beside a row."""

import datetime as dt
from pathlib import Path

import pytest

from app.registry.formats.drafts import Known
from app.registry.formats.vocabulary import official_vocabulary
from app.registry.loading import Registry
from tests.conftest import registry as registry_of_the_files

REGISTRY_DATA = Path(__file__).parents[4] / "registry_data"


@pytest.fixture(scope="session")
def registry() -> Registry:
    return registry_of_the_files()


@pytest.fixture(scope="session")
def known(registry: Registry) -> Known:
    return Known(registry.municipalities, official_vocabulary(REGISTRY_DATA), dt.date(2026, 11, 22))


@pytest.fixture(scope="session")
def latest(registry: Registry):
    return [versions[-1] for _, versions in sorted(registry.programmes.items())]
