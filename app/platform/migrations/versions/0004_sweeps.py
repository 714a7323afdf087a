"""sweeps: evaluations that go on where they stopped, and what broke on the way.

The web role sees how far a sweep is and which rules are in quarantine; it sees no count of families.
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# table → (what the web role sees, what the worker sees and writes); the web role writes none of them
POLICIES = {
    "sweeps": ("true", "true"),
    "sweep_shards": ("false", "true"),
    "quarantined_programmes": ("true", "true"),
    "set_aside_households": ("false", "true"),
}
DELETABLE_BY_WORKER = ("quarantined_programmes", "set_aside_households")


def upgrade() -> None:
    _make_tables()
    op.create_index("household_documents_in_order", "household_documents", ["municipality_code", "household_id"])
    op.create_index("changes_of_reader", "changes", ["reader", "municipality_code"])
    for name, day, which in (
        ("entitlements_due", "announce_on", "announced_at IS NULL"),
        ("entitlements_review", "review_on", "review_on IS NOT NULL"),
    ):  # every look-up is of one municipality, because row-level security is
        op.drop_index(name, table_name="entitlements")
        op.create_index(name, "entitlements", ["municipality_code", day], postgresql_where=sa.text(which))
    for table, (app_sees, worker_sees) in POLICIES.items():
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY owner_all ON {table} TO todoke_owner USING (true) WITH CHECK (true)")
        op.execute(f"CREATE POLICY app_rows ON {table} TO todoke_app USING ({app_sees}) WITH CHECK (false)")
        op.execute(
            f"CREATE POLICY worker_rows ON {table} TO todoke_worker USING ({worker_sees}) WITH CHECK ({worker_sees})"
        )
        op.execute(f"GRANT SELECT, INSERT, UPDATE ON {table} TO todoke_app, todoke_worker")
    for table in DELETABLE_BY_WORKER:
        op.execute(f"GRANT DELETE ON {table} TO todoke_worker")


def downgrade() -> None:
    raise RuntimeError("migrations only go forward; restore a backup instead")


def _make_tables() -> None:
    op.create_table(
        "sweeps",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("programme_keys", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("reason", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("state", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("share_done", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state IN ('running', 'complete', 'failed', 'superseded')", name="sweeps_state"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("sweeps_running", "sweeps", ["id"], postgresql_where=sa.text("state = 'running'"))
    op.create_table(
        "sweep_shards",
        sa.Column("sweep_id", sa.Uuid(), nullable=False),
        sa.Column("municipality_code", sqlmodel.sql.sqltypes.AutoString(length=6), nullable=False),
        sa.Column("programme_keys", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("state", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("last_household_id", sa.Uuid(), nullable=True),
        sa.Column("households_expected", sa.Integer(), nullable=False),
        sa.Column("households", sa.Integer(), nullable=False),
        sa.Column("rights_added", sa.Integer(), nullable=False),
        sa.Column("rights_changed", sa.Integer(), nullable=False),
        sa.Column("rights_removed", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state IN ('waiting', 'complete')", name="sweep_shards_state"),
        sa.ForeignKeyConstraint(["sweep_id"], ["sweeps.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("sweep_id", "municipality_code"),
    )
    op.create_index(
        "sweep_shards_waiting",
        "sweep_shards",
        ["sweep_id", "municipality_code"],
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_table(
        "quarantined_programmes",
        sa.Column("programme_key", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("registry_fingerprint", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("error_class", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("error_text", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("programme_key"),
    )
    op.create_table(
        "set_aside_households",
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("programme_key", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("error_class", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("error_text", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["household_id"], ["households.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("household_id", "programme_key"),
    )
