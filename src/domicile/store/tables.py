"""The tables as SQLAlchemy knows them; the migrations make them (a test holds both to be equal). Indexes: indexes.py.

Used by the other modules of the store. Times are microseconds since 1970 in UTC, exact and the same everywhere.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)

metadata = MetaData()
BigKey = BigInteger().with_variant(Integer, "sqlite")

# A live domain has `undefined_at` NULL; its history stays when it is set. `leaf_head` is the revision its leaves show.
domain = Table(
    "domain",
    metadata,
    Column("id", BigKey, primary_key=True),
    Column("uuid", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("head", Integer, nullable=False),
    Column("leaf_head", Integer, nullable=False),
    Column("autostart", Boolean, nullable=False),
    Column("undefined_at", BigInteger),
    Column("owner", Text, nullable=False),
    Column("summary", Text, nullable=False),
)


def _version() -> list[Column[Any]]:
    """Make the columns of one version of something: what it is, who made it, and its texts."""
    words = ("author_user", "author_client", "author_command", "why")
    return [
        Column("n", Integer, nullable=False),
        Column("kind", Text, nullable=False),
        Column("name", Text, nullable=False),
        Column("at", BigInteger, nullable=False),
        *(Column(word, Text, nullable=False) for word in words),
        Column("parent", Integer, nullable=False),
        Column("document", LargeBinary, nullable=False),
    ]


# Append-only: triggers refuse UPDATE and DELETE. `document` holds the three texts, see document.py.
revision = Table(
    "revision",
    metadata,
    Column("id", BigKey, primary_key=True),
    Column("domain", BigKey, ForeignKey("domain.id", name="revision_domain_fk"), nullable=False),
    *_version(),
)

# Projection of the head: what domains are looked up by. Always written in the definition's own transaction.
fact = Table(
    "fact",
    metadata,
    Column("domain", BigKey, ForeignKey("domain.id", name="fact_domain_fk"), primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("value", Text, primary_key=True),
    Column("path", Text, primary_key=True),
    sqlite_with_rowid=False,
)

# Projection of every leaf as an inverted index: path → pair (path and value) → domains. The ids of paths and pairs are
# hashes of what they stand for, so no daemon needs to ask before it writes.
leaf_path = Table(
    "leaf_path",
    metadata,
    Column("id", BigKey, primary_key=True, autoincrement=False),
    Column("path", Text, nullable=False),
)
leaf_pair = Table(
    "leaf_pair",
    metadata,
    Column("id", BigKey, primary_key=True, autoincrement=False),
    Column("path_id", BigInteger, nullable=False),
    Column("number", Float),
    Column("value", Text, nullable=False),
)
leaf = Table(
    "leaf",
    metadata,
    Column("pair", BigKey, primary_key=True, autoincrement=False),
    Column("domain", BigKey, ForeignKey("domain.id", name="leaf_domain_fk"), primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

# What runs, and what was last seen of it. Keyed by uuid: a transient machine has no row in domain.
machine = Table(
    "machine",
    metadata,
    Column("uuid", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("id", Integer, nullable=False),
    Column("host", Text, nullable=False),
    Column("revision", Integer),
    Column("pid", Integer, nullable=False),
    Column("start_time", BigInteger, nullable=False),
    Column("directory", Text, nullable=False),
    Column("live_xml", LargeBinary, nullable=False),
    Column("facts", Text, nullable=False),
    Column("state", Integer, nullable=False),
    Column("reason", Integer, nullable=False),
    Column("observed_at", BigInteger, nullable=False),
)

# The last transaction of each connection to a PostgreSQL, by which its outcome is known when the answer was lost.
outcome = Table(
    "outcome",
    metadata,
    Column("id", Text, primary_key=True),
    Column("n", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
)

host = Table(
    "host",
    metadata,
    Column("name", Text, primary_key=True),
    Column("registered_at", BigInteger, nullable=False),
    # By the database's clock. `facts` is JSON: what the host is called and has.
    Column("seen_at", BigInteger, nullable=False, server_default="0"),
    Column("facts", Text, nullable=False, server_default="{}"),
)

# The right to run a domain: `host` is NULL when nobody holds it; `generation` never goes back.
claim = Table(
    "claim",
    metadata,
    Column("uuid", Text, primary_key=True),
    Column("host", Text, ForeignKey("host.name", name="claim_host_fk")),
    Column("generation", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
)

# The images that running machines and works on volumes have: `image` identifies one on all hosts that reach it.
image_use = Table(
    "image_use",
    metadata,
    Column("holder", Text, primary_key=True),
    Column("host", Text, primary_key=True),
    Column("image", Text, primary_key=True),
    *(Column(word, Text, nullable=False) for word in ("host_name", "name", "work", "path")),
    Column("written", Boolean, nullable=False),
    Column("shared", Boolean, nullable=False),
    Column("at", BigInteger, nullable=False),
)

# Networks, storage pools, secrets, filters: definitions of other kinds, `kind` is libvirt's element name.
object_ = Table(
    "object",
    metadata,
    Column("id", BigKey, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("uuid", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("head", Integer, nullable=False),
    Column("autostart", Boolean, nullable=False),
    Column("undefined_at", BigInteger),
    Column("owner", Text, nullable=False),
)

# Append-only, like revision.
object_revision = Table(
    "object_revision",
    metadata,
    Column("id", BigKey, primary_key=True),
    Column("object", BigKey, ForeignKey("object.id", name="object_revision_fk"), nullable=False),
    *_version(),
)

# What of them is active on a host; a transient one has no row in object. `facts` is the driver's own JSON.
active_object = Table(
    "active_object",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("uuid", Text, primary_key=True),
    Column("host", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("document", LargeBinary, nullable=False),
    Column("facts", Text, nullable=False),
    Column("since", BigInteger, nullable=False),
)

# Snapshots and checkpoints, by the domain's uuid: a transient machine has them, too. `facts` is what lists ask for.
snapshot = Table(
    "snapshot",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("domain", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("parent", Text, nullable=False),
    Column("current", Boolean, nullable=False),
    Column("facts", Text, nullable=False),
    Column("document", LargeBinary, nullable=False),
)

# Append-only, like revision.
action = Table(
    "action",
    metadata,
    Column("id", BigKey, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("verb", Text, nullable=False),
    Column("uuid", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("author_user", Text, nullable=False),
    Column("author_client", Text, nullable=False),
    Column("author_command", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("detail", Text, nullable=False),
)
