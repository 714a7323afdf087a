"""bulletins: information for everybody in an area."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "bulletins",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("municipality_code", _text(6), nullable=False),
        sa.Column("title", _text(), nullable=False),
        sa.Column("body", _text(), nullable=False),
        sa.Column("title_easy", _text(), nullable=True),
        sa.Column("body_easy", _text(), nullable=True),
        sa.Column("source", _text(), nullable=False),
        sa.Column("contact", _text(), nullable=False),
        sa.Column("link", _text(), nullable=True),
        sa.Column("programme_key", _text(), nullable=True),
        sa.Column("urgent", sa.Boolean(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=False),
        sa.Column("corrects", sa.Uuid(), nullable=True),
        sa.Column("state", _text(), nullable=False),
        sa.Column("written_by", _text(), nullable=False),
        sa.Column("written_at", _instant(), nullable=False),
        sa.Column("approved_by", _text(), nullable=True),
        sa.Column("approved_at", _instant(), nullable=True),
        sa.Column("sent_by", _text(), nullable=True),
        sa.Column("sent_at", _instant(), nullable=True),
        sa.Column("ended_by", _text(), nullable=True),
        sa.Column("ended_at", _instant(), nullable=True),
        sa.Column("ended_reason", _text(), nullable=True),
        sa.Column("work_left", sa.Boolean(), nullable=False),
        sa.Column("at_municipality", _text(6), nullable=False),
        sa.Column("at_household", sa.Uuid(), nullable=True),
        sa.Column("rounds", sa.Integer(), nullable=False),
        sa.Column("finished_at", _instant(), nullable=True),
        sa.CheckConstraint(
            "state IN ('written', 'approved', 'sending', 'sent', 'cancelled', 'corrected')", name="bulletins_state"
        ),
        sa.CheckConstraint(
            "state IN ('written', 'cancelled') OR (approved_by IS NOT NULL AND approved_by <> written_by)",
            name="bulletins_two_people",
        ),
        sa.CheckConstraint("link IS NULL OR link LIKE 'https://%'", name="bulletins_link"),
        sa.CheckConstraint("valid_from <= valid_until", name="bulletins_period"),
        sa.ForeignKeyConstraint(["corrects"], ["bulletins.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("bulletins_to_work_off", "bulletins", ["urgent", "sent_at"], postgresql_where=sa.text("work_left"))
    op.create_index("bulletins_area", "bulletins", ["municipality_code", "written_at"])
    op.create_index(
        "notices_bulletin", "notices", ["occasion", "household_id"], postgresql_where=sa.text("kind = 'information'")
    )
    op.execute("ALTER TABLE bulletins ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE bulletins FORCE ROW LEVEL SECURITY")
    op.execute("CREATE POLICY owner_all ON bulletins TO todoke_owner USING (true) WITH CHECK (true)")
    in_municipality = "municipality_code = (SELECT todoke_municipality())"
    for name, role, sees in (("app_rows", "todoke_app", in_municipality), ("worker_rows", "todoke_worker", "true")):
        op.execute(f"CREATE POLICY {name} ON bulletins TO {role} USING ({sees}) WITH CHECK ({sees})")
    op.execute("GRANT SELECT ON bulletins TO todoke_app")
    op.execute("GRANT SELECT, INSERT, UPDATE ON bulletins TO todoke_worker")


def downgrade() -> None:
    raise RuntimeError("migrations only go forward; restore a backup instead")


def _text(length: int | None = None) -> sa.types.TypeEngine[str]:
    return sqlmodel.sql.sqltypes.AutoString(length=length)


def _instant() -> sa.DateTime:
    return sa.DateTime(timezone=True)
