"""halts: what an operator holds back, and the deliveries that wait for it."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "halts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("name", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("reason", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("halted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("resumed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("kind IN ('programme', 'channel', 'partner', 'municipality')", name="halts_kind"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "halts_in_force", "halts", ["kind", "name"], unique=True, postgresql_where=sa.text("resumed_at IS NULL")
    )
    op.execute("ALTER TABLE halts ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE halts FORCE ROW LEVEL SECURITY")
    op.execute("CREATE POLICY owner_all ON halts TO todoke_owner USING (true) WITH CHECK (true)")
    for name, role in (("app_rows", "todoke_app"), ("worker_rows", "todoke_worker")):
        op.execute(f"CREATE POLICY {name} ON halts TO {role} USING (true) WITH CHECK (true)")
    op.execute("GRANT SELECT ON halts TO todoke_app, todoke_worker")
    op.add_column(
        "deliveries",
        sa.Column("programme_keys", sa.ARRAY(sa.Text()), nullable=False, server_default=sa.text("'{}'")),
    )
    op.alter_column("deliveries", "programme_keys", server_default=None)
    op.add_column("deliveries", sa.Column("halt_id", sa.Uuid(), nullable=True))
    op.create_foreign_key("deliveries_halt_id_fkey", "deliveries", "halts", ["halt_id"], ["id"])
    op.drop_index("deliveries_partner", "deliveries")
    op.create_index("deliveries_partner", "deliveries", ["partner_id", "id"])
    op.create_index(
        "deliveries_to_owners",
        "deliveries",
        ["partner_id", "created_at"],
        postgresql_where=sa.text("lane = 'transactional' AND partner_id IS NOT NULL"),
    )
    op.create_index(
        "deliveries_halted", "deliveries", ["halt_id"], postgresql_where=sa.text("halt_id IS NOT NULL")
    )


def downgrade() -> None:
    raise RuntimeError("migrations only go forward; restore a backup instead")
