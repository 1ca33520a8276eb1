"""Secrets: what is defined, and the values of them for those who may have them. Part of the service."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from domicile.base import tasks
from domicile.base.errors import INTERNAL_ERROR, Conflict, Denied, InvalidRequest, NotFound
from domicile.secrets import secret as document
from domicile.secrets.secret import FROM_SECRET, INVALID_SECRET, NO_SECRET, Secret
from domicile.secrets.vault import Vault
from domicile.service.objects import Kind, Object, Objects
from domicile.store.values import Action, Author

if TYPE_CHECKING:
    from domicile.service.service import Service

DEFINED, UNDEFINED = 0, 1
"""Source: virSecretEventLifecycleType."""
VOLUME = 1
_LONGEST = 65_536
KIND = Kind("secret", "secret", NO_SECRET, FROM_SECRET, document.read_stored, document.write)


class NoValue(InvalidRequest):
    """An empty value; clients get these words without others in front."""

    domain = FROM_SECRET
    opening: ClassVar[str] = ""


class Secrets:
    """The use-cases about secrets. One that is ephemeral is kept in memory only, and so is its value."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.objects: Objects[Secret] = Objects(KIND, service.store, service.in_store)
        self._vault = Vault(service.paths.state / "secrets", service.paths.state / "secrets.key")
        self._values: dict[str, bytes] = {}
        self._changed: list[Callable[[Object[Secret]], None]] = []

    # Finding.

    def by_usage(self, kind: int, name: str) -> Object[Secret]:
        """Find a secret by what it is for. Raises: NotFound."""
        for found in self.objects:
            if found.definition.use == (kind, name):
                return found
        raise NotFound(f"no secret with matching usage '{name}'", code=NO_SECRET, domain=FROM_SECRET)

    def of_volume(self, path: str) -> str | None:
        """Give the UUID of the secret that is for an encrypted volume, None where there is none."""
        return next((found.uuid for found in self.objects if found.definition.use == (VOLUME, path)), None)

    def xml(self, found: Object[Secret]) -> str:
        """Write a secret's document."""
        return document.write(found.definition)

    # What is stored.

    async def define(self, xml: str, author: Author, *, strict: bool = False) -> Object[Secret]:
        """Store a definition; its value stays. Raises: SecretDocument, Conflict."""
        made = document.read(xml, strict=strict)
        uuid = made.uuid or ""
        same = self.objects.get(uuid)
        self._fits(made, same)
        if same is not None and same.definition.ephemeral != made.ephemeral:
            await self._move(same, ephemeral=bool(made.ephemeral), author=author)
        if made.ephemeral:
            found = same or self.objects.take_in(Object(uuid, uuid))
            found.stored = made
        else:
            found = await self.objects.define(made, uuid, uuid, xml, author)
        self.objects.tell(found, DEFINED)
        self._note("secret-define", found, author)
        return found

    def _fits(self, made: Secret, same: Object[Secret] | None) -> None:
        kind, name = made.use
        for other in self.objects:
            if kind and other is not same and other.definition.use == (kind, name):
                raise _taken(f"a secret with UUID {other.uuid} already defined for use with {name}")
        if same is None:
            return
        if same.definition.use != made.use:
            raise _taken(f"a secret with UUID {same.uuid} is already defined for use with {same.definition.use[1]}")
        if same.definition.private and not made.private:
            raise _taken("cannot change private flag on existing secret")

    async def _move(self, found: Object[Secret], *, ephemeral: bool, author: Author) -> None:
        """Take a value out of the vault into memory, or put it there."""
        value = await self._value(found)
        if ephemeral:
            if found.persistent:
                await self._service.in_store(self._service.store.undefine_object, KIND.tag, found.uuid, author, "")
                found.head = 0
            await asyncio.to_thread(self._vault.drop, found.uuid)
            if value is not None:
                self._values[found.uuid] = value
        else:
            if value is not None:
                await asyncio.to_thread(self._vault.put, found.uuid, value)
            self._values.pop(found.uuid, None)

    async def undefine(self, found: Object[Secret], author: Author) -> None:
        """Take a secret out of service; its value is forgotten. Raises: HostFailure."""
        async with found.lock:
            await asyncio.to_thread(self._vault.drop, found.uuid)
            self._values.pop(found.uuid, None)
            was = found.definition
            if found.persistent:
                await self.objects.undefine(found, author)
            else:
                self.objects.let_go(found)
            found.stored = was  # what is told of it says what it was for
        self.objects.tell(found, UNDEFINED)
        self._note("secret-undefine", found, author)

    # Values.

    async def set_value(self, found: Object[Secret], value: bytes, author: Author) -> None:
        """Keep a value. Raises: InvalidRequest, HostFailure."""
        if not value:
            raise NoValue("value in virSecretSetValue must not be NULL: a secret's value has at least one byte")
        if len(value) > _LONGEST:
            raise InvalidRequest(f"a secret's value has at most {_LONGEST} bytes", domain=FROM_SECRET)
        async with found.lock:
            if found.definition.ephemeral:
                self._values[found.uuid] = value
            else:
                await asyncio.to_thread(self._vault.put, found.uuid, value)
        for listener in self._changed:
            listener(found)
        self._note("secret-set-value", found, author)

    async def _value(self, found: Object[Secret]) -> bytes | None:
        if found.definition.ephemeral:
            return self._values.get(found.uuid)
        return await asyncio.to_thread(self._vault.get, found.uuid)

    async def get_value(self, found: Object[Secret]) -> bytes:
        """Give a value to a client. Raises: Denied, NotFound, HostFailure."""
        if found.definition.private:
            raise Denied("secret is private", code=INVALID_SECRET, domain=FROM_SECRET)
        return await self.value(found)

    async def value(self, found: Object[Secret]) -> bytes:
        """Give a value to the daemon itself. Raises: NotFound, HostFailure."""
        value = await self._value(found)
        if value is None:
            raise NotFound(f"secret '{found.uuid}' does not have a value", code=NO_SECRET, domain=FROM_SECRET)
        return value

    async def passphrase(self, uuid: str | None, usage: str | None, *, volume: bool = False) -> bytes:
        """Give the value that a document refers to by UUID or by the name of its use. Raises: NotFound, HostFailure."""
        if uuid:
            return await self.value(self.objects.by_uuid(uuid))
        if volume:
            return await self.value(self.by_usage(VOLUME, usage or ""))
        for found in self.objects:
            if found.definition.use[1] == usage and usage:
                return await self.value(found)
        raise NotFound(f"no secret with matching usage '{usage}'", code=NO_SECRET, domain=FROM_SECRET)

    def on_change(self, listener: Callable[[Object[Secret]], None]) -> None:
        """Call `listener` whenever a secret has another value."""
        self._changed.append(listener)

    def _note(self, verb: str, found: Object[Secret], author: Author) -> None:
        service, (_, name) = self._service, found.definition.use
        work = service.in_store(service.store.log, Action(verb, author, found.uuid, name, "done", {}))
        tasks.spawn(f"log of {verb} {found.uuid}", work)

    async def begin(self) -> None:
        """Take in all definitions."""
        await self.objects.begin()


def _taken(words: str) -> Conflict:
    return Conflict(words, code=INTERNAL_ERROR, domain=FROM_SECRET)
