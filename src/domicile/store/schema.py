"""The version of the schema: one SELECT says whether the database is as this Domicile needs it.

Called by `store.Store` when it opens. Alembic is imported only when the database is new or old.
"""

from __future__ import annotations

from sqlalchemy import Connection, inspect, text

from domicile.base.errors import HostFailure
from domicile.store.engine import Database

# The newest file in migrations/versions (a test holds both to be equal).
VERSION = "0007"
# Seconds an upgrade may take.
_LONG = 3600.0
# An arbitrary number: daemons that upgrade one PostgreSQL at once wait for each other on it.
_UPGRADE_LOCK = 0x444F4D49


def ensure(database: Database) -> None:
    """Bring the database to VERSION.

    Raises: HostFailure where a newer Domicile wrote it.
    """
    with database.read() as connection:
        if _version(connection, database.dialect) == VERSION:
            return
    with database.write(_LONG) as connection:
        if database.dialect == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _UPGRADE_LOCK})
        if _version(connection, database.dialect) != VERSION:
            _upgrade(connection)
    database.renew()


def version_of(database: Database) -> str | None:
    """Say which version a database has; None where it is new."""
    with database.read() as connection:
        return _version(connection, database.dialect)


def _version(connection: Connection, dialect: str) -> str | None:
    if dialect == "sqlite":
        found = connection.exec_driver_sql("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'")
        there = found.first() is not None
    else:
        there = inspect(connection).has_table("alembic_version")
    if not there:
        return None
    version = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return None if version is None else str(version)


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", "domicile.store:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, VERSION)
    except CommandError as error:
        raise HostFailure(f"the database's schema is not one this version of Domicile knows: {error}") from error
