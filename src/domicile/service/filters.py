"""Network filters: define, change while in use, undefine. Part of the service."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from domicile.base.errors import OPERATION_FAILED, Conflict, DomicileError, WrongState
from domicile.filters import document, stock
from domicile.filters.document import FROM_NWFILTER, NO_NWFILTER
from domicile.filters.instance import check_loop
from domicile.filters.model import Filter
from domicile.service.filter_bindings import FilterBindings
from domicile.service.objects import Kind, Object, Objects
from domicile.store.values import Author

if TYPE_CHECKING:
    from domicile.service.service import Service

log = structlog.get_logger(__name__)
KIND = Kind("nwfilter", "nwfilter", NO_NWFILTER, FROM_NWFILTER, document.read_stored, document.write)
NwFilter = Object[Filter]
_DAEMON = Author("root", "domiciled", "")


class Filters:
    """All network filters of this daemon, and the interfaces they are on."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.all: Objects[Filter] = Objects(KIND, service.store, service.in_store)
        self.bindings = FilterBindings(service, self.find)
        self._changing = asyncio.Lock()

    def find(self, name: str) -> Filter | None:
        """Give a filter's definition by its name, None where there is none."""
        found = self.all.named(name)
        return found.definition if found is not None else None

    def xml(self, found: NwFilter) -> str:
        """Give a filter's document."""
        return document.write(found.definition)

    async def define(self, xml: str, author: Author, *, strict: bool = False) -> NwFilter:
        """Store a definition; where it is in use, all interfaces that use it pass its new rules, or nothing changes.

        Raises:
            InvalidDocument, Conflict, InvalidRequest: it cannot be.
            DomicileError: an interface that uses it could not.
        """
        made = document.complete_text(xml, strict=strict)
        name, uuid = made.name or "", made.uuid or ""
        async with self._changing:
            self._unclaimed(name, uuid)
            check_loop(made, self.find)
            users = self.bindings.users(name)

            def find(other: str) -> Filter | None:
                return made if other == name else self.find(other)

            if users:
                await asyncio.to_thread(self.bindings.renew, users, find)
            try:
                return await self.all.define(made, uuid, name, xml, author)
            except BaseException:
                if users:
                    await asyncio.to_thread(self.bindings.renew, users, self.find)
                raise

    def _unclaimed(self, name: str, uuid: str) -> None:
        same = self.all.get(uuid)
        if same is not None and same.name != name:
            words = f"filter with same UUID but different name ('{same.name}') already exists"
            raise Conflict(words, code=OPERATION_FAILED, domain=FROM_NWFILTER)
        other = self.all.named(name)
        if other is not None and other.uuid != uuid:
            words = f"filter '{name}' already exists with uuid {other.uuid}"
            raise Conflict(words, code=OPERATION_FAILED, domain=FROM_NWFILTER)

    async def undefine(self, found: NwFilter, author: Author) -> None:
        """Take a definition out of service; its history stays. Raises: WrongState where an interface uses it."""
        async with self._changing:
            if self.bindings.users(found.name):
                raise WrongState("nwfilter is in use", domain=FROM_NWFILTER)
            await self.all.undefine(found, author)

    # The daemon's life.

    async def begin(self) -> None:
        """Take in all filters; a new database gets those that people know by name."""
        await self.all.begin()
        if not len(self.all) and not await self._service.in_store(self._service.store.has_objects, KIND.tag):
            made = [(text, document.complete_text(text)) for text in stock.documents()]
            rows = [(one.uuid or "", one.name or "", text, document.write(one)) for text, one in made]
            await self._service.in_store(self._service.store.define_objects, KIND.tag, rows, _DAEMON)
            await self.all.begin()

    async def adopt(self) -> None:
        """Find the interfaces of machines that run again, once the machines were found."""
        try:
            await self.bindings.begin()
        except DomicileError as error:
            log.error("filters could not be taken over", reason=error.message)
