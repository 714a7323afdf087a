"""sweeps: evaluations that go on where they stopped, and rules that broke."""

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    raise RuntimeError("migrations only go forward; restore a backup instead")
