"""The one way of changing a domain: checked as a whole, stored as its next revision, then done to the running machine.

The front doors' handlers call `Changes.apply` with what to change; what stays half done is taken back.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

from domicile.base.errors import DomicileError, InvalidDocument, WrongState
from domicile.base.problem import Problem
from domicile.devices.controller import Controller
from domicile.devices.interface import Interface
from domicile.devices.parts.chardev import CharDevice
from domicile.devices.parts.device import Device
from domicile.domain import document
from domicile.domain.complete import complete
from domicile.domain.domain import Domain
from domicile.domain.edit import devices
from domicile.plan.capabilities import Capabilities
from domicile.qemu.monitor import DEADLINE
from domicile.runtime.machine import Machine
from domicile.schema import tree
from domicile.service import drafts
from domicile.service.entry import Entry, Live
from domicile.store.values import Author

if TYPE_CHECKING:
    from domicile.service.service import Service

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Running:
    """A running machine as a change sees it; `domain` is its document, changed together with the machine."""

    service: Service
    entry: Entry
    machine: Machine
    live: Live
    domain: Domain

    @property
    def caps(self) -> Capabilities:
        """What its QEMU can do. Raises: WrongState where that was never learnt."""
        if self.live.caps is None:
            raise WrongState(f"nothing is known of the QEMU that runs domain '{self.entry.name}'")
        return self.live.caps

    async def qmp(self, command: str, arguments: Mapping[str, Any] | None = None, deadline: float = DEADLINE) -> Any:
        """Ask QEMU, with a deadline."""
        return await self.machine.qmp(command, arguments, deadline)


Edit = Callable[[Domain], Any]
Act = Callable[[Running], Awaitable[Any]]


class Changes:
    """Changes of stored definitions and running machines. Part of the service."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def apply(
        self,
        entry: Entry,
        author: Author,
        *,
        live: bool,
        config: bool,
        stored: Edit,
        running: Edit | None = None,
        act: Act | None = None,
        bears: tuple[str, ...] = (),
    ) -> None:
        """Change what is stored (`stored` edits it), the running machine (`running` edits its document, `act` the machine), or both.

        Both are checked before anything changes. The definition goes first; where the machine then refuses, the definition is
        taken back. `running` is `stored` where nothing else is given. What was wrong with the definition before does not stand
        in the way, nor does what is wrong with the elements that it `bears`: the next start judges them.

        Raises:
            WrongState: it does not run, or has no stored definition.
            InvalidDocument: the changed definition is none; nothing was changed.
            DomicileError: whatever the edits and the machine refuse with.
        """
        service = self._service
        service.standing.demand()
        async with entry.changes():
            if live and (entry.live is None or entry.machine is None):
                raise WrongState("domain is not running")
            if config and not entry.persistent:
                raise WrongState("cannot change persistent config of a transient domain")
            draft = await self._draft(entry, stored, bears) if config else None
            state = self._running(entry, running or stored) if live else None
            before = entry.head
            same = entry.live is not None and entry.live.revision == before
            if draft is not None:
                await service.definitions.put(*draft, author)
            if state is not None:
                try:
                    if act is not None:
                        await act(state)
                except BaseException:
                    if draft is not None:
                        await self._take_back(entry, before, author)
                        if same and entry.live is not None:
                            entry.live.revision = entry.head
                    raise
                if draft is not None and same:
                    state.live.revision = entry.head
                await self.keep(state)

    async def store(self, entry: Entry, edit: Edit, author: Author) -> None:
        """Change the stored definition alone, for something that has happened already; the caller holds the entry's lock.

        What was wrong with the definition before stays as wrong as it was. A running machine that had this definition has
        the new one, too. Raises: InvalidDocument.
        """
        if not entry.persistent:
            return
        same = entry.live is not None and entry.live.revision == entry.head
        await self._service.definitions.put(*await self._draft(entry, edit, ()), author)
        if same and entry.live is not None:
            entry.live.revision = entry.head

    async def judge(self, entry: Entry, device: Device, *, config: bool) -> None:
        """Look at a device that no domain can be given or deprived of alone: what is wrong with it is said first.

        Raises: InvalidDocument
        """
        if not isinstance(device, Controller):
            await self._alone(entry, tree.copy(device), config=config, bears=lambda problem: False)

    async def normal(self, entry: Entry, device: Device, *, config: bool, strict: bool = True) -> Device:
        """Give a device with what its owner left open filled in, but no name, place or MAC address that was not given.

        Raises: InvalidDocument where it says what no device can be, and that is looked at (`strict`).
        """
        filled: Device = tree.copy(device)
        if isinstance(device, Controller):
            return filled
        filled.address, own = None, f"devices/{device.shape.tag}"
        await self._alone(entry, filled, config=config, bears=lambda p: not strict or not p.path.startswith(own))
        if isinstance(filled, CharDevice) and isinstance(device, CharDevice):
            return device
        filled.address, filled.alias, filled.boot = device.address, device.alias, device.boot
        if isinstance(filled, Interface) and isinstance(device, Interface):
            filled.mac = device.mac
        return filled

    async def _alone(self, entry: Entry, device: Device, *, config: bool, bears: Callable[[Problem], bool]) -> None:
        """Complete a copy of a domain in which the device is the only one of its family; it is filled in, too."""
        service = self._service
        domain = service.domain(entry, inactive=config)
        devices.siblings(domain, device)[:] = [device]
        await service.emulators.ensure_for(domain)
        complete(domain, service.host, service.emulators.find, borne=bears)

    async def keep(self, state: Running) -> None:
        """Show and store a running machine's changed document, unless it ended meanwhile."""
        if state.entry.live is not state.live:
            return
        state.live.xml = document.write(state.domain)
        state.live.summary = drafts.summary(state.domain)
        await self._service.machines.keep(state.entry)
        self._service.applying.look(state.entry)

    def running(self, entry: Entry) -> Running:
        """Give a running machine with its document, read. Raises: WrongState."""
        return self._running(entry, None)

    def _running(self, entry: Entry, edit: Edit | None) -> Running:
        if entry.live is None or entry.machine is None:
            raise WrongState("domain is not running")
        domain = document.read_stored(entry.live.xml)
        if edit is not None:
            edit(domain)
        return Running(self._service, entry, entry.machine, entry.live, domain)

    async def _draft(self, entry: Entry, edit: Edit, bears: tuple[str, ...]) -> tuple[Any, Any]:
        service = self._service
        domain = service.domain(entry, inactive=True)
        await service.emulators.ensure_for(domain)
        edit(domain)
        try:
            done = complete(domain, service.host, service.emulators.find)
        except InvalidDocument:
            domain = service.domain(entry, inactive=True)
            known = self._known(domain)
            domain = service.domain(entry, inactive=True)
            edit(domain)
            done = complete(
                domain,
                service.host,
                service.emulators.find,
                borne=lambda p: (p.path, p.message) in known or p.path.startswith(bears or ("//",)),
            )
        return drafts.draft(document.write(domain), done), done

    def _known(self, domain: Domain) -> set[tuple[str, str]]:
        """List what was wrong with a definition before it was changed."""
        try:
            complete(domain, self._service.host, self._service.emulators.find)
        except InvalidDocument as fault:
            return {(problem.path, problem.message) for problem in fault.problems}
        return set()

    async def _take_back(self, entry: Entry, revision: int, author: Author) -> None:
        try:
            why = f"the running machine could not follow; back to revision {revision}"
            await self._service.definitions.rollback(entry, revision, author, why)
        except DomicileError as fault:
            log.error("definition not taken back", domain=entry.name, revision=revision, reason=fault.message)
