"""Alembic's environment: how a database comes from one schema version to the next.

Loaded by `domicile.store.schema` only when a database is new or old.
"""
