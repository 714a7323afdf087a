"""room: an endpoint may have 300 requests open at once."""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_ROOM = "partner_endpoints_room"


def upgrade() -> None:
    op.drop_constraint(_ROOM, "partner_endpoints", type_="check")
    op.create_check_constraint(_ROOM, "partner_endpoints", "most_in_flight BETWEEN 1 AND 300")


def downgrade() -> None:
    raise RuntimeError("migrations only go forward; restore a backup instead")
