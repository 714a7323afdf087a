"""planning: which notice took another's place, when told ones end, and how many an office's desk is sent on a day.

`desk_days` holds no household: a desk, a day and a number. The worker alone writes it; a desk of a prefecture serves
many municipalities, so the worker sees every row.
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("notices", sa.Column("superseded_by", sa.Uuid(), nullable=True))
    # deferred: a told notice and the correction that takes its place are written in one go
    op.create_foreign_key(
        op.f("notices_superseded_by_fkey"),
        "notices",
        "notices",
        ["superseded_by"],
        ["id"],
        initially="DEFERRED",
        deferrable=True,
    )
    op.create_index("notices_ending", "notices", ["expires_at"], postgresql_where=sa.text("state = 'released'"))
    op.create_table(
        "desk_days",
        sa.Column("desk", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("taken", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("desk", "day"),
    )
    op.execute("ALTER TABLE desk_days ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE desk_days FORCE ROW LEVEL SECURITY")
    op.execute("CREATE POLICY owner_all ON desk_days TO todoke_owner USING (true) WITH CHECK (true)")
    op.execute("CREATE POLICY app_rows ON desk_days TO todoke_app USING (false) WITH CHECK (false)")
    op.execute("CREATE POLICY worker_rows ON desk_days TO todoke_worker USING (true) WITH CHECK (true)")
    op.execute("GRANT SELECT, INSERT, UPDATE ON desk_days TO todoke_app, todoke_worker")


def downgrade() -> None:
    raise RuntimeError("migrations only go forward; restore a backup instead")
