"""The indexes of the tables, for Alembic and for the test that compares them with what the migrations make.

Imported by migrations/env.py alone: naming PostgreSQL's settings loads its dialect, which no query needs (30 ms).
"""

from __future__ import annotations

from sqlalchemy import Index, text

from domicile.store import tables
from domicile.store.past import LIFE

Index("domain_uuid", tables.domain.c.uuid, unique=True)
Index(
    "domain_live_name",
    tables.domain.c.name,
    unique=True,
    sqlite_where=text("undefined_at IS NULL"),
    postgresql_where=text("undefined_at IS NULL"),
)
Index(
    "domain_undefined_name",
    tables.domain.c.name,
    sqlite_where=text("undefined_at IS NOT NULL"),
    postgresql_where=text("undefined_at IS NOT NULL"),
)
Index(
    "domain_stale_leaves",
    tables.domain.c.id,
    sqlite_where=text("leaf_head <> head"),
    postgresql_where=text("leaf_head <> head"),
)
Index("revision_domain_n", tables.revision.c.domain, tables.revision.c.n, unique=True)
Index("object_uuid", tables.object_.c.kind, tables.object_.c.uuid, unique=True)
Index(
    "object_live_name",
    tables.object_.c.kind,
    tables.object_.c.name,
    unique=True,
    sqlite_where=text("undefined_at IS NULL"),
    postgresql_where=text("undefined_at IS NULL"),
)
Index("object_revision_object_n", tables.object_revision.c.object, tables.object_revision.c.n, unique=True)
Index("image_use_image", tables.image_use.c.image)
Index("image_use_host", tables.image_use.c.host)
Index("fact_kind_value", tables.fact.c.kind, tables.fact.c.value)
Index("leaf_pair_path_number", tables.leaf_pair.c.path_id, tables.leaf_pair.c.number)
Index("revision_domain_at", tables.revision.c.domain, tables.revision.c.at, tables.revision.c.n)
Index(
    "action_life",
    tables.action.c.uuid,
    tables.action.c.at,
    tables.action.c.id,
    sqlite_where=text(LIFE),
    postgresql_where=text(LIFE),
)
Index("machine_host", tables.machine.c.host)
Index(
    "claim_host",
    tables.claim.c.host,
    sqlite_where=text("host IS NOT NULL"),
    postgresql_where=text("host IS NOT NULL"),
)
Index("action_uuid", tables.action.c.uuid, tables.action.c.id)

metadata = tables.metadata
