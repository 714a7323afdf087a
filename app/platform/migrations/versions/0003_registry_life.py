"""the registry's life: what was known when, drafts and their approval, the feed of changes, upkeep decisions.

Rows that were published keep their contents for ever; a trigger holds that against every role. The web role writes a
published version in one way only: `publish_programme_draft`, which publishes a draft's own contents for the account in
context, where that account may approve and wrote none of it. Who wrote a draft is kept by a trigger. The feed of
changes is written by triggers, so that nothing can be published past it.
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
    "programme_drafts": "SELECT, INSERT",
    "programme_draft_revisions": "SELECT, INSERT",
    "upkeep_decisions": "SELECT, INSERT",
}
# What the web role may change of a draft: never whose it is, who wrote it, who approved it or what it is a draft of.
CHANGEABLE = (
    "kind", "state", "document", "sha256", "template_sha256", "revision", "comment", "changed_at", "decided_at",
)  # fmt: skip


def upgrade() -> None:
    op.create_check_constraint(
        "staff_accounts_known_role", "staff_accounts", "role IN ('viewer', 'editor', 'approver', 'administrator')"
    )
    _know_when()
    _make_tables()
    for table, (app_sees, worker_sees) in POLICIES.items():
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY owner_all ON {table} TO todoke_owner USING (true) WITH CHECK (true)")
        for name, role, sees in (("app_rows", "todoke_app", app_sees), ("worker_rows", "todoke_worker", worker_sees)):
            op.execute(f"CREATE POLICY {name} ON {table} TO {role} USING ({sees}) WITH CHECK ({sees})")
        op.execute(f"GRANT {RIGHTS[table]} ON {table} TO todoke_app, todoke_worker")
    op.execute(f"GRANT UPDATE ({', '.join(CHANGEABLE)}) ON programme_drafts TO todoke_app")
    _feed_what_is_already_published()
    _keep_history()
    _feed_changes()
    _know_who_acts()
    _keep_authors()
    _digest()
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
    op.add_column(
        "programme_versions",
        sa.Column("template_sha256", sqlmodel.sql.sqltypes.AutoString(length=64), nullable=True),
    )
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


def _know_who_acts() -> None:
    op.execute(
        "CREATE FUNCTION todoke_staff() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS "
        "$$ SELECT nullif(current_setting('todoke.staff', true), '')::uuid $$"
    )


def _keep_authors() -> None:
    """Keep who wrote a draft: everybody who began it, changed its contents or handed it over; nobody ever less.

    The web role publishes and reopens nothing here, and new contents are a new revision that was not reviewed yet. An
    operator's import (the owner) has no account and adds none.
    """
    op.execute(
        """
        CREATE FUNCTION todoke_keep_authors() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE
            written boolean := TG_OP = 'INSERT';
            submitted boolean := NEW.state = 'in_review';
            is_owner boolean := current_user = 'todoke_owner';
        BEGIN
            IF TG_OP = 'INSERT' THEN
                NEW.author_ids := '{}';
                IF NOT is_owner AND (NEW.state NOT IN ('draft', 'in_review') OR NEW.approver_id IS NOT NULL) THEN
                    RAISE EXCEPTION 'expected a draft that nobody decided about' USING ERRCODE = 'check_violation';
                END IF;
            ELSE
                NEW.author_ids := OLD.author_ids;
                submitted := submitted AND OLD.state <> 'in_review';
                written := (NEW.document, NEW.sha256, NEW.kind, NEW.ends_on, NEW.template_sha256)
                    IS DISTINCT FROM (OLD.document, OLD.sha256, OLD.kind, OLD.ends_on, OLD.template_sha256);
                IF written AND (NEW.revision, NEW.state) IS DISTINCT FROM (OLD.revision + 1, 'draft') THEN
                    RAISE EXCEPTION 'expected new contents as revision %, to be reviewed', OLD.revision + 1
                        USING ERRCODE = 'check_violation';
                END IF;
                IF NOT is_owner AND (NEW.state = 'published' OR OLD.state NOT IN ('draft', 'in_review')) THEN
                    RAISE EXCEPTION 'a draft is published by publish_programme_draft alone, and stays as decided'
                        USING ERRCODE = 'insufficient_privilege';
                END IF;
            END IF;
            IF written OR submitted THEN
                IF todoke_staff() IS NOT NULL AND NOT todoke_staff() = ANY (NEW.author_ids) THEN
                    NEW.author_ids := NEW.author_ids || todoke_staff();
                ELSIF todoke_staff() IS NULL AND NOT is_owner THEN
                    RAISE EXCEPTION 'expected the staff account that writes in the context'
                        USING ERRCODE = 'insufficient_privilege';
                END IF;
            END IF;
            RETURN NEW;
        END $$
        """
    )
    op.execute(
        "CREATE TRIGGER keep_authors BEFORE INSERT OR UPDATE ON programme_drafts "
        "FOR EACH ROW EXECUTE FUNCTION todoke_keep_authors()"
    )


def _digest() -> None:
    """The digest of `app.registry.digests.storable`, made here: of JSON with its keys in the order of their bytes."""
    op.execute(
        """
        CREATE FUNCTION todoke_canonical(value jsonb) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
        BEGIN
            RETURN CASE jsonb_typeof(value)
                WHEN 'object' THEN '{' || coalesce((
                    SELECT string_agg(to_json(one.key)::text || ': ' || todoke_canonical(one.value), ', '
                        ORDER BY one.key COLLATE "C") FROM jsonb_each(value) AS one), '') || '}'
                WHEN 'array' THEN '[' || coalesce((
                    SELECT string_agg(todoke_canonical(one.part), ', ' ORDER BY one.place)
                    FROM jsonb_array_elements(value) WITH ORDINALITY AS one(part, place)), '') || ']'
                ELSE value::text
            END;
        END $$
        """
    )
    op.execute(
        "CREATE FUNCTION todoke_digest(document jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS "
        "$$ SELECT encode(sha256(convert_to(todoke_canonical(document), 'UTF8')), 'hex') $$"
    )


def _publish_drafts() -> None:
    """Make the web role's one way to a published version: a draft in review, of its municipality, by somebody else.

    Everything written is the draft's own document or a version that is there with another last day.
    """
    op.execute(
        """
        CREATE FUNCTION todoke_write_version(
            draft programme_drafts, first date, document jsonb, template text, kind text, at timestamptz
        ) RETURNS void LANGUAGE sql AS $$
            UPDATE programme_versions SET known_until = at
            WHERE programme_key = draft.programme_key AND known_until IS NULL AND valid_from = first;
            INSERT INTO programme_versions (id, programme_key, municipality_code, valid_from, valid_until, document,
                sha256, template_sha256, kind, draft_id, approver_id, reason, known_from)
            VALUES (gen_random_uuid(), draft.programme_key, draft.municipality_code, first,
                (document #>> '{valid,until}')::date, document, todoke_digest(document), template, kind, draft.id,
                todoke_staff(), draft.comment, at)
        $$
        """
    )
    op.execute("REVOKE ALL ON FUNCTION todoke_write_version FROM PUBLIC")
    op.execute(
        """
        CREATE FUNCTION todoke_last_day(version programme_versions, last date) RETURNS jsonb LANGUAGE sql AS
        $$ SELECT jsonb_set(version.document, '{valid,until}', to_jsonb(last::text)) $$
        """
    )
    op.execute(
        """
        CREATE FUNCTION publish_programme_draft(wanted uuid, seen_revision integer, at timestamptz)
        RETURNS TABLE (first_day date, what text)
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
        DECLARE
            draft programme_drafts;
            version programme_versions;
        BEGIN
            SELECT * INTO draft FROM programme_drafts
            WHERE id = wanted AND municipality_code = todoke_municipality() FOR UPDATE;
            IF draft.id IS NULL OR draft.state <> 'in_review' OR draft.revision <> seen_revision THEN
                RAISE EXCEPTION 'expected revision % of a draft in review in the municipality in context', seen_revision
                    USING ERRCODE = 'check_violation';
            END IF;
            IF todoke_staff() = ANY (draft.author_ids) OR NOT EXISTS (
                SELECT FROM staff_accounts WHERE id = todoke_staff() AND municipality_code = draft.municipality_code
                    AND role IN ('approver', 'administrator')
            ) THEN
                RAISE EXCEPTION 'expected an approver of this municipality who did not write the draft'
                    USING ERRCODE = 'insufficient_privilege';
            END IF;
            IF EXISTS (SELECT FROM programme_versions WHERE programme_key = draft.programme_key AND known_from > at) THEN
                RAISE EXCEPTION 'expected an instant after the last publication' USING ERRCODE = 'check_violation';
            END IF;
            INSERT INTO programmes (key, municipality_code)
            VALUES (draft.programme_key, draft.municipality_code) ON CONFLICT DO NOTHING;
            IF draft.kind = 'retirement' THEN
                FOR version IN SELECT * FROM programme_versions WHERE programme_key = draft.programme_key
                    AND known_until IS NULL AND valid_from > draft.ends_on ORDER BY valid_from LOOP
                    UPDATE programme_versions SET known_until = at WHERE id = version.id;
                    RETURN QUERY SELECT version.valid_from, 'dropped';
                END LOOP;
                SELECT * INTO version FROM programme_versions WHERE programme_key = draft.programme_key
                    AND known_until IS NULL ORDER BY valid_from DESC LIMIT 1;
                IF version.valid_until < draft.ends_on THEN
                    RAISE EXCEPTION 'found a version that ends on %; expected a last day no later', version.valid_until
                        USING ERRCODE = 'check_violation';
                ELSIF version.id IS NOT NULL THEN
                    PERFORM todoke_write_version(draft, version.valid_from, todoke_last_day(version, draft.ends_on),
                        version.template_sha256, 'retired', at);
                    RETURN QUERY SELECT version.valid_from, 'written';
                END IF;
            ELSE
                RETURN QUERY SELECT * FROM todoke_publish_version(draft, at);
            END IF;
            UPDATE programme_drafts SET state = 'published', approver_id = todoke_staff(), decided_at = at,
                changed_at = at WHERE id = draft.id;
        END $$
        """
    )
    op.execute(
        """
        CREATE FUNCTION todoke_publish_version(draft programme_drafts, at timestamptz)
        RETURNS TABLE (first_day date, what text) LANGUAGE plpgsql AS $$
        DECLARE
            contents jsonb := draft.document;
            room date;
            version programme_versions;
            template text;
        BEGIN
            IF (contents ->> 'municipality' || '/' || (contents ->> 'id'), contents #>> '{valid,from}')
                IS DISTINCT FROM (draft.programme_key, draft.valid_from::text) THEN
                RAISE EXCEPTION 'expected a document of % from %', draft.programme_key, draft.valid_from
                    USING ERRCODE = 'check_violation';
            END IF;
            SELECT sha256 INTO template FROM programme_versions WHERE programme_key = contents ->> 'based_on'
                AND known_until IS NULL AND valid_from <= draft.valid_from
                AND (valid_until IS NULL OR draft.valid_from <= valid_until);
            IF template IS DISTINCT FROM draft.template_sha256 THEN
                RAISE EXCEPTION 'expected a draft derived from the template as it is published now'
                    USING ERRCODE = 'check_violation';
            END IF;
            SELECT min(valid_from) - 1 INTO room FROM programme_versions
            WHERE programme_key = draft.programme_key AND known_until IS NULL AND valid_from > draft.valid_from;
            IF (contents #>> '{valid,until}')::date > room THEN
                RAISE EXCEPTION 'expected a version that ends on % or earlier', room USING ERRCODE = 'check_violation';
            ELSIF room IS NOT NULL AND contents #>> '{valid,until}' IS NULL THEN
                contents := jsonb_set(contents, '{valid,until}', to_jsonb(room::text));
            END IF;
            SELECT * INTO version FROM programme_versions WHERE programme_key = draft.programme_key
                AND known_until IS NULL AND valid_from < draft.valid_from ORDER BY valid_from DESC LIMIT 1;
            PERFORM todoke_write_version(draft, draft.valid_from, contents, template,
                CASE WHEN draft.kind = 'roll_back' THEN 'rolled_back' WHEN EXISTS (
                    SELECT FROM programme_versions AS here WHERE here.programme_key = draft.programme_key
                        AND here.known_until IS NULL AND here.valid_from = draft.valid_from
                ) THEN 'changed' ELSE 'published' END, at);
            RETURN QUERY SELECT draft.valid_from, 'written';
            IF version.id IS NOT NULL AND (version.valid_until IS NULL OR version.valid_until >= draft.valid_from) THEN
                PERFORM todoke_write_version(draft, version.valid_from,
                    todoke_last_day(version, draft.valid_from - 1), version.template_sha256, 'changed', at);
                RETURN QUERY SELECT version.valid_from, 'shortened';
            END IF;
        END $$
        """
    )
    op.execute("REVOKE ALL ON FUNCTION todoke_publish_version FROM PUBLIC")
    signature = "publish_programme_draft(uuid, integer, timestamptz)"
    op.execute(f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION {signature} TO todoke_app")
