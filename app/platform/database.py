"""Sessions with PostgreSQL as a role that row-level security binds.

A session carries the context it acts in (municipality, household, partner, staff account). The context is set at the
start of each transaction and lives no longer than it; without a context no household row is visible. A process refuses
to work as a superuser or as a role that may bypass row-level security.
"""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import SessionTransaction
from sqlmodel import Session

from app.platform.errors import Misconfigured
from app.platform.settings import settings

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Context:
    """On whose rows a transaction acts; each part opens the rows of its kind and no others."""

    municipality: str = ""
    household: uuid.UUID | None = None
    partner: uuid.UUID | None = None
    staff: uuid.UUID | None = None


NO_CONTEXT = Context()


@contextmanager
def app_session(context: Context = NO_CONTEXT) -> Iterator[Session]:
    """Open a session as the web role. The caller commits, once; leaving without commit rolls back."""
    with _session(settings().database.url, context) as session:
        yield session


@contextmanager
def worker_session(context: Context = NO_CONTEXT) -> Iterator[Session]:
    """Open a session as the worker role. The caller commits, once; leaving without commit rolls back."""
    with _session(settings().database.worker_url, context) as session:
        yield session


@contextmanager
def owner_session(context: Context = NO_CONTEXT) -> Iterator[Session]:
    """Open a session as the owner of the schema: migrations and registry loading only."""
    with _session(settings().database.owner_url, context) as session:
        yield session


def enter(session: Session, context: Context) -> None:
    """Change the context of an open session, from this statement on and for the transactions that follow."""
    session.info["context"] = context
    _set_context(session.connection(), context)


def dispose_engines() -> None:
    """Forget all connections: after a fork, and before an embedded server stops."""
    for engine in list(_engines.values()):
        engine.dispose()
    _engines.clear()


_engines: dict[str, Engine] = {}
_making = Lock()


def engine_for(url: str) -> Engine:
    """Return the engine of one address, made on first use in this process.

    Raises:
        Misconfigured: no address is set, or the role could read past row-level security.
    """
    with _making:  # two threads at first use make one
        if url not in _engines:
            _engines[url] = _made(url)
        return _engines[url]


def _made(url: str) -> Engine:
    engine = create_engine(_given(url), max_overflow=10, pool_pre_ping=True, **_engine_options())
    try:
        with engine.connect() as connection:
            _refuse_powerful_role(connection)
    except BaseException:
        engine.dispose()
        raise
    return engine


def _given(url: str) -> str:
    if not url:
        raise Misconfigured("no database address is set; expected TODOKE_DATABASE__URL, __WORKER_URL and __OWNER_URL")
    return url


def _engine_options() -> dict[str, Any]:
    return {
        "pool_size": settings().database.pool_size,
        "hide_parameters": True,  # what a failing statement carried is somebody's, and errors are logged
    }


class LoopDatabase:
    """Connections as the worker role that belong to one event loop; their waiting does not hold up the loop.

    For who sends and records in the same loop: the work is an ordinary function of a session, without a thread. A
    connection is not tried out beforehand: whoever finds it broken has to be ready for that anyhow.
    """

    def __init__(self) -> None:
        self._engine: AsyncEngine | None = None

    async def run(self, work: Callable[..., _T], *arguments: Any) -> _T:
        """Return what `work(session, *arguments)` returns. It commits by itself; what it left open is rolled back.

        Raises:
            Misconfigured: no address is set, or the role could read past row-level security.
        """
        return await run_on(await self._ready(), work, *arguments)

    async def connect(self) -> AsyncConnection:
        """Return a connection of the caller's own, which closes it."""
        return await (await self._ready()).connect()

    async def close(self) -> None:
        """Close every connection."""
        engine, self._engine = self._engine, None
        if engine is not None:
            await engine.dispose()

    async def _ready(self) -> AsyncEngine:
        if self._engine is None:
            engine = create_async_engine(_given(settings().database.worker_url), **_engine_options())
            try:
                async with engine.connect() as connection:
                    await connection.run_sync(_refuse_powerful_role)
            except BaseException:
                await engine.dispose()
                raise
            self._engine = engine
        return self._engine


async def run_on(bind: AsyncEngine | AsyncConnection, work: Callable[..., _T], *arguments: Any) -> _T:
    """Return what `work(session, *arguments)` returns in a session on that connection, or on one of that engine."""
    async with AsyncSession(bind, sync_session_class=Session, expire_on_commit=False) as session:
        return await session.run_sync(work, *arguments)


@contextmanager
def _session(url: str, context: Context) -> Iterator[Session]:
    with Session(engine_for(url), expire_on_commit=False) as session:
        session.info["context"] = context
        yield session


@event.listens_for(Session, "after_begin")
def _enter_context(session: Session, _transaction: SessionTransaction, connection: Connection) -> None:
    context = session.info.get("context", NO_CONTEXT)
    if context != NO_CONTEXT:  # what a transaction before it had entered ended with it
        _set_context(connection, context)


def _set_context(connection: Connection, context: Context) -> None:
    connection.execute(
        text(
            "SELECT set_config('todoke.municipality', :municipality, true),"
            " set_config('todoke.household', :household, true), set_config('todoke.partner', :partner, true),"
            " set_config('todoke.staff', :staff, true)"
        ),
        {
            "municipality": context.municipality,
            "household": str(context.household or ""),
            "partner": str(context.partner or ""),
            "staff": str(context.staff or ""),
        },
    )


def _refuse_powerful_role(connection: Connection) -> None:
    role, powerful = connection.execute(
        text("SELECT rolname, rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user")
    ).one()
    if powerful:
        raise Misconfigured(
            f"the database role {role!r} is a superuser or bypasses row-level security; "
            "expected todoke_app, todoke_worker or todoke_owner as made by: todoke database prepare"
        )
