"""seeing: what the worker measures, for the metrics that the web process shows."""

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "measures",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("labels", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.Column("measured_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.execute("ALTER TABLE measures ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE measures FORCE ROW LEVEL SECURITY")
    op.execute("CREATE POLICY owner_all ON measures TO todoke_owner USING (true) WITH CHECK (true)")
    for name, role in (("app_rows", "todoke_app"), ("worker_rows", "todoke_worker")):
        op.execute(f"CREATE POLICY {name} ON measures TO {role} USING (true) WITH CHECK (true)")
    op.execute("GRANT SELECT ON measures TO todoke_app")
    op.execute("GRANT SELECT, INSERT, DELETE ON measures TO todoke_worker")


def downgrade() -> None:
    raise RuntimeError("migrations only go forward; restore a backup instead")
