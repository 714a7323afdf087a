"""The registry as it is delivered, read once."""

from pathlib import Path

import pytest

from app.registry.loading import Registry
from tests.conftest import registry as registry_of_the_files

REGISTRY_DATA = Path(__file__).parents[2] / "registry_data"


@pytest.fixture(scope="session")
def registry_data() -> Path:
    return REGISTRY_DATA


@pytest.fixture(scope="session")
def registry() -> Registry:
    return registry_of_the_files()
