"""A published registry and a clock on the demo day, for tests that go through several rooms."""

import datetime as dt
from functools import lru_cache

import pytest

from app.platform import clock
from app.platform.database import owner_session
from app.platform.settings import PROJECT_DIRECTORY
from app.registry.loading import Registry, load_registry
from app.registry.versions import publish

DEMO_DAY = dt.date(2026, 11, 24)


@lru_cache
def registry() -> Registry:
    """The registry's files, read once for all tests."""
    return load_registry(PROJECT_DIRECTORY / "registry_data")


@pytest.fixture
def published_registry(todoke_environment) -> Registry:
    """The real registry in this test's database; it is 2026-11-24, ten in the morning in Japan."""
    clock.shift_to(clock.at_japan_time(DEMO_DAY, 10))
    with owner_session() as session:
        publish(session, registry(), clock.now())
        session.commit()
    return registry()
