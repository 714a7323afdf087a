"""The published registry as every test of notices needs it."""

import pytest

from app.platform.settings import settings


@pytest.fixture
def world(published_registry, monkeypatch):
    """The published registry, and private addresses allowed for a test's receiver."""
    monkeypatch.setattr(settings().outbound, "allowed_private", ["127.0.0.0/8"])
    return published_registry
