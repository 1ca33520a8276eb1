"""What was at a moment is found by indexes: revisions by their time, beginnings and ends of runs."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("revision_domain_at", "revision", ["domain", "at", "n"])
    life = sa.text("verb IN ('start', 'restore', 'snapshot-revert', 'end') AND outcome = 'done'")
    op.create_index("action_life", "action", ["uuid", "at", "id"], sqlite_where=life, postgresql_where=life)
