"""LINE-style: events that came in, linking, the health of a channel as a whole."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

# table → (what the web role sees, what it may write, what the worker sees)
POLICIES = {
    "channel_health": ("true", "false", "true"),
    # whoever calls the webhook writes events and reads none
    "line_events": ("false", "true", "true"),
    # found by digest through a function
    "line_link_tokens": ("false", "false", "true"),
    "line_nonces": ("household_id = (SELECT todoke_household())",) * 2 + ("true",),
}


def upgrade() -> None:
    _make_channel_health()
    _make_line_events()
    _make_linking()
    for table, (app_sees, app_writes, worker_sees) in POLICIES.items():
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY owner_all ON {table} TO todoke_owner USING (true) WITH CHECK (true)")
        op.execute(f"CREATE POLICY app_rows ON {table} TO todoke_app USING ({app_sees}) WITH CHECK ({app_writes})")
        op.execute(
            f"CREATE POLICY worker_rows ON {table} TO todoke_worker USING ({worker_sees}) WITH CHECK ({worker_sees})"
        )
        op.execute(f"GRANT SELECT, INSERT, UPDATE ON {table} TO todoke_app, todoke_worker")
    op.execute("GRANT DELETE ON line_events, line_link_tokens, line_nonces TO todoke_worker")
    op.execute(
        "CREATE FUNCTION line_events_in_trouble(at timestamptz, OUT failing bigint, OUT given_up bigint)"
        " LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$ SELECT"
        # Tried for ten minutes and more, and still open; and those whose day is over.
        " count(*) FILTER (WHERE worked_at IS NULL AND tries > 3),"
        " count(*) FILTER (WHERE outcome = 'failed' AND worked_at > at - interval '1 day')"
        " FROM line_events WHERE worked_at IS NULL OR worked_at > at - interval '1 day' $$"
    )
    op.execute("REVOKE ALL ON FUNCTION line_events_in_trouble(timestamptz) FROM PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION line_events_in_trouble(timestamptz) TO todoke_app, todoke_worker")
    op.execute(
        "CREATE FUNCTION find_line_link_token(wanted bytea) RETURNS SETOF line_link_tokens LANGUAGE sql STABLE"
        " SECURITY DEFINER SET search_path = public AS $$ SELECT * FROM line_link_tokens WHERE digest = wanted $$"
    )
    op.execute("REVOKE ALL ON FUNCTION find_line_link_token(bytea) FROM PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION find_line_link_token(bytea) TO todoke_app")
    # An event names a user of the platform and no household; whose contact that is, the worker finds by digest.
    op.execute("GRANT EXECUTE ON FUNCTION find_contact_points(bytea) TO todoke_worker")


def _make_channel_health() -> None:
    op.create_table(
        "channel_health",
        sa.Column("channel", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("paused_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("pause_reason", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("refusals", sa.Integer(), nullable=False),
        sa.Column("tokens", sa.Float(), nullable=False),
        sa.Column("refilled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("quota_limit", sa.Integer(), nullable=True),
        sa.Column("quota_used", sa.Integer(), nullable=False),
        sa.Column("quota_month", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("quota_read_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("used_up_month", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("refused_since", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("channel"),
    )


def _make_line_events() -> None:
    op.create_table(
        "line_events",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("webhook_event_id", sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
        sa.Column("kind", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("user_index", sa.LargeBinary(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("redelivered", sa.Boolean(), nullable=False),
        sa.Column("content_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("worked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("webhook_event_id"),
    )
    op.create_index(op.f("ix_line_events_user_index"), "line_events", ["user_index"])
    op.create_index("line_events_open", "line_events", ["occurred_at"], postgresql_where=sa.text("worked_at IS NULL"))


def _make_linking() -> None:
    op.create_table(
        "line_link_tokens",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("user_index", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("digest"),
    )
    op.create_table(
        "line_nonces",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("link_token_digest", sa.LargeBinary(), nullable=False),
        sa.Column("user_index", sa.LargeBinary(), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("guardian", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["household_id"], ["households.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("digest"),
        sa.UniqueConstraint("link_token_digest"),
    )
    op.create_index(op.f("ix_line_nonces_household_id"), "line_nonces", ["household_id"])


def downgrade() -> None:
    raise RuntimeError("migrations only go forward; restore a backup instead")
