"""Row-level security as the application roles meet it."""

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.pool import NullPool
from sqlmodel import select

from app.households.tables import Household, HouseholdFact
from app.platform.database import Context, app_session, engine_for, owner_session, worker_session
from app.platform.errors import Misconfigured
from app.platform.identifiers import new_id
from app.platform.settings import PROJECT_DIRECTORY

PUBLIC = {"alembic_version", "municipalities", "parameters"}


def stored_household(municipality: str = "131121"):
    household_id = new_id()
    with app_session(Context(household=household_id)) as session:
        session.add(Household(id=household_id, municipality_code=municipality))
        session.flush()
        session.add(
            HouseholdFact(
                household_id=household_id,
                municipality_code=municipality,
                subject="household",
                path="household.single_parent",
                value=True,
                source="parent",
                recorded_by="guardian:g1",
            )
        )
        session.commit()
    return household_id


def test_every_table_with_a_household_or_municipality_is_isolated(todoke_environment):
    with owner_session() as session:
        rows = session.execute(
            text(
                "SELECT c.relname, c.relrowsecurity AND c.relforcerowsecurity AS secured,"
                " (SELECT count(*) FROM pg_policy p WHERE p.polrelid = c.oid) AS policies"
                " FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'"
            )
        ).all()
    assert len(rows) > 25
    for name, secured, policies in rows:
        if name not in PUBLIC:
            assert secured, f"{name} has no forced row-level security"
            assert policies == 3, f"{name} should have one policy per role"


def test_a_household_sees_its_own_rows_and_no_others(todoke_environment):
    mine, other = stored_household(), stored_household()
    with app_session(Context(household=mine)) as session:
        assert [row.household_id for row in session.exec(select(HouseholdFact))] == [mine]
        assert [row.id for row in session.exec(select(Household))] == [mine]
    assert other != mine


def test_without_context_nothing_is_visible(todoke_environment):
    stored_household()
    with app_session() as session:
        assert session.exec(select(Household)).all() == []
    with worker_session() as session:
        assert session.exec(select(HouseholdFact)).all() == []
        assert len(session.exec(select(Household)).all()) == 1  # the gate holds no fact


def test_the_worker_sees_facts_of_one_municipality_at_a_time(todoke_environment):
    here = stored_household("131121")
    stored_household("131172")
    with worker_session(Context(municipality="131121")) as session:
        assert [row.household_id for row in session.exec(select(HouseholdFact))] == [here]


def test_a_row_cannot_be_written_for_somebody_else(todoke_environment):
    mine, other = stored_household(), stored_household()
    with app_session(Context(household=mine)) as session:
        session.add(
            HouseholdFact(
                household_id=other,
                municipality_code="131121",
                subject="household",
                path="household.single_parent",
                value=False,
                source="parent",
                recorded_by="guardian:g1",
            )
        )
        with pytest.raises(ProgrammingError, match="row-level security"):
            session.flush()


def test_facts_are_append_only(todoke_environment):
    mine = stored_household()
    for statement in ("UPDATE household_facts SET value = 'false'", "DELETE FROM household_facts"):
        with (
            app_session(Context(household=mine)) as session,
            pytest.raises(ProgrammingError, match="permission denied"),
        ):
            session.execute(text(statement))


def test_a_superuser_is_refused(todoke_environment, servers):
    with pytest.raises(Misconfigured, match="superuser or bypasses"):
        engine_for(servers.database_url("postgres"))


def test_a_role_that_bypasses_row_level_security_is_refused(todoke_environment, servers):
    admin = create_engine(servers.database_url("postgres"), isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with admin.connect() as connection:
        connection.exec_driver_sql("CREATE ROLE too_powerful LOGIN BYPASSRLS")
        try:
            with pytest.raises(Misconfigured, match="too_powerful"):
                engine_for(servers.database_url("too_powerful"))
        finally:
            connection.exec_driver_sql("DROP ROLE too_powerful")


def test_context_ends_with_its_transaction(todoke_environment):
    mine = stored_household()
    with app_session(Context(household=mine)) as session:
        assert session.exec(select(Household)).all()
        session.commit()
    with app_session() as session:
        assert session.exec(select(Household)).all() == []


def test_the_matrix_in_the_privacy_document_is_what_the_migration_says(todoke_environment):
    lines = (PROJECT_DIRECTORY / "docs" / "privacy.md").read_text(encoding="utf-8").splitlines()
    documented = {}
    for line in lines:
        if line.startswith("| `"):
            name, app_sees, worker_sees, rights = (cell.strip() for cell in line.strip("|").split("|"))
            documented[name.strip("`")] = (app_sees, worker_sees, rights)
    with owner_session() as session:
        policies = session.execute(
            text("SELECT tablename, policyname, qual, with_check FROM pg_policies WHERE policyname <> 'owner_all'")
        ).all()
        granted = session.execute(
            text(
                "SELECT table_name, grantee, string_agg(privilege_type, ',') FROM information_schema.role_table_grants"
                " WHERE grantee IN ('todoke_app', 'todoke_worker') GROUP BY 1, 2"
            )
        ).all()
    found = {(table, name): words_of_policy(qual, check) for table, name, qual, check in policies}
    rights = {(table, role): set(kinds.split(",")) for table, role, kinds in granted}
    assert {table for table, _ in found} == set(documented)
    for table, (app_sees, worker_sees, allowed) in documented.items():
        assert found[table, "app_rows"] == set(app_sees.split(", ")), table
        assert found[table, "worker_rows"] == set(worker_sees.split(", ")), table
        everybody, _, workers = allowed.partition(" (worker also ")
        assert rights[table, "todoke_app"] == rights_named(everybody), table
        assert rights[table, "todoke_worker"] == rights_named(everybody) | rights_named(workers), table


def rights_named(words: str) -> set[str]:
    """The rights that the document's words name."""
    named = {"read": "SELECT", "insert": "INSERT", "update": "UPDATE", "delete": "DELETE"}
    return {right for word, right in named.items() if word in words}


def words_of_policy(qual: str, check: str) -> set[str]:
    """What a policy says in the words of the document; what may be written is named where it is not what is seen."""
    written = set() if check == qual else {f"writes {words}" for words in words_of(check)}
    return words_of(qual) | written


def words_of(qual: str) -> set[str]:
    """What a policy's condition says, in the words of the document."""
    if qual in ("true", "false"):
        return {"all" if qual == "true" else "none"}
    found = set()
    if "todoke_household()" in qual:
        found.add("own household")
    if "todoke_partner()" in qual:
        found.add("own partner")
    if "todoke_municipality()" in qual:
        if "staff_id IS NOT NULL" in qual:
            found.add("staff of the municipality in context")
        elif "household_id IS NULL" in qual:
            found.add("programmes of the municipality in context")
        else:
            found.add("municipality in context")
    return found
