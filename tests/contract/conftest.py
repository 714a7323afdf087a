"""The real stand-ins, started once for the folder and made to forget between tests."""

import asyncio
from collections.abc import Iterator

import pytest

from app.sandbox.servers import Sandbox, sandbox


@pytest.fixture(scope="package")
def servers() -> Iterator[Sandbox]:
    with sandbox() as running:
        yield running


@pytest.fixture
def world(servers: Sandbox) -> Sandbox:
    servers.forget()
    servers.partner_app.secrets.clear()
    return servers


@pytest.fixture
def loop() -> Iterator[asyncio.Runner]:
    """One event loop for a whole test, as in a worker process."""
    with asyncio.Runner() as runner:
        yield runner
