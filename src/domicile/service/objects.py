"""Networks, storage pools, secrets and filters as the daemon knows them in memory, and how they are stored.

`networks`, `pools`, … each keep one `Objects`; the front doors read them. Lists are answered from memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, ParamSpec, Protocol, TypeVar

from domicile.base import ids
from domicile.base.errors import OPERATION_FAILED, OPERATION_INVALID, Conflict, NotFound, WrongState
from domicile.store.store import Store
from domicile.store.values import ActiveObject, Author, Revision

M = TypeVar("M")
P = ParamSpec("P")
R = TypeVar("R")


class InStore(Protocol):
    """Runs one unit of work of the store in its thread."""

    def __call__(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> Awaitable[R]:
        """Run it."""


@dataclass(frozen=True, slots=True)
class Kind(Generic[M]):
    """What tells one kind of object from another: its names, libvirt's numbers of its errors, its reader and writer."""

    tag: str
    noun: str
    missing: int
    domain: int
    read: Callable[[str], M]
    write: Callable[[M], str]


@dataclass(slots=True, eq=False)
class Object(Generic[M]):
    """One network, pool, secret or filter.

    `head` is the stored revision's number, 0 for one that is only active; `stored` its definition; `live` the document it
    is active with, None while it is not; `facts` are the driver's own, kept for a later daemon; `ref` is the front door's.
    """

    uuid: str
    name: str
    head: int = 0
    autostart: bool = False
    stored: M | None = None
    live: M | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    ref: Any = None

    @property
    def persistent(self) -> bool:
        """Whether it stays when it stops."""
        return self.head > 0

    @property
    def active(self) -> bool:
        """Whether it is active."""
        return self.live is not None

    @property
    def document(self) -> M:
        """The document that counts now: the live one where it is active."""
        found = self.live if self.live is not None else self.stored
        assert found is not None
        return found

    @property
    def definition(self) -> M:
        """The stored document, the live one of a transient object."""
        found = self.stored if self.stored is not None else self.live
        assert found is not None
        return found


class Objects(Generic[M]):
    """All objects of one kind."""

    def __init__(self, kind: Kind[M], store: Store, in_store: InStore) -> None:
        self.kind = kind
        self._store, self._in_store = store, in_store
        self._uuid: dict[str, Object[M]] = {}
        self._name: dict[str, Object[M]] = {}
        self._listeners: list[Callable[[Object[M], int, int], None]] = []

    def __iter__(self) -> Iterator[Object[M]]:
        return iter(list(self._uuid.values()))

    def __len__(self) -> int:
        return len(self._uuid)

    # Finding.

    def get(self, uuid: str) -> Object[M] | None:
        """Find by uuid, None where there is none."""
        return self._uuid.get(uuid)

    def named(self, name: str) -> Object[M] | None:
        """Find by name, None where there is none."""
        return self._name.get(name)

    def by_uuid(self, uuid: str, name: str = "") -> Object[M]:
        """Find by uuid; a name given is only for the message. Raises: NotFound."""
        found = self._uuid.get(uuid)
        if found is None:
            also = f" ({name})" if name else ""
            raise self._missing(f"no {self.kind.noun} with matching uuid '{uuid}'{also}")
        return found

    def by_name(self, name: str) -> Object[M]:
        """Find by name. Raises: NotFound."""
        found = self._name.get(name)
        if found is None:
            raise self._missing(f"no {self.kind.noun} with matching name '{name}'")
        return found

    def find(self, key: str) -> Object[M]:
        """Find by name or uuid as people write them. Raises: NotFound."""
        uuid = ids.parse_uuid(key)
        if key not in self._name and uuid in self._uuid:
            return self._uuid[uuid]
        return self.by_name(key)

    def _missing(self, words: str) -> NotFound:
        return NotFound(words, code=self.kind.missing, domain=self.kind.domain)

    # Changing what is stored.

    def unclaimed(self, uuid: str, name: str, *, active: bool = False) -> None:
        """Refuse a name or uuid that another has; `active` also refuses one that is active already.

        Raises:
            Conflict: it is taken.
            WrongState: it is active already.
        """
        noun, domain = self.kind.noun, self.kind.domain
        same = self._uuid.get(uuid)
        if same is not None and same.name != name:
            words = f"{noun} '{same.name}' is already defined with uuid {uuid}"
            raise Conflict(words, code=OPERATION_FAILED, domain=domain)
        other = self._name.get(name)
        if other is not None and other.uuid != uuid:
            words = f"{noun} '{name}' already exists with uuid {other.uuid}"
            raise Conflict(words, code=OPERATION_FAILED, domain=domain)
        if active and same is not None and same.active:
            raise WrongState(f"{noun} is already active as '{name}'", code=OPERATION_INVALID, domain=domain)

    async def define(self, made: M, uuid: str, name: str, authored: str, author: Author, why: str = "") -> Object[M]:
        """Store a definition; what is active stays as it is. Raises: Conflict."""
        self.unclaimed(uuid, name)
        text = self.kind.write(made)
        revision = await self._in_store(
            self._store.define_object, self.kind.tag, uuid, name, authored, text, author, why
        )
        found = self._uuid.get(uuid) or self.take_in(Object(uuid, name))
        found.head, found.stored = revision.n, made
        return found

    async def undefine(self, found: Object[M], author: Author, why: str = "") -> None:
        """Take a definition out of service; its history stays, and what is active goes on. Raises: WrongState."""
        if not found.persistent:
            raise WrongState(f"{self.kind.noun} '{found.name}' is not persistent", domain=self.kind.domain)
        await self._in_store(self._store.undefine_object, self.kind.tag, found.uuid, author, why)
        found.head, found.stored, found.autostart = 0, None, False
        if not found.active:
            self.let_go(found)

    async def set_autostart(self, found: Object[M], on: bool) -> None:
        """Say whether the daemon makes it active by itself. Raises: WrongState."""
        if not found.persistent:
            words = f"cannot set autostart for transient {self.kind.noun}"
            raise WrongState(words, domain=self.kind.domain)
        await self._in_store(self._store.set_object_autostart, self.kind.tag, found.uuid, on)
        found.autostart = on

    async def history(self, key: str) -> list[Revision]:
        """List the revisions, also of one that is no longer defined. Raises: NotFound."""
        return await self._in_store(self._store.object_history, self.kind.tag, key)

    # What is active.

    def take_in(self, found: Object[M]) -> Object[M]:
        """Know an object from now on."""
        self._uuid[found.uuid] = self._name[found.name] = found
        return found

    def let_go(self, found: Object[M]) -> None:
        """Know an object no longer."""
        self._uuid.pop(found.uuid, None)
        if self._name.get(found.name) is found:
            del self._name[found.name]

    async def keep_active(self, found: Object[M], live: M, facts: Mapping[str, Any]) -> None:
        """Note that an object is active, with this document, in memory and for a later daemon."""
        text = self.kind.write(live)
        await self._in_store(self._store.put_active, ActiveObject(self.kind.tag, found.uuid, found.name, text, facts))
        found.live, found.facts = live, facts

    async def intend(self, found: Object[M], live: M, facts: Mapping[str, Any]) -> None:
        """Note for a later daemon alone that an object is being made active, so that it clears up what was half made."""
        text = self.kind.write(live)
        await self._in_store(self._store.put_active, ActiveObject(self.kind.tag, found.uuid, found.name, text, facts))

    async def drop_active(self, found: Object[M]) -> None:
        """Note that an object is active no longer; a transient one is gone with that."""
        await self._in_store(self._store.drop_active, self.kind.tag, found.uuid)
        found.live, found.facts = None, {}
        if not found.persistent:
            self.let_go(found)

    # Events and the daemon's life.

    def subscribe(self, listener: Callable[[Object[M], int, int], None]) -> None:
        """Call `listener` with (object, event, detail), in libvirt's numbers, for every lifecycle event."""
        self._listeners.append(listener)

    def tell(self, found: Object[M], event: int, detail: int = 0) -> None:
        """Tell all listeners."""
        for listener in self._listeners:
            listener(found, event, detail)

    async def begin(self) -> None:
        """Take in all definitions, and what an earlier daemon left active; its driver looks whether that is so."""
        for head in await self._in_store(self._store.objects, self.kind.tag):
            self.take_in(Object(head.uuid, head.name, head.n, head.autostart, self.kind.read(head.document)))
        for known in await self._in_store(self._store.active_objects, self.kind.tag):
            found = self._uuid.get(known.uuid) or self.take_in(Object(known.uuid, known.name))
            found.live, found.facts = self.kind.read(known.document), known.facts
