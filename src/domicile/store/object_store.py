"""The part of the store's face about networks, pools, secrets and filters. Part of `store.Store`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from domicile.store import objects
from domicile.store.engine import Database
from domicile.store.values import ActiveObject, Author, ObjectHead, Revision


class StoredObjects:
    """All that Domicile knows of definitions of other kinds; `kind` is libvirt's element name."""

    _database: Database
    host: str

    def define_object(
        self, kind: str, uuid: str, name: str, authored: str, completed: str, author: Author, why: str = ""
    ) -> Revision:
        """Store a definition as its object's next revision. Raises: Conflict where name or uuid are another's."""
        with self._database.write() as connection:
            return objects.define(connection, kind, uuid, name, authored, completed, author, why)

    def define_objects(self, kind: str, rows: Sequence[tuple[str, str, str, str]], author: Author) -> None:
        """Store several definitions at once, each as uuid, name, the author's text and the completed one. Raises: Conflict."""
        with self._database.write() as connection:
            for uuid, name, authored, completed in rows:
                objects.define(connection, kind, uuid, name, authored, completed, author, "")

    def has_objects(self, kind: str) -> bool:
        """Say whether anything of a kind was ever defined."""
        with self._database.read() as connection:
            return objects.ever(connection, kind)

    def undefine_object(self, kind: str, uuid: str, author: Author, why: str = "") -> Revision:
        """Take a definition out of service; its history stays. Raises: NotFound."""
        with self._database.write() as connection:
            return objects.undefine(connection, kind, uuid, author, why)

    def set_object_autostart(self, kind: str, uuid: str, on: bool) -> None:
        """Say whether the daemon makes it active by itself. Raises: NotFound."""
        with self._database.write() as connection:
            objects.set_autostart(connection, kind, uuid, on)

    def objects(self, kind: str) -> list[ObjectHead]:
        """Return all defined objects of a kind."""
        with self._database.read() as connection:
            return objects.heads(connection, kind)

    def object_history(self, kind: str, key: str) -> list[Revision]:
        """Return all revisions of an object, by uuid or name, the first one first. Raises: NotFound."""
        with self._database.read() as connection:
            return objects.history(connection, kind, key)

    def put_active(self, active: ActiveObject) -> None:
        """Keep what a later daemon must know of an active object."""
        with self._database.write() as connection:
            objects.put_active(connection, active if active.host else replace(active, host=self.host))

    def drop_active(self, kind: str, uuid: str, host: str = "") -> None:
        """Forget that an object is active on a host."""
        with self._database.write() as connection:
            objects.drop_active(connection, kind, uuid, host or self.host)

    def active_objects(self, kind: str, host: str = "") -> list[ActiveObject]:
        """Return what was active on a host."""
        with self._database.read() as connection:
            return objects.active(connection, kind, host or self.host)
