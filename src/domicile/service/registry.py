"""All domains of this daemon, by uuid, name and id. Used by the service alone."""

from __future__ import annotations

from collections.abc import Iterator

from domicile.base import ids
from domicile.base.errors import Conflict, NotFound, WrongState
from domicile.service.entry import Entry
from domicile.store.values import Head


class Registry:
    """The domains in memory; lookups are single dictionary reads."""

    def __init__(self) -> None:
        self._uuid: dict[str, Entry] = {}
        self._name: dict[str, Entry] = {}
        self._id: dict[int, Entry] = {}
        self._next = 1

    def __iter__(self) -> Iterator[Entry]:
        return iter(list(self._uuid.values()))

    def __len__(self) -> int:
        return len(self._uuid)

    def add(self, entry: Entry) -> Entry:
        """Take a domain in."""
        self._uuid[entry.uuid] = entry
        self._name[entry.name] = entry
        if entry.id >= 0:
            self.run(entry, entry.id)
        return entry

    def remove(self, entry: Entry) -> None:
        """Let a domain go."""
        self._uuid.pop(entry.uuid, None)
        if self._name.get(entry.name) is entry:
            del self._name[entry.name]
        self.stop(entry)

    def rename(self, entry: Entry, name: str) -> None:
        """Call a domain by another name."""
        if self._name.get(entry.name) is entry:
            del self._name[entry.name]
        entry.name = name
        entry.ref = None
        self._name[name] = entry

    def renew(self, head: Head) -> Entry:
        """Take in a definition as the store has it now, where it is newer than what is known."""
        entry = self._uuid.get(head.uuid)
        if entry is None:
            return self.add(Entry(head.uuid, head.name, head.n, head.autostart, stored=head.summary_json))
        if head.n > entry.head:
            entry.head, entry.stored = head.n, head.summary_json
        if entry.name != head.name:
            self.rename(entry, head.name)
        return entry

    def new_id(self) -> int:
        """Give out the next id of a running domain."""
        number = self._next
        self._next += 1
        return number

    def run(self, entry: Entry, number: int) -> None:
        """Note that a domain runs under this id."""
        entry.id = number
        entry.ref = None
        self._id[number] = entry
        self._next = max(self._next, number + 1)

    def stop(self, entry: Entry) -> None:
        """Note that a domain no longer runs."""
        if entry.id >= 0:
            self._id.pop(entry.id, None)
        entry.id = -1
        entry.ref = None

    def by_uuid(self, uuid: str) -> Entry:
        """Find by uuid. Raises: NotFound."""
        entry = self._uuid.get(uuid)
        if entry is None:
            raise NotFound(f"no domain with matching uuid '{uuid}'")
        return entry

    def by_name(self, name: str) -> Entry:
        """Find by name. Raises: NotFound."""
        entry = self._name.get(name)
        if entry is None:
            raise NotFound(f"no domain with matching name '{name}'")
        return entry

    def by_id(self, number: int) -> Entry:
        """Find a running domain by id. Raises: NotFound."""
        entry = self._id.get(number)
        if entry is None:
            raise NotFound(f"no domain with matching id {number}")
        return entry

    def get(self, uuid: str) -> Entry | None:
        """Find by uuid, None where there is none."""
        return self._uuid.get(uuid)

    def named(self, name: str) -> Entry | None:
        """Find by name, None where there is none."""
        return self._name.get(name)

    def startable(self, uuid: str, name: str) -> Entry | None:
        """Find the entry of a domain that could be started, None where there is none.

        Raises: Conflict where another has its name or uuid; WrongState where it runs.
        """
        other, entry = self.named(name), self.get(uuid)
        if other is not None and other.uuid != uuid:
            raise Conflict(f"domain '{name}' already exists with uuid {other.uuid}")
        if entry is not None and entry.name != name:
            raise Conflict(f"domain '{entry.name}' is already defined with uuid {uuid}")
        if entry is not None and entry.active:
            raise WrongState(f"domain '{name}' is already active")
        return entry

    def find(self, key: str) -> Entry:
        """Find by id, name or uuid as people write them. Raises: NotFound."""
        if key in self._name:
            return self._name[key]
        uuid = ids.parse_uuid(key)
        if uuid is not None and uuid in self._uuid:
            return self._uuid[uuid]
        if key.isdigit() and int(key) in self._id:
            return self._id[int(key)]
        raise NotFound(f"no domain with the name, uuid or id '{key}'")
