"""e-mail: bounces and addresses set aside.

Nothing to change: a bounce is an attempt of its delivery, three in a row are read from the outbox, and an address that
mail came back from is found by the digest that its contact point has always had.
"""

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    raise RuntimeError("migrations only go forward; restore a backup instead")
