"""the registry's life: what was known when, drafts and their approval, the feed of changes, upkeep decisions.

Rows that were published keep their contents for ever; a trigger holds that against every role. The web role writes a
published version in one way only: `publish_programme_draft`, which takes an approved draft of the municipality in
context. The feed of changes is written by triggers, so that nothing can be published past it.
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

IN_MUNICIPALITY = "municipality_code = (SELECT todoke_municipality())"

# table → (what the web role sees, what the worker sees)
POLICIES = {
    "registry_changes": ("true", "true"),
    "programme_drafts": (IN_MUNICIPALITY, "false"),
    "programme_draft_revisions": (IN_MUNICIPALITY, "false"),
    "upkeep_decisions": (IN_MUNICIPALITY, "false"),
}
RIGHTS = {
    "registry_changes": "SELECT",
    "programme_drafts": "SELECT, INSERT, UPDATE",
    "programme_draft_revisions": "SELECT, INSERT",
    "upkeep_decisions": "SELECT, INSERT",
}


def upgrade() -> None:
    _know_when()
    _make_tables()
    for table, (app_sees, worker_sees) in POLICIES.items():
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY owner_all ON {table} TO todoke_owner USING (true) WITH CHECK (true)")
        for name, role, sees in (("app_rows", "todoke_app", app_sees), ("worker_rows", "todoke_worker", worker_sees)):
            op.execute(f"CREATE POLICY {name} ON {table} TO {role} USING ({sees}) WITH CHECK ({sees})")
        op.execute(f"GRANT {RIGHTS[table]} ON {table} TO todoke_app, todoke_worker")
    _feed_what_is_already_published()
    _keep_history()
    _feed_changes()
    _publish_drafts()


def downgrade() -> None:
    raise RuntimeError("migrations only go forward; restore a backup instead")


def _know_when() -> None:
    """Give published rows the span in which they were known; what is there is known since it was published."""
    for table in ("programme_versions", "parameters"):
        op.alter_column(table, "published_at", new_column_name="known_from")
        op.add_column(table, sa.Column("known_until", sa.DateTime(timezone=True), nullable=True))
        op.add_column(
            table, sa.Column("kind", sqlmodel.sql.sqltypes.AutoString(), nullable=False, server_default="published")
        )
        op.alter_column(table, "kind", server_default=None)
    op.add_column("programme_versions", sa.Column("draft_id", sa.Uuid(), nullable=True))
    op.add_column("programme_versions", sa.Column("approver_id", sa.Uuid(), nullable=True))
    op.add_column("programme_versions", sa.Column("reason", sqlmodel.sql.sqltypes.AutoString(), nullable=True))
    op.drop_constraint("programme_versions_start", "programme_versions")
    op.create_index(
        "programme_versions_current",
        "programme_versions",
        ["programme_key", "valid_from"],
        unique=True,
        postgresql_where=sa.text("known_until IS NULL"),
    )
    _own_key("programme_versions")
    op.add_column("parameters", sa.Column("id", sa.Uuid(), nullable=False, server_default=sa.text("gen_random_uuid()")))
    op.alter_column("parameters", "id", server_default=None)
    op.drop_constraint("parameters_pkey", "parameters")
    op.create_primary_key("parameters_pkey", "parameters", ["id"])
    op.create_index(
        "parameters_current", "parameters", ["name"], unique=True, postgresql_where=sa.text("known_until IS NULL")
    )


def _own_key(table: str) -> None:
    """Nobody writes another municipality's programme under the code of its own."""
    op.create_check_constraint(f"{table}_own_key", table, "starts_with(programme_key, municipality_code || '/')")


def _make_tables() -> None:
    op.create_table(
        "registry_changes",
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column(
            "transaction_id",
            sa.BigInteger(),
            server_default=sa.text("(pg_current_xact_id()::text)::bigint"),
            nullable=False,
        ),
        sa.Column("programme_key", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("parameter_name", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("valid_from", sa.Date(), nullable=True),
        sa.Column("kind", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("sha256", sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_index("registry_changes_order", "registry_changes", ["transaction_id", "seq"], unique=False)
    op.create_table(
        "programme_drafts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("programme_key", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("municipality_code", sqlmodel.sql.sqltypes.AutoString(length=6), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("kind", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("state", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("document", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("sha256", sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=True),
        sa.Column("template_sha256", sqlmodel.sql.sqltypes.AutoString(length=64), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("author_ids", sa.ARRAY(sa.Uuid()), nullable=False),
        sa.Column("approver_id", sa.Uuid(), nullable=True),
        sa.Column("comment", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_programme_drafts_municipality_code"), "programme_drafts", ["municipality_code"])
    op.create_index(
        "programme_drafts_open",
        "programme_drafts",
        ["programme_key", "valid_from"],
        unique=True,
        postgresql_where=sa.text("state IN ('draft', 'in_review')"),
    )
    _own_key("programme_drafts")
    op.create_table(
        "programme_draft_revisions",
        sa.Column("draft_id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("municipality_code", sqlmodel.sql.sqltypes.AutoString(length=6), nullable=False),
        sa.Column("document", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("replaced_by", sa.Uuid(), nullable=True),
        sa.Column("replaced_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["draft_id"], ["programme_drafts.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("draft_id", "revision"),
    )
    op.create_table(
        "upkeep_decisions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("municipality_code", sqlmodel.sql.sqltypes.AutoString(length=6), nullable=False),
        sa.Column("subject", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("decision", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("note", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("decided_by", sa.Uuid(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "upkeep_decisions_subject", "upkeep_decisions", ["municipality_code", "subject", "due_on"], unique=False
    )


def _feed_what_is_already_published() -> None:
    op.execute(
        "INSERT INTO registry_changes (programme_key, valid_from, kind, sha256, at) "
        "SELECT programme_key, valid_from, kind, sha256, known_from FROM programme_versions ORDER BY known_from, id"
    )
    op.execute(
        "INSERT INTO registry_changes (parameter_name, kind, sha256, at) "
        "SELECT name, kind, sha256, known_from FROM parameters ORDER BY known_from, name"
    )


def _keep_history() -> None:
    """Let a published row change in one way: once, from still known to known until."""
    op.execute(
        """
        CREATE FUNCTION todoke_keep_history() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'DELETE' OR OLD.known_until IS NOT NULL OR NEW.known_until IS NULL
                OR to_jsonb(NEW) - 'known_until' IS DISTINCT FROM to_jsonb(OLD) - 'known_until' THEN
                RAISE EXCEPTION '% is append-only: a row may only be closed, once', TG_TABLE_NAME
                    USING ERRCODE = 'restrict_violation';
            END IF;
            RETURN NEW;
        END $$
        """
    )
    for table in ("programme_versions", "parameters"):
        op.execute(
            f"CREATE TRIGGER keep_history BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION todoke_keep_history()"
        )


def _feed_changes() -> None:
    """Write the feed where rows are written; a version closed without another in its place is told at commit."""
    definer = "LANGUAGE plpgsql SECURITY DEFINER SET search_path = public"
    op.execute(
        f"""
        CREATE FUNCTION todoke_version_published() RETURNS trigger {definer} AS $$
        BEGIN
            INSERT INTO registry_changes (programme_key, valid_from, kind, sha256, at)
            VALUES (NEW.programme_key, NEW.valid_from, NEW.kind, NEW.sha256, NEW.known_from);
            RETURN NULL;
        END $$
        """
    )
    op.execute(
        f"""
        CREATE FUNCTION todoke_version_ended() RETURNS trigger {definer} AS $$
        BEGIN
            IF NOT EXISTS (SELECT FROM programme_versions WHERE programme_key = NEW.programme_key
                           AND valid_from = NEW.valid_from AND known_until IS NULL) THEN
                INSERT INTO registry_changes (programme_key, valid_from, kind, sha256, at)
                VALUES (NEW.programme_key, NEW.valid_from, 'retired', NEW.sha256, NEW.known_until);
            END IF;
            RETURN NULL;
        END $$
        """
    )
    op.execute(
        f"""
        CREATE FUNCTION todoke_parameter_published() RETURNS trigger {definer} AS $$
        BEGIN
            INSERT INTO registry_changes (parameter_name, kind, sha256, at)
            VALUES (NEW.name, NEW.kind, NEW.sha256, NEW.known_from);
            RETURN NULL;
        END $$
        """
    )
    op.execute(
        "CREATE TRIGGER feed_published AFTER INSERT ON programme_versions "
        "FOR EACH ROW EXECUTE FUNCTION todoke_version_published()"
    )
    op.execute(
        "CREATE CONSTRAINT TRIGGER feed_ended AFTER UPDATE ON programme_versions DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION todoke_version_ended()"
    )
    op.execute(
        "CREATE TRIGGER feed_published AFTER INSERT ON parameters "
        "FOR EACH ROW EXECUTE FUNCTION todoke_parameter_published()"
    )


def _publish_drafts() -> None:
    """Make the web role's one way to a published version: a draft in review, of its municipality, by somebody else."""
    op.execute(
        """
        CREATE FUNCTION publish_programme_draft(
            wanted uuid, seen_revision integer, approver uuid, versions jsonb, ended date[], at timestamptz
        ) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
        DECLARE
            draft programme_drafts;
            version jsonb;
        BEGIN
            SELECT * INTO draft FROM programme_drafts
            WHERE id = wanted AND municipality_code = todoke_municipality() FOR UPDATE;
            IF draft.id IS NULL OR draft.state <> 'in_review' OR draft.revision <> seen_revision THEN
                RAISE EXCEPTION 'expected revision % of a draft in review in the municipality in context', seen_revision
                    USING ERRCODE = 'check_violation';
            END IF;
            IF approver = ANY (draft.author_ids) OR NOT EXISTS (
                SELECT FROM staff_accounts WHERE id = approver AND municipality_code = draft.municipality_code
            ) THEN
                RAISE EXCEPTION 'expected an approver of this municipality who did not write the draft'
                    USING ERRCODE = 'insufficient_privilege';
            END IF;
            INSERT INTO programmes (key, municipality_code)
            VALUES (draft.programme_key, draft.municipality_code) ON CONFLICT DO NOTHING;
            UPDATE programme_versions SET known_until = at WHERE programme_key = draft.programme_key
                AND known_until IS NULL AND valid_from = ANY (ended);
            FOR version IN SELECT * FROM jsonb_array_elements(versions) LOOP
                IF version #>> '{document,municipality}' || '/' || (version #>> '{document,id}')
                    IS DISTINCT FROM draft.programme_key THEN
                    RAISE EXCEPTION 'expected versions of % alone', draft.programme_key
                        USING ERRCODE = 'check_violation';
                END IF;
                UPDATE programme_versions SET known_until = at WHERE programme_key = draft.programme_key
                    AND known_until IS NULL AND valid_from = (version ->> 'valid_from')::date;
                INSERT INTO programme_versions (id, programme_key, municipality_code, valid_from, valid_until,
                    document, sha256, kind, draft_id, approver_id, reason, known_from)
                VALUES (gen_random_uuid(), draft.programme_key, draft.municipality_code,
                    (version ->> 'valid_from')::date, (version ->> 'valid_until')::date, version -> 'document',
                    version ->> 'sha256', version ->> 'kind', draft.id, approver, draft.comment, at);
            END LOOP;
            UPDATE programme_drafts SET state = 'published', approver_id = approver, decided_at = at, changed_at = at
            WHERE id = draft.id;
        END $$
        """
    )
    signature = "publish_programme_draft(uuid, integer, uuid, jsonb, date[], timestamptz)"
    op.execute(f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION {signature} TO todoke_app")
