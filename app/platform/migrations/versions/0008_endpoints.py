"""endpoints: their pace, their Ed25519 keys, the test that enables one again, warnings to their owners, replays."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_TEXT = sqlmodel.sql.sqltypes.AutoString
# An operator's SQL must not take an endpoint out of its bounds either.
_BOUNDS = {
    "endpoints_pace": "requests_a_second BETWEEN 1 AND 1000",
    "endpoints_room": "most_in_flight BETWEEN 1 AND 200",
    "endpoints_signing": "signing IN ('hmac', 'ed25519', 'both')",
    "endpoints_key": "signing = 'hmac' OR signing_key_sealed IS NOT NULL",
}


def upgrade() -> None:
    _widen_endpoints()
    _widen_health()
    op.add_column("deliveries", sa.Column("resent_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "deliveries_ended_badly",
        "deliveries",
        ["endpoint_id", "finished_at"],
        postgresql_where=sa.text("state IN ('failed', 'cancelled', 'expired')"),
    )
    _make_replays()


def downgrade() -> None:
    raise RuntimeError("migrations only go forward; restore a backup instead")


def _widen_endpoints() -> None:
    op.add_column("partner_endpoints", sa.Column("signing", _TEXT(), nullable=False, server_default="hmac"))
    op.alter_column("partner_endpoints", "signing", server_default=None)
    for column in (
        sa.Column("signing_key_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("previous_signing_key_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("previous_signing_key_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("requests_a_second", sa.Integer(), nullable=True),
        sa.Column("most_in_flight", sa.Integer(), nullable=True),
        sa.Column("test_delivery_id", sa.Uuid(), nullable=True),
        sa.Column("testing_until", sa.DateTime(timezone=True), nullable=True),
    ):
        op.add_column("partner_endpoints", column)
    for name, condition in _BOUNDS.items():
        op.create_check_constraint(f"partner_{name}", "partner_endpoints", condition)


def _widen_health() -> None:
    for column in (
        sa.Column("last_error", _TEXT(), nullable=True),
        sa.Column("tokens", sa.Float(), nullable=True),
        sa.Column("tokens_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("owner_told", _TEXT(), nullable=True),
        sa.Column("working_since", sa.DateTime(timezone=True), nullable=True),
    ):
        op.add_column("endpoint_health", column)


def _make_replays() -> None:
    op.create_table(
        "endpoint_replays",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("partner_id", sa.Uuid(), nullable=False),
        sa.Column("endpoint_id", sa.Uuid(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("worked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("households", sa.Integer(), nullable=False),
        sa.Column("queued", sa.Integer(), nullable=False),
        sa.Column("postponed", sa.Integer(), nullable=False),
        sa.Column("outcome", _TEXT(), nullable=True),
        sa.ForeignKeyConstraint(["partner_id"], ["partners.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["endpoint_id"], ["partner_endpoints.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_endpoint_replays_endpoint_id", "endpoint_replays", ["endpoint_id"])
    op.create_index(
        "endpoint_replays_open", "endpoint_replays", ["asked_at"], postgresql_where=sa.text("finished_at IS NULL")
    )
    op.execute("ALTER TABLE endpoint_replays ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE endpoint_replays FORCE ROW LEVEL SECURITY")
    op.execute("CREATE POLICY owner_all ON endpoint_replays TO todoke_owner USING (true) WITH CHECK (true)")
    own = "partner_id = (SELECT todoke_partner())"
    op.execute(f"CREATE POLICY app_rows ON endpoint_replays TO todoke_app USING ({own}) WITH CHECK ({own})")
    op.execute("CREATE POLICY worker_rows ON endpoint_replays TO todoke_worker USING (true) WITH CHECK (true)")
    op.execute("GRANT SELECT, INSERT, UPDATE ON endpoint_replays TO todoke_app, todoke_worker")
