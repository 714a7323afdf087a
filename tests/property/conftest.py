"""The registry as it is delivered, read and compiled once."""

from pathlib import Path

import pytest

from app.registry.loading import load_registry

REGISTRY_DATA = Path(__file__).parents[2] / "registry_data"


@pytest.fixture(scope="session")
def registry():
    return load_registry(REGISTRY_DATA)


@pytest.fixture(scope="session")
def rulebook(registry):
    return registry.rulebook
