"""losses: how often a worker ended with a delivery in its hands, apart from the steps of its schedule."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("deliveries", sa.Column("losses", sa.Integer(), nullable=False, server_default="0"))
    op.alter_column("deliveries", "losses", server_default=None)


def downgrade() -> None:
    raise RuntimeError("migrations only go forward; restore a backup instead")
