"""The first schema: domains, revisions, projections, machines, claims, the action log."""

import sqlalchemy as sa
from alembic import op

from domicile.store.migrations.append_only import refuse_changes

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")
APPEND_ONLY = ("revision", "action")


def upgrade() -> None:
    _definitions()
    _projections()
    _running()
    _actions()
    for table in APPEND_ONLY:
        refuse_changes(table)


def _definitions() -> None:
    op.create_table(
        "domain",
        sa.Column("id", KEY, primary_key=True),
        sa.Column("uuid", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("head", sa.Integer, nullable=False),
        sa.Column("leaf_head", sa.Integer, nullable=False),
        sa.Column("autostart", sa.Boolean, nullable=False),
        sa.Column("undefined_at", sa.BigInteger),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("summary", sa.Text, nullable=False),
    )
    op.create_index("domain_uuid", "domain", ["uuid"], unique=True)
    live = sa.text("undefined_at IS NULL")
    op.create_index("domain_live_name", "domain", ["name"], unique=True, sqlite_where=live, postgresql_where=live)
    gone = sa.text("undefined_at IS NOT NULL")
    op.create_index("domain_undefined_name", "domain", ["name"], sqlite_where=gone, postgresql_where=gone)
    stale = sa.text("leaf_head <> head")
    op.create_index("domain_stale_leaves", "domain", ["id"], sqlite_where=stale, postgresql_where=stale)
    op.create_table(
        "revision",
        sa.Column("id", KEY, primary_key=True),
        sa.Column("domain", KEY, sa.ForeignKey("domain.id", name="revision_domain_fk"), nullable=False),
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
    op.create_index("revision_domain_n", "revision", ["domain", "n"], unique=True)


def _projections() -> None:
    op.create_table(
        "fact",
        sa.Column("domain", KEY, sa.ForeignKey("domain.id", name="fact_domain_fk"), primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, primary_key=True),
        sa.Column("path", sa.Text, primary_key=True),
        sqlite_with_rowid=False,
    )
    op.create_index("fact_kind_value", "fact", ["kind", "value"])
    op.create_table(
        "leaf_path",
        sa.Column("id", KEY, primary_key=True, autoincrement=False),
        sa.Column("path", sa.Text, nullable=False),
    )
    op.create_table(
        "leaf_pair",
        sa.Column("id", KEY, primary_key=True, autoincrement=False),
        sa.Column("path_id", sa.BigInteger, nullable=False),
        sa.Column("number", sa.Float),
        sa.Column("value", sa.Text, nullable=False),
    )
    op.create_index("leaf_pair_path_number", "leaf_pair", ["path_id", "number"])
    owner = sa.ForeignKey("domain.id", name="leaf_domain_fk")
    op.create_table(
        "leaf",
        sa.Column("pair", KEY, primary_key=True, autoincrement=False),
        sa.Column("domain", KEY, owner, primary_key=True, autoincrement=False),
        sqlite_with_rowid=False,
    )


def _running() -> None:
    op.create_table(
        "machine",
        sa.Column("uuid", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("revision", sa.Integer),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("start_time", sa.BigInteger, nullable=False),
        sa.Column("directory", sa.Text, nullable=False),
        sa.Column("live_xml", sa.LargeBinary, nullable=False),
        sa.Column("facts", sa.Text, nullable=False),
        sa.Column("state", sa.Integer, nullable=False),
        sa.Column("reason", sa.Integer, nullable=False),
        sa.Column("observed_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "host",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("registered_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "claim",
        sa.Column("uuid", sa.Text, primary_key=True),
        sa.Column("host", sa.Text, sa.ForeignKey("host.name", name="claim_host_fk")),
        sa.Column("generation", sa.BigInteger, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )


def _actions() -> None:
    op.create_table(
        "action",
        sa.Column("id", KEY, primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("verb", sa.Text, nullable=False),
        sa.Column("uuid", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("author_user", sa.Text, nullable=False),
        sa.Column("author_client", sa.Text, nullable=False),
        sa.Column("author_command", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
    )
    op.create_index("action_uuid", "action", ["uuid", "id"])
