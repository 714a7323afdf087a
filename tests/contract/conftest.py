"""The real stand-ins, started once for the folder and made to forget between tests."""

import asyncio
from collections.abc import Iterator

import pytest

from app.sandbox.servers import Sandbox, sandbox


@pytest.fixture(scope="package")
def stand_ins() -> Iterator[Sandbox]:
    with sandbox() as running:
        yield running


@pytest.fixture
def world(stand_ins: Sandbox) -> Sandbox:
    stand_ins.forget()
    stand_ins.partner_app.secrets.clear()
    return stand_ins


@pytest.fixture
def loop() -> Iterator[asyncio.Runner]:
    """One event loop for a whole test, as in a worker process."""
    with asyncio.Runner() as runner:
        yield runner
