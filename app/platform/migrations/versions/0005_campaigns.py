"""campaigns: what a publication may send, whom it would reach, what audits found, when work was last done.

What staff may see and the counts behind it are two tables each: the web role reads no count of families. It asks for
a reach (never answers), and decides about a campaign in one way only: `decide_campaign`, for the account in context.
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

IN_MUNICIPALITY = "municipality_code = (SELECT todoke_municipality())"

# table → what the web role sees; the worker sees and writes all of them
SEEN_BY_STAFF = {
    "reach_requests": IN_MUNICIPALITY,
    "campaigns": IN_MUNICIPALITY,
    "audits": IN_MUNICIPALITY,
    "heartbeats": "true",
}
COUNTS = ("reach_counts", "campaign_counts", "audit_counts", "audit_differences")
ASKED = (
    "id", "municipality_code", "programme_key", "draft_id", "sha256", "template_sha256", "document", "ends_on",
    "looked_at_on", "asked_by", "asked_at",
)  # fmt: skip
WORK = ("match", "announce", "review", "release", "sweep", "oversee", "shard")


def upgrade() -> None:
    _make_reach()
    _make_campaigns()
    _make_audits()
    which = sa.text("kind IN ('new_support', 'correction')")  # what came of the first few is read by programme
    op.create_index("notices_told", "notices", ["programme_key", "household_id"], postgresql_where=which)
    op.create_table(
        "heartbeats",
        sa.Column("name", _text(), nullable=False),
        sa.Column("done_at", _instant(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    for table, seen in (SEEN_BY_STAFF | dict.fromkeys(COUNTS, "false")).items():
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY owner_all ON {table} TO todoke_owner USING (true) WITH CHECK (true)")
        for name, role, sees in (("app_rows", "todoke_app", seen), ("worker_rows", "todoke_worker", "true")):
            op.execute(f"CREATE POLICY {name} ON {table} TO {role} USING ({sees}) WITH CHECK ({sees})")
        op.execute(f"GRANT SELECT ON {table} TO todoke_app")
        op.execute(f"GRANT SELECT, INSERT, UPDATE ON {table} TO todoke_worker")
    op.execute(f"GRANT INSERT ({', '.join(ASKED)}) ON reach_requests TO todoke_app")
    # The clock of what never ran begins here: a new installation is not overdue, one whose beat never started will be.
    op.execute(f"INSERT INTO heartbeats SELECT unnest(ARRAY{list(WORK)}), now()")
    _decide()
    _tell_signs()


def downgrade() -> None:
    raise RuntimeError("migrations only go forward; restore a backup instead")


def _text(length: int | None = None) -> sa.types.TypeEngine[str]:
    return sqlmodel.sql.sqltypes.AutoString(length=length)


def _instant() -> sa.DateTime:
    return sa.DateTime(timezone=True)


def _json() -> postgresql.JSONB:
    return postgresql.JSONB(astext_type=sa.Text())


def _counts(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.Integer(), nullable=False) for name in names]


def _make_reach() -> None:
    op.create_table(
        "reach_requests",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("municipality_code", _text(6), nullable=False),
        sa.Column("programme_key", _text(), nullable=False),
        sa.Column("draft_id", sa.Uuid(), nullable=False),
        sa.Column("sha256", _text(64), nullable=False),
        sa.Column("template_sha256", _text(64), nullable=True),
        sa.Column("document", _json(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=True),
        sa.Column("looked_at_on", sa.Date(), nullable=False),
        sa.Column("asked_by", sa.Uuid(), nullable=False),
        sa.Column("asked_at", _instant(), nullable=False),
        sa.Column("state", _text(), server_default="asked", nullable=False),
        sa.Column("problem", _text(), nullable=True),
        sa.Column("published_sha256", _text(64), nullable=True),
        sa.Column("figures", _json(), nullable=True),
        sa.Column("counted_at", _instant(), nullable=True),
        sa.CheckConstraint("state IN ('asked', 'counted', 'failed')", name="reach_requests_state"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("reach_requests_asked", "reach_requests", ["asked_at"], postgresql_where=sa.text("state = 'asked'"))
    op.create_index("reach_requests_draft", "reach_requests", ["draft_id", "asked_at"])
    counted = ("households", "gains", "loses", "stays", "becomes_open", "closes", "gets_more", "gets_less")
    op.create_table(
        "reach_counts",
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("municipality_code", _text(6), nullable=False),
        *_counts(*counted),
        sa.Column("last_household_id", sa.Uuid(), nullable=True),
        sa.Column("finished_at", _instant(), nullable=True),
        sa.ForeignKeyConstraint(["request_id"], ["reach_requests.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("request_id", "municipality_code"),
    )


def _make_campaigns() -> None:
    op.create_table(
        "campaigns",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("sweep_id", sa.Uuid(), nullable=False),
        sa.Column("programme_key", _text(), nullable=False),
        sa.Column("municipality_code", _text(6), nullable=False),
        sa.Column("state", _text(), nullable=False),
        sa.Column("question", _text(), nullable=True),
        sa.Column("follows", _text(), nullable=True),
        sa.Column("looked_at_on", sa.Date(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=True),
        sa.Column("figures", _json(), nullable=True),
        sa.Column("canary_share", sa.Float(), nullable=True),
        sa.Column("canary_began_at", _instant(), nullable=True),
        sa.Column("begun_at", _instant(), nullable=False),
        sa.Column("counted_at", _instant(), nullable=True),
        sa.Column("opened_at", _instant(), nullable=True),
        sa.Column("decided_by", _text(), nullable=True),
        sa.Column("decided_at", _instant(), nullable=True),
        sa.Column("comment", _text(), nullable=True),
        sa.CheckConstraint(
            "state IN ('counting', 'canary', 'paused', 'approved', 'rejected', 'open', 'superseded')",
            name="campaigns_state",
        ),
        sa.ForeignKeyConstraint(["request_id"], ["reach_requests.id"], ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "campaigns_holding",
        "campaigns",
        ["programme_key"],
        unique=True,
        postgresql_where=sa.text("state IN ('counting', 'canary', 'paused', 'approved', 'rejected')"),
    )
    op.create_index("campaigns_sweep", "campaigns", ["sweep_id"])
    op.create_table(
        "campaign_counts",
        sa.Column("campaign_id", sa.Uuid(), nullable=False),
        sa.Column("municipality_code", _text(6), nullable=False),
        *_counts("gains", "loses", "changes"),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaigns.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("campaign_id", "municipality_code"),
    )


def _make_audits() -> None:
    op.create_table(
        "audits",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("municipality_code", _text(6), nullable=False),
        sa.Column("started_at", _instant(), nullable=False),
        sa.Column("finished_at", _instant(), nullable=True),
        sa.Column("is_clean", sa.Boolean(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "audits_unfinished",
        "audits",
        ["municipality_code"],
        unique=True,
        postgresql_where=sa.text("finished_at IS NULL"),
    )
    op.create_table(
        "audit_counts",
        sa.Column("audit_id", sa.Uuid(), nullable=False),
        *_counts("households", "skipped", "differences"),
        sa.Column("last_household_id", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(["audit_id"], ["audits.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("audit_id"),
    )
    op.create_table(
        "audit_differences",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("audit_id", sa.Uuid(), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("programme_key", _text(), nullable=False),
        sa.Column("subject", _text(), nullable=False),
        sa.Column("kind", _text(), nullable=False),
        sa.Column("fields", _json(), nullable=False),
        sa.Column("found_at", _instant(), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["audit_id"], ["audits.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["household_id"], ["households.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_audit_differences_audit_id"), "audit_differences", ["audit_id"])


def _decide() -> None:
    """Make the one way in which a paused campaign goes on or ends: by an approver's account, or a named operator."""
    op.execute(
        """
        CREATE FUNCTION decide_campaign(wanted uuid, decision text, who text, why text, at timestamptz)
        RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
        DECLARE
            campaign campaigns%ROWTYPE;
        BEGIN
            SELECT * INTO campaign FROM campaigns WHERE id = wanted FOR UPDATE;
            IF session_user = 'todoke_app' THEN
                who := 'staff:' || todoke_staff();
                IF campaign.id IS NULL OR NOT EXISTS (
                    SELECT FROM staff_accounts WHERE id = todoke_staff()
                        AND municipality_code = campaign.municipality_code AND role IN ('approver', 'administrator')
                ) THEN
                    RAISE EXCEPTION 'found no campaign that this account may decide about'
                        USING ERRCODE = 'insufficient_privilege';
                END IF;
            END IF;
            IF decision NOT IN ('approved', 'rejected') OR coalesce(who, '') = '' THEN
                RAISE EXCEPTION 'expected approved or rejected, by somebody' USING ERRCODE = 'check_violation';
            END IF;
            IF campaign.state = 'paused' THEN
                UPDATE campaigns SET state = decision, decided_by = who, decided_at = at, comment = why
                WHERE id = wanted;
                RETURN decision;
            END IF;
            RETURN campaign.state;
        END $$
        """
    )
    signature = "decide_campaign(uuid, text, text, text, timestamptz)"
    op.execute(f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION {signature} TO todoke_app, todoke_worker")


def _tell_signs() -> None:
    """Tell any role when each piece of work last left a sign: names and instants, of no household and no place.

    While a publication's sweep runs, its last chunk is a sign; an audit counts from the oldest one of any municipality,
    and where nobody was audited yet, from when the first family enrolled.
    """
    op.execute(
        """
        CREATE FUNCTION signs_of_work() RETURNS TABLE (name text, at timestamptz)
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
            SELECT heartbeats.name, heartbeats.done_at FROM heartbeats WHERE heartbeats.name <> 'shard'
            UNION ALL
            SELECT 'shard', greatest(heartbeats.done_at, min(sweeps.started_at))
                FROM heartbeats, sweeps WHERE heartbeats.name = 'shard' AND sweeps.state = 'running'
                GROUP BY heartbeats.done_at
            UNION ALL
            SELECT 'audit', min(coalesce(audited.at, home.since)) FROM
                (SELECT municipality_code, min(created_at) AS since FROM households GROUP BY 1) AS home
                LEFT JOIN (SELECT municipality_code, max(finished_at) AS at FROM audits GROUP BY 1) AS audited
                USING (municipality_code)
        $$
        """
    )
    op.execute("REVOKE ALL ON FUNCTION signs_of_work() FROM PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION signs_of_work() TO todoke_app, todoke_worker")
