"""safeguards: moves between municipalities."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "moves",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("municipality_code", sa.String(length=6), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("from_code", sa.String(length=6), nullable=False),
        sa.Column("to_code", sa.String(length=6), nullable=False),
        sa.Column("moved_on", sa.Date(), nullable=False),
        sa.Column("planned_move_out_on", sa.Date(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("rights_before", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("residence_before", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("carried_out_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["household_id"], ["households.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_moves_household_id"), "moves", ["household_id"])
    op.create_index("moves_announced", "moves", ["moved_on"], postgresql_where=sa.text("state = 'announced'"))
    _isolate()
    _carry_over()
    _hold_the_gate()


def downgrade() -> None:
    raise RuntimeError("migrations only go forward; restore a backup instead")


def _isolate() -> None:
    """One household on the web, one municipality at a time in the worker, as for everything that a family told us."""
    op.execute("ALTER TABLE moves ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE moves FORCE ROW LEVEL SECURITY")
    op.execute("CREATE POLICY owner_all ON moves TO todoke_owner USING (true) WITH CHECK (true)")
    for name, role, sees in (
        ("app_rows", "todoke_app", "household_id = (SELECT todoke_household())"),
        ("worker_rows", "todoke_worker", "municipality_code = (SELECT todoke_municipality())"),
    ):
        op.execute(f"CREATE POLICY {name} ON moves TO {role} USING ({sees}) WITH CHECK ({sees})")
    op.execute("GRANT SELECT, INSERT, UPDATE ON moves TO todoke_app, todoke_worker")


def _carry_over() -> None:
    """Carry the rows of this table over with the household, by a trigger of its own beside that of migration 0002."""
    op.execute(
        "CREATE FUNCTION todoke_moves_carried() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER "
        "SET search_path = public AS $$ BEGIN UPDATE moves SET municipality_code = NEW.municipality_code "
        "WHERE household_id = NEW.id; RETURN NULL; END $$"
    )
    op.execute(
        "CREATE TRIGGER moves_carried AFTER UPDATE OF municipality_code ON households FOR EACH ROW "
        "WHEN (OLD.municipality_code IS DISTINCT FROM NEW.municipality_code) EXECUTE FUNCTION todoke_moves_carried()"
    )


def _hold_the_gate() -> None:
    """Hold in the database what no import, list, sync, merge or expiry may do, whoever runs it.

    The protection flag is lowered or moved only in a transaction that wrote, before it, who the two people were and
    why. The consent epoch and the list of stopped persons only grow.
    """
    op.execute(
        """
        CREATE FUNCTION todoke_gate_is_monotone() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
        SET search_path = public AS $$
        BEGIN
            IF OLD.protected_at IS NOT NULL AND NEW.protected_at IS DISTINCT FROM OLD.protected_at AND NOT EXISTS (
                SELECT FROM protection_events WHERE household_id = NEW.id AND change = 'cleared'
                AND second_person <> '' AND second_person <> "by" AND reason <> ''
                AND xmin = pg_current_xact_id()::xid
            ) THEN
                RAISE EXCEPTION 'protection of a household is lowered by two people with a reason, and never moved';
            END IF;
            IF NEW.consent_epoch < OLD.consent_epoch THEN
                RAISE EXCEPTION 'the consent epoch of a household only rises';
            END IF;
            IF NOT NEW.stopped_subjects @> OLD.stopped_subjects THEN
                RAISE EXCEPTION 'a person whose messages were stopped stays stopped';
            END IF;
            RETURN NEW;
        END $$
        """
    )
    op.execute(
        "CREATE TRIGGER gate_is_monotone BEFORE UPDATE OF protected_at, consent_epoch, stopped_subjects ON households "
        "FOR EACH ROW EXECUTE FUNCTION todoke_gate_is_monotone()"
    )
