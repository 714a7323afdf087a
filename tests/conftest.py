"""Servers and databases for the tests: real ones, embedded, one set for each pytest process.

And a published registry with the clock on the demo day, for tests that go through several rooms.
"""

import datetime as dt
import gc
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url
from sqlalchemy.pool import NullPool

from app.matching.sweep import drain
from app.platform import clock, schema
from app.platform.database import dispose_engines, owner_session
from app.platform.embedded import EmbeddedServers
from app.platform.sealing import generate_key
from app.platform.settings import PROJECT_DIRECTORY, settings
from app.registry.loading import Registry, load_registry
from app.registry.versions import publish

DEMO_DAY = dt.date(2026, 11, 24)
ROOM_IN_MEMORY = 6 * 1024**3  # bytes; a process of the suite fills at most one half of it
# What takes long comes first, so that the processes that share the suite (whole files, `--dist loadfile`) end together.
FIRST = ("tests/integration/test_demo.py", "tests/browser/", "tests/integration/", "tests/contract/", "tests/property/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {folder: place for place, folder in enumerate(FIRST)}
    items.sort(key=lambda item: min((places[one] for one in FIRST if item.nodeid.startswith(one)), default=len(FIRST)))


def pytest_collection_finish() -> None:
    """Leave what all tests share out of every later search for garbage: it never becomes any."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


class StockServers:
    """PostgreSQL and Redis that somebody else runs, with the same addresses to ask for as the embedded ones."""

    def __init__(self, admin_url: str, redis_url: str) -> None:
        self.admin_url = make_url(admin_url)
        self.redis_url = redis_url

    def database_url(self, role: str, database: str = "postgres") -> str:
        return self.admin_url.set(username=role, database=database).render_as_string(hide_password=False)

    def broker_url(self, number: int = 0) -> str:
        return self.redis_url.replace("virtual_host=0", f"virtual_host={number}")


@pytest.fixture(scope="session")
def servers() -> Iterator[EmbeddedServers | StockServers]:
    """PostgreSQL and a Redis-protocol server for this pytest process, with a migrated database to copy.

    Embedded ones, or those that TODOKE_TEST_ADMIN_URL and TODOKE_TEST_REDIS_URL name.
    """
    with ExitStack() as running:
        if "TODOKE_TEST_ADMIN_URL" in os.environ:
            found: EmbeddedServers | StockServers = StockServers(
                os.environ["TODOKE_TEST_ADMIN_URL"], os.environ["TODOKE_TEST_REDIS_URL"]
            )
        else:
            folder = tempfile.TemporaryDirectory(prefix="todoke-test-", dir=_quickest_folder())
            directory = running.enter_context(folder)
            found = running.enter_context(EmbeddedServers(Path(directory), durable=False))
        running.callback(dispose_engines)
        admin = found.database_url("postgres")
        schema.prepare_roles(admin)
        schema.prepare_database(admin, "template_todoke")
        schema.upgrade(found.database_url("todoke_owner", "template_todoke"))
        yield found


def _quickest_folder() -> str | None:
    """Return the folder in memory where it has room: hundreds of databases are copied and dropped; else None."""
    memory = Path("/dev/shm")
    return str(memory) if memory.is_dir() and shutil.disk_usage(memory).free > ROOM_IN_MEMORY else None


@pytest.fixture(scope="session")
def template_published(servers: EmbeddedServers, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database with the real registry published an hour before the tests begin, and swept: nobody lived there yet."""
    name = "template_published"
    copy_database(servers, name, "template_todoke")
    with environment_of(servers, name, tmp_path_factory.mktemp("clock")):
        clock.shift_to(clock.at_japan_time(DEMO_DAY, 9))
        with owner_session() as session:
            publish(session, registry(), clock.now())
            session.commit()
        drain()
    return name


@pytest.fixture
def todoke_environment(servers: EmbeddedServers, tmp_path: Path, request) -> Iterator[dict[str, str]]:
    """A database of its own, settings that point at it, and the environment for child processes.

    Returns the environment variables, which are also set in this process while the test runs.
    """
    name = f"test_{uuid.uuid4().hex[:12]}"
    with_registry = "published_registry" in request.fixturenames
    template = request.getfixturevalue("template_published") if with_registry else "template_todoke"
    copy_database(servers, name, template)
    with Administrator(servers.database_url("postgres", name)) as run:
        run("UPDATE heartbeats SET done_at = now()")  # a new installation, however old the template has become
    with environment_of(servers, name, tmp_path) as environment:
        yield environment
    with Administrator(servers.database_url("postgres")) as run:
        run(f'DROP DATABASE "{name}" WITH (FORCE)')


def copy_database(servers: EmbeddedServers | StockServers, name: str, template: str) -> None:
    """Make a database as a copy of another one that nobody is connected to."""
    with Administrator(servers.database_url("postgres")) as run:
        run(f'CREATE DATABASE "{name}" TEMPLATE {template} STRATEGY file_copy OWNER todoke_owner')


@contextmanager
def environment_of(servers: EmbeddedServers | StockServers, name: str, directory: Path) -> Iterator[dict[str, str]]:
    """Point this process at a database while the block runs; nobody is connected to it afterwards."""
    environment = {
        "TODOKE_DATABASE__URL": servers.database_url("todoke_app", name),
        "TODOKE_DATABASE__WORKER_URL": servers.database_url("todoke_worker", name),
        "TODOKE_DATABASE__OWNER_URL": servers.database_url("todoke_owner", name),
        "TODOKE_REDIS__URL": servers.broker_url(),
        "TODOKE_SEALING__KEYS": f'{{"test": "{generate_key()}"}}',
        "TODOKE_SEALING__ACTIVE_KEY": "test",
        "TODOKE_SEALING__INDEX_KEY": generate_key(),
        "TODOKE_CLOCK__OFFSET_FILE": str(directory / "clock"),
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


@lru_cache
def registry() -> Registry:
    """The registry's files, read once for all tests."""
    return load_registry(PROJECT_DIRECTORY / "registry_data")


@pytest.fixture
def published_registry(todoke_environment) -> Registry:
    """The real registry in this test's database; it is 2026-11-24, ten in the morning in Japan."""
    clock.shift_to(clock.at_japan_time(DEMO_DAY, 10))
    return registry()


class Administrator:
    """A short connection as the server's administrator, outside any transaction."""

    def __init__(self, url: str) -> None:
        self.url = url

    def __enter__(self):
        self.connection = create_engine(self.url, isolation_level="AUTOCOMMIT", poolclass=NullPool).connect()
        return self.connection.exec_driver_sql

    def __exit__(self, *error: object) -> None:
        self.connection.close()
