"""Servers and databases for the tests: real ones, embedded, one set for each pytest process."""

import os
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.platform import schema
from app.platform.database import dispose_engines
from app.platform.embedded import EmbeddedServers
from app.platform.sealing import generate_key
from app.platform.settings import settings


@pytest.fixture(scope="session")
def servers() -> Iterator[EmbeddedServers]:
    """PostgreSQL and Valkey for this pytest process, with a migrated template database named `template_todoke`."""
    with tempfile.TemporaryDirectory(prefix="todoke-test-") as directory:
        with EmbeddedServers(Path(directory), durable=False) as embedded:
            admin = embedded.database_url("postgres")
            schema.prepare_roles(admin)
            schema.prepare_database(admin, "template_todoke")
            schema.upgrade(embedded.database_url("todoke_owner", "template_todoke"))
            yield embedded
            dispose_engines()


@pytest.fixture
def todoke_environment(servers: EmbeddedServers, tmp_path: Path) -> Iterator[dict[str, str]]:
    """A database of its own, settings that point at it, and the environment for child processes.

    Returns the environment variables, which are also set in this process while the test runs.
    """
    name = f"test_{uuid.uuid4().hex[:12]}"
    admin = servers.database_url("postgres")
    with _administrator(admin) as run:
        run(f'CREATE DATABASE "{name}" TEMPLATE template_todoke STRATEGY file_copy OWNER todoke_owner')
    environment = {
        "TODOKE_DATABASE__URL": servers.database_url("todoke_app", name),
        "TODOKE_DATABASE__WORKER_URL": servers.database_url("todoke_worker", name),
        "TODOKE_DATABASE__OWNER_URL": servers.database_url("todoke_owner", name),
        "TODOKE_REDIS__URL": servers.broker_url(),
        "TODOKE_SEALING__KEYS": f'{{"test": "{generate_key()}"}}',
        "TODOKE_SEALING__ACTIVE_KEY": "test",
        "TODOKE_SEALING__INDEX_KEY": generate_key(),
        "TODOKE_CLOCK__OFFSET_FILE": str(tmp_path / "clock"),
    }
    with pytest.MonkeyPatch.context() as patch:
        for key in [key for key in os.environ if key.startswith("TODOKE_")]:
            patch.delenv(key)
        for key, value in environment.items():
            patch.setenv(key, value)
        settings.cache_clear()
        yield environment
        dispose_engines()
    settings.cache_clear()
    with _administrator(admin) as run:
        run(f'DROP DATABASE "{name}" WITH (FORCE)')


class _administrator:
    """A short connection as the server's administrator, outside any transaction."""

    def __init__(self, url: str) -> None:
        self.url = url

    def __enter__(self):
        from sqlalchemy import create_engine
        from sqlalchemy.pool import NullPool

        self.connection = create_engine(self.url, isolation_level="AUTOCOMMIT", poolclass=NullPool).connect()
        return self.connection.exec_driver_sql

    def __exit__(self, *error: object) -> None:
        self.connection.close()
