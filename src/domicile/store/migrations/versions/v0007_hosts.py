"""Hosts say when they were last there and what they are; machines and claims are found by their host."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("host", sa.Column("seen_at", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("host", sa.Column("facts", sa.Text, nullable=False, server_default="{}"))
    op.create_index("machine_host", "machine", ["host"])
    held = sa.text("host IS NOT NULL")
    op.create_index("claim_host", "claim", ["host"], sqlite_where=held, postgresql_where=held)
