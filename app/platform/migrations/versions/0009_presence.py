"""presence: which process holds a claimed delivery, so that the leases of one that died end at once."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE SEQUENCE delivery_processes AS integer CYCLE")
    op.execute("GRANT USAGE ON SEQUENCE delivery_processes TO todoke_worker")
    op.add_column("deliveries", sa.Column("claimed_by", sa.Integer(), nullable=True))


def downgrade() -> None:
    raise RuntimeError("migrations only go forward; restore a backup instead")
