"""row-level security: who sees which rows.

Five kinds of tables, each with one rule; the matrix stands in docs/privacy.md and a test holds it.
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

IN_HOUSEHOLD = "household_id = (SELECT todoke_household())"
IN_MUNICIPALITY = "municipality_code = (SELECT todoke_municipality())"
IN_PARTNER = "partner_id = (SELECT todoke_partner())"

# table → (what the web role sees, what the worker sees)
POLICIES = {
    # the gate every send passes: no fact about anybody, so the worker sees all of them
    "households": ("id = (SELECT todoke_household())", "true"),
    # what a family told us: one household on the web, one municipality at a time in the worker
    "household_facts": (IN_HOUSEHOLD, IN_MUNICIPALITY),
    "household_documents": (IN_HOUSEHOLD, IN_MUNICIPALITY),
    "consents": (IN_HOUSEHOLD, IN_MUNICIPALITY),
    "consent_events": (IN_HOUSEHOLD, IN_MUNICIPALITY),
    "contact_points": (IN_HOUSEHOLD, IN_MUNICIPALITY),
    "contact_confirmations": (IN_HOUSEHOLD, IN_MUNICIPALITY),
    "protection_events": (IN_HOUSEHOLD, IN_MUNICIPALITY),
    "person_stops": (IN_HOUSEHOLD, IN_MUNICIPALITY),
    "outcomes": (IN_HOUSEHOLD, IN_MUNICIPALITY),
    "entitlements": (IN_HOUSEHOLD, IN_MUNICIPALITY),
    "push_log": (IN_HOUSEHOLD, IN_MUNICIPALITY),
    "partner_links": (f"{IN_HOUSEHOLD} OR {IN_PARTNER}", IN_MUNICIPALITY),
    # work that crosses municipalities
    "changes": (f"{IN_HOUSEHOLD} OR (household_id IS NULL AND {IN_MUNICIPALITY})", "true"),
    "notices": (IN_HOUSEHOLD, "true"),
    "deliveries": (f"{IN_HOUSEHOLD} OR {IN_PARTNER}", "true"),
    "delivery_attempts": (f"{IN_HOUSEHOLD} OR {IN_PARTNER}", "true"),
    # a partner: every family may see whom it could link
    "partners": ("true", "true"),
    # a partner's own
    "partner_endpoints": (IN_PARTNER, "true"),
    "partner_credentials": (IN_PARTNER, "false"),
    "endpoint_health": (IN_PARTNER, "true"),
    "idempotency_keys": (IN_PARTNER, "false"),
    # sign-in: found by digest through a function, then seen in the context it opens
    "web_sessions": (
        f"{IN_HOUSEHOLD} OR {IN_PARTNER} OR (staff_id IS NOT NULL AND {IN_MUNICIPALITY})",
        IN_MUNICIPALITY,
    ),
    "sign_in_links": (f"{IN_HOUSEHOLD} OR {IN_PARTNER} OR (staff_id IS NOT NULL AND {IN_MUNICIPALITY})", "false"),
    "staff_accounts": (IN_MUNICIPALITY, "false"),
    # a municipality's own
    "evaluation_runs": (IN_MUNICIPALITY, "true"),
    "programme_figures": (IN_MUNICIPALITY, IN_MUNICIPALITY),
    # the registry is public to read and written by the owner
    "programmes": ("true", "true"),
    "programme_versions": ("true", "true"),
}

# table → who may write what everybody sees; elsewhere what is seen may be written, as far as the rights go
WRITES = {"partners": "id = (SELECT todoke_partner())"}

READ_ONLY = {"municipalities", "parameters", "programmes", "programme_versions"}
APPEND_ONLY = {"household_facts", "consent_events", "protection_events", "person_stops", "evaluation_runs"}
WITH_HOUSEHOLD = {
    "household_facts", "household_documents", "consents", "consent_events", "contact_points", "contact_confirmations",
    "protection_events", "person_stops", "outcomes", "entitlements", "push_log", "partner_links", "notices",
    "deliveries", "delivery_attempts", "web_sessions", "sign_in_links",
}
DELETABLE_BY_WORKER = {"changes", "entitlements"}


def upgrade() -> None:
    _make_context_functions()
    for table, (app_sees, worker_sees) in POLICIES.items():
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY owner_all ON {table} TO todoke_owner USING (true) WITH CHECK (true)")
        for name, role, sees in (("app_rows", "todoke_app", app_sees), ("worker_rows", "todoke_worker", worker_sees)):
            writes = WRITES.get(table, sees)
            op.execute(f"CREATE POLICY {name} ON {table} TO {role} USING ({sees}) WITH CHECK ({writes})")
    for table in sorted(set(POLICIES) | READ_ONLY):
        _grant(table)
    op.execute("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO todoke_app, todoke_worker")
    _make_look_ups()
    _carry_rows_when_a_household_moves()


def downgrade() -> None:
    raise RuntimeError("migrations only go forward; restore a backup instead")


def _make_context_functions() -> None:
    for name, kind in (("municipality", "text"), ("household", "uuid"), ("partner", "uuid")):
        op.execute(
            f"CREATE FUNCTION todoke_{name}() RETURNS {kind} LANGUAGE sql STABLE PARALLEL SAFE AS "
            f"$$ SELECT nullif(current_setting('todoke.{name}', true), '')::{kind} $$"
        )


def _grant(table: str) -> None:
    if table in READ_ONLY:
        rights = "SELECT"
    elif table in APPEND_ONLY:
        rights = "SELECT, INSERT"
    else:
        rights = "SELECT, INSERT, UPDATE"
    op.execute(f"GRANT {rights} ON {table} TO todoke_app, todoke_worker")
    if table in DELETABLE_BY_WORKER:
        op.execute(f"GRANT DELETE ON {table} TO todoke_worker")


def _make_look_ups() -> None:
    """Make the only ways past row-level security: by a secret's digest, never by listing."""
    look_ups = {
        "find_web_session": ("web_sessions", "digest"),
        "find_sign_in_link": ("sign_in_links", "digest"),
        "find_partner_credential": ("partner_credentials", "digest"),
        "find_contact_points": ("contact_points", "address_index"),
    }
    for name, (table, column) in look_ups.items():
        op.execute(
            f"CREATE FUNCTION {name}(wanted bytea) RETURNS SETOF {table} LANGUAGE sql STABLE SECURITY DEFINER "
            f"SET search_path = public AS $$ SELECT * FROM {table} WHERE {column} = wanted $$"
        )
        op.execute(f"REVOKE ALL ON FUNCTION {name}(bytea) FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {name}(bytea) TO todoke_app")


def _carry_rows_when_a_household_moves() -> None:
    """A household's rows carry its municipality for the worker's context; a move carries them over, all at once."""
    updates = " ".join(
        f"UPDATE {table} SET municipality_code = NEW.municipality_code WHERE household_id = NEW.id;"
        for table in sorted(WITH_HOUSEHOLD)
    )
    op.execute(
        "CREATE FUNCTION todoke_household_moved() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER "
        f"SET search_path = public AS $$ BEGIN {updates} RETURN NULL; END $$"
    )
    op.execute(
        "CREATE TRIGGER household_moved AFTER UPDATE OF municipality_code ON households FOR EACH ROW "
        "WHEN (OLD.municipality_code IS DISTINCT FROM NEW.municipality_code) EXECUTE FUNCTION todoke_household_moved()"
    )
