"""Networks, storage pools, secrets, filters: definitions like a domain's, and what of them is active."""

import sqlalchemy as sa
from alembic import op

from domicile.store.migrations.append_only import refuse_changes

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "object",
        sa.Column("id", KEY, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("uuid", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("head", sa.Integer, nullable=False),
        sa.Column("autostart", sa.Boolean, nullable=False),
        sa.Column("undefined_at", sa.BigInteger),
        sa.Column("owner", sa.Text, nullable=False),
    )
    op.create_index("object_uuid", "object", ["kind", "uuid"], unique=True)
    live = sa.text("undefined_at IS NULL")
    op.create_index(
        "object_live_name", "object", ["kind", "name"], unique=True, sqlite_where=live, postgresql_where=live
    )
    op.create_table(
        "object_revision",
        sa.Column("id", KEY, primary_key=True),
        sa.Column("object", KEY, sa.ForeignKey("object.id", name="object_revision_fk"), nullable=False),
        sa.Column("n", sa.Integer, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("author_user", sa.Text, nullable=False),
        sa.Column("author_client", sa.Text, nullable=False),
        sa.Column("author_command", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("parent", sa.Integer, nullable=False),
        sa.Column("document", sa.LargeBinary, nullable=False),
    )
    op.create_index("object_revision_object_n", "object_revision", ["object", "n"], unique=True)
    op.create_table(
        "active_object",
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("uuid", sa.Text, primary_key=True),
        sa.Column("host", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("document", sa.LargeBinary, nullable=False),
        sa.Column("facts", sa.Text, nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
    )
    refuse_changes("object_revision")
