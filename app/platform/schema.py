"""The three login roles, the database, and its migrations.

`todoke_owner` owns the tables and runs migrations; `todoke_app` serves pages; `todoke_worker` matches and sends. None
of them is a superuser or may bypass row-level security. With a stock server: `todoke database prepare` once, with an
administrator's address, then `todoke database upgrade` at each release.
"""

from collections.abc import Mapping
from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import MetaData, create_engine, text
from sqlalchemy.pool import NullPool

ROLES = ("todoke_owner", "todoke_app", "todoke_worker")
_MIGRATIONS = Path(__file__).parent / "migrations"


def prepare_roles(admin_url: str, passwords: Mapping[str, str] | None = None) -> None:
    """Make or correct the three login roles. Idempotent.

    Args:
        admin_url: address as an administrator of the server.
        passwords: by role; a role without one gets none (private sockets only).
    """
    engine = create_engine(admin_url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        known = set(connection.execute(text("SELECT rolname FROM pg_roles")).scalars())
        for role in ROLES:
            verb = "ALTER" if role in known else "CREATE"
            password = (passwords or {}).get(role)
            secret = "" if password is None else f" PASSWORD {_quoted(password)}"
            connection.exec_driver_sql(
                f"{verb} ROLE {role} LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE{secret}"
            )


def prepare_database(admin_url: str, name: str) -> None:
    """Make the database, owned by todoke_owner, where it does not exist yet."""
    engine = create_engine(admin_url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        exists = connection.execute(text("SELECT 1 FROM pg_database WHERE datname = :name"), {"name": name}).first()
        if not exists:
            connection.exec_driver_sql(f'CREATE DATABASE "{name}" OWNER todoke_owner')


def upgrade(owner_url: str, revision: str = "head") -> None:
    """Run the migrations up to a revision, as the owner."""
    with create_engine(owner_url, poolclass=NullPool).connect() as connection:
        configuration = _configuration()
        configuration.attributes["connection"] = connection
        command.upgrade(configuration, revision)
        connection.commit()


def write_revision(owner_url: str, metadata: MetaData, subject: str, number: str) -> None:
    """Write the next numbered migration from what the tables in code and in the database differ in."""
    with create_engine(owner_url, poolclass=NullPool).connect() as connection:
        configuration = _configuration()
        configuration.attributes.update({"connection": connection, "metadata": metadata})
        command.revision(configuration, subject, autogenerate=True, rev_id=number)


def drift(owner_url: str, metadata: MetaData) -> list[object]:
    """Return what the tables in code and in the database differ in; empty when nothing."""
    with create_engine(owner_url, poolclass=NullPool).connect() as connection:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))


def _configuration() -> Config:
    configuration = Config()
    configuration.set_main_option("script_location", str(_MIGRATIONS))
    configuration.set_main_option("path_separator", "os")
    configuration.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    return configuration


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
