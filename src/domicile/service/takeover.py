"""The machines over the daemon's own life: taken over at its start, started with the host, let go at its end.

Part of the service; `service.Service.begin` and the daemon's wiring call it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from domicile.base.errors import DomicileError
from domicile.domain import document
from domicile.domain.domain import Domain
from domicile.host import macvtap
from domicile.runtime import reattach as finding
from domicile.runtime.machine import Machine
from domicile.runtime.record import Record, left_behind, newest
from domicile.runtime.states import Shutoff, State
from domicile.service import block_ending, drafts, launching, live_net
from domicile.service.entry import Entry, Live
from domicile.service.ports import mark_of
from domicile.store.values import Author, MachineRecord

if TYPE_CHECKING:
    from domicile.service.service import Service

log = structlog.get_logger(__name__)


class Takeover:
    """The use-cases about machines that an earlier daemon started."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def reattach(self) -> None:
        """Take over every machine an earlier daemon left running, all at once."""
        service = self._service
        for uuid in await asyncio.to_thread(launching.marks, service.paths.starts_once):
            entry = service.registry.get(uuid)
            if entry is not None:
                entry.autostart_once = True
        records = await service.in_store(service.store.get_machines, self._service.machines.host)
        for claim in await service.in_store(service.store.claims_held_by, self._service.machines.host):
            self._service.machines.claims[claim.uuid] = claim
        found = {r.uuid: (Record.from_json(r.facts["record"]), r) for r in records}
        for left in left_behind(service.paths.machines):
            if left.uuid not in found:
                log.warning("machine unknown to the database taken over", domain=left.name)
                found[left.uuid] = (
                    left,
                    MachineRecord(left.uuid, left.name, left.id, left.pid, left.start_time, left.directory, ""),
                )
        for pid in await asyncio.to_thread(finding.end_unrecorded, service.paths.machines):
            log.warning("ended a QEMU that was launched but never recorded", pid=pid)
        kept = {link.name for record, _ in found.values() for link in (await asyncio.to_thread(newest, record)).links}
        for name in await asyncio.to_thread(macvtap.sweep, mark_of(service.machines.host), kept) if service.host.privileged else ():
            log.warning("removed a macvtap that no machine has", device=name)
        await asyncio.gather(*(self._take_over(record, known) for record, known in found.values()))
        running = [entry.uuid for entry in service.registry if entry.machine is not None]
        for device in await asyncio.to_thread(service.resources.lending.sweep, running):
            log.warning("gave back a device that no machine has", device=device)
        await service.images.sweep(entry.uuid for entry in service.registry if entry.machine is not None)
        for uuid in [u for u in self._service.machines.claims if u not in found]:
            await self._service.machines.release(uuid)

    async def _take_over(self, record: Record, known: MachineRecord) -> None:
        service = self._service
        record = await asyncio.to_thread(newest, record)
        entry = service.registry.get(record.uuid)
        if entry is None:
            entry = service.registry.add(Entry(record.uuid, record.name))
        xml = known.live_xml or (service.xml(entry, inactive=True, secrets=True) if entry.persistent else "")
        running = document.read_stored(xml) if xml else Domain(name=record.name, uuid=record.uuid)
        arguments = [(list(words), origin) for words, origin in known.facts.get("arguments", [])]
        await service.emulators.ensure_for(running)
        caps = service.emulators.find_for(running)
        entry.live = Live(xml, known.revision or 0, drafts.summary(running), arguments, caps)
        entry.live.remember(known.facts)
        service.registry.run(entry, record.id)
        entry.state, entry.reason, entry.since = record.state, record.reason, record.since
        try:
            machine = await finding.reattach(
                record, service.resources, service.machines.listener(entry), dumper=service.saves.dump_crashed
            )
        except DomicileError as error:
            log.error("machine cannot be taken over", domain=record.name, reason=error.message)
            machine = None
        if machine is not None and not machine.over:
            entry.machine = machine
            await service.saves.tidy(entry, machine, record)
            await self._settle_moves(entry, machine, record)
        else:
            service.saves.tidy_gone(record)
        if machine is not None and not machine.over:
            entry.state, entry.reason, entry.since = int(machine.state), machine.reason, machine.since
            await service.agents.look(entry)
            await service.machines.claim_images(entry)
            try:
                await block_ending.take_up(service, entry)
            except DomicileError as error:
                log.error("block jobs not taken up", domain=entry.name, reason=error.message)
            service.networks.ports.adopt(running)
            await live_net.promise_all(service, running)
            service.backups.take_up(entry)
            return
        if entry.live is not None:
            entry.state, entry.reason = State.SHUTOFF, Shutoff.UNKNOWN
            self._service.machines.ended(entry)
            if not entry.persistent:
                service.registry.remove(entry)

    async def _settle_moves(self, entry: Entry, machine: Machine, record: Record) -> None:
        """Settle migrations that an earlier daemon had begun; in both directions, the guest runs at one place alone."""
        service = self._service
        try:
            if record.arriving is not None and not machine.over:
                await service.arrivals.settle_found(entry, machine, record)
            elif record.leaving is not None and not machine.over:
                await service.departures.doubts.settle_found(entry, machine, record)
        except DomicileError as error:
            log.error("a migration cannot be settled", domain=entry.name, reason=error.message)

    async def autostart(self, author: Author) -> None:
        """Start what should start with the host, once for each boot of the host."""
        await self._service.networks.autostart()
        if not await asyncio.to_thread(launching.first_of_boot, self._service.paths.run / "autostarted"):
            return
        for entry in list(self._service.registry):
            once = entry.autostart_once
            if once:
                # Before the start: whatever becomes of it, it was this boot's.
                await self._service.definitions.set_autostart_once(entry, False, author)
            if (entry.autostart or once) and not entry.active:
                try:
                    await self._service.start(entry, author)
                except DomicileError as error:
                    log.error("autostart failed", domain=entry.name, reason=error.message)

    async def detach(self) -> None:
        """Let go of all machines; they go on."""
        await asyncio.gather(*(e.machine.detach() for e in self._service.registry if e.machine is not None))
