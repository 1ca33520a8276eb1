"""Machines: starting, stopping and everything between, and finding them again. Part of the service."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import structlog

from domicile.base import tasks
from domicile.base.errors import DomicileError, Unsupported, WrongState
from domicile.domain import document, namespace
from domicile.domain.cpus import choose, verify
from domicile.domain.domain import Domain
from domicile.domain.plan import Plan, plan_domain
from domicile.domain.rules import unplanned
from domicile.host import cgroup, inspect
from domicile.plan.capabilities import Capabilities
from domicile.qemu import render
from domicile.runtime.machine import Machine, MachineEvent
from domicile.runtime.record import Record, forget
from domicile.runtime.start import Awaited, FromSnapshot, Incoming, MachineSpec
from domicile.runtime.start import start as start_machine
from domicile.runtime.states import Kind as Event
from domicile.runtime.states import Paused, Shutoff, State
from domicile.service import (
    disk_sources,
    drafts,
    happenings,
    launching,
    live_cpus,
    live_net,
    live_tuning,
    runs,
    sealing,
)
from domicile.service.entry import Entry, Live
from domicile.service.images_in_use import Use
from domicile.service.ports import mark_of, plugged
from domicile.store.values import Action, Author, Claim, ImageUse, MachineRecord

if TYPE_CHECKING:
    from domicile.service.service import Service

log = structlog.get_logger(__name__)


class Machines:
    """The use-cases about what runs."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.host = service.paths.host_id()
        self.claims: dict[str, Claim] = {}
        self.networks: dict[str, str] = {}

    # Starting.

    async def start(
        self, entry: Entry, author: Author, *, paused: bool = False, fresh: bool = False, reset_variables: bool = False,
        autodestroy: bool = False,
    ) -> None:  # fmt: skip
        """Start a domain's machine. Two callers at once get one machine and one refusal.

        Where it was saved, it goes on from there, unless it shall start `fresh`: then what was saved is given up. With
        `reset_variables` its firmware begins with the variables of its template. With `autodestroy` the caller will end it.

        Raises:
            WrongState: it runs already.
            HostFailure, QemuRefused, DeadlineExceeded: it could not be started; nothing is left of the attempt.
        """
        async with entry.changing():
            if entry.active:
                raise WrongState("domain is already running")
            if entry.saved and not fresh:
                await self._service.saves.go_on(entry, author, paused=paused, autodestroy=autodestroy)
                return
            if entry.saved:
                self._service.saves.forget(entry)
            domain = self._service.domain(entry, inactive=True)
            if reset_variables:
                await asyncio.to_thread(launching.reset_variables, domain)
            await self.launch(entry, domain, entry.head, author, paused=paused, autodestroy=autodestroy)

    async def create(
        self, xml: str, author: Author, *, paused: bool = False, strict: bool = False, reset_variables: bool = False,
        autodestroy: bool = False,
    ) -> Entry:  # fmt: skip
        """Start a machine that is forgotten when it stops, unless it is defined meanwhile."""
        service = self._service
        done = await service.definitions.complete(xml, strict=strict)
        entry = self.room_for(done.domain)
        async with entry.changing():
            if entry.active:
                raise WrongState(f"domain '{entry.name}' is already active")
            try:
                if reset_variables:
                    await asyncio.to_thread(launching.reset_variables, done.domain)
                await self.launch(entry, done.domain, 0, author, paused=paused, autodestroy=autodestroy)
            except BaseException:
                if not entry.persistent:
                    service.registry.remove(entry)
                raise
        return entry

    def room_for(self, domain: Domain) -> Entry:
        """Give the entry that a machine of this domain would run under, a new one where there is none.

        Raises: Conflict, WrongState
        """
        registry, uuid, name = self._service.registry, domain.uuid or "", domain.name or ""
        return registry.startable(uuid, name) or registry.add(Entry(uuid, name))

    @plugged
    async def launch(
        self,
        entry: Entry,
        domain: Domain,
        revision: int,
        author: Author,
        *,
        paused: bool,
        incoming: Incoming | FromSnapshot | Awaited | None = None,
        autodestroy: bool = False,
        definition: str = "",
    ) -> None:
        """Start a machine from a completed domain; the caller holds the entry's lock.

        `definition` is the document where the domain has the names of an earlier run. A machine that is awaited from a host
        on the same database has no claim yet, and no place in the store: both come with the claim.
        """
        service = self._service
        await service.standing.settle()
        service.fleet.demand_open()
        if entry.ending is not None:
            await asyncio.shield(entry.ending)
        missing = [gap.what for gap in unplanned.gaps(domain) if gap.refused]
        if missing:
            raise Unsupported(f"this version of Domicile cannot do yet: {', '.join(missing)}")
        caps = await self.capabilities(domain)
        if domain.cpu is not None and domain.type == "kvm":
            choose.compare(domain.cpu, caps, inspect.cpu().flags)
        launching.check_cpus(domain, caps)
        number = service.registry.new_id()
        defined, domain = domain, service.networks.ports.plug_all(domain, self.networks)
        host = disk_sources.host_for(service, domain)
        domain, gone = await launching.present(domain, caps, host, restored=incoming is not None)
        chained, detected = await asyncio.to_thread(launching.with_chains, domain, host)
        plan = plan_domain(chained, caps, host, number=number)
        directory = service.paths.machines / f"{number}-{entry.uuid}"
        arguments = [(list(a.words), a.origin) for a in render.command_line(plan.items, caps.version)]
        below = await asyncio.to_thread(launching.backing_files, chained, host)
        needs = [*launching.resolved(plan.needs, mark_of(self.host, entry.uuid), entry.name), *below]
        uses = disk_sources.uses(chained, host, [need.path for need in below])
        images = await service.images.known(entry.uuid, entry.name, uses)
        try:
            items = await sealing.sealed(service, plan.domain, plan.items, directory, fresh=True)
        except BaseException:
            await asyncio.to_thread(forget, directory)
            raise
        argv = [plan.binary, *(word for option in render.command_line(items, caps.version) for word in option.words)]
        # The machine's own document needs what it is given at start; until then it is the plan's.
        entry.live = Live(document.write(plan.domain), revision, drafts.summary(domain), arguments, caps)
        entry.live.detected = detected
        if not revision:
            entry.live.definition = definition or document.write(defined)
        service.registry.run(entry, number)
        entry.state, entry.reason = State.PAUSED, Paused.STARTING_UP
        for lost in gone:
            service.happened(entry, "disk_change", lost.path, None, lost.alias, int(lost.dropped))
        if happenings.agent_of(plan.domain) is not None:
            service.happened(entry, "agent_lifecycle", happenings.DISCONNECTED, happenings.STARTED)
        spec = MachineSpec(
            uuid=entry.uuid, name=entry.name, id=number, argv=argv, directory=service.paths.machines / f"{number}-{entry.uuid}",
            log=service.paths.log / f"{entry.name}.log", needs=needs, policy=launching.policy(domain), paused=paused,
            env=launching.environment(service.paths.machines) | namespace.variables(domain), commands=render.commands(plan.items),
            incoming=launching.named(incoming, plan.domain), autodestroy=autodestroy, memlock=launching.locked_memory(domain, needs), dumper=service.saves.dump_crashed,
            cpu=verify.expected(domain.cpu, caps, kvm=domain.type == "kvm") if (x86 := caps.arch in ("x86_64", "i386")) else None,
            x86=x86, partition=launching.partition(domain),
        )  # fmt: skip
        elsewhere = isinstance(incoming, Awaited) and bool(incoming.note.holder)
        keeper = None if elsewhere else self._keeper(entry, plan, caps)
        try:
            if elsewhere:
                await service.in_store(service.store.take_images, images)
            else:
                self.claims[entry.uuid] = await service.in_store(service.store.claim, entry.uuid, self.host, images)
            machine = await start_machine(spec, service.resources, self.listener(entry), keeper)
        except BaseException as error:
            await asyncio.to_thread(forget, directory)
            await self._failed(entry, author, error)
            raise
        entry.machine = machine
        self._show(entry, plan, caps, machine)
        try:
            await live_cpus.hold_all(machine, domain)
            await live_tuning.apply_all(machine, domain)
            await live_net.apply_all(service, service.domain(entry))
        except DomicileError:
            await machine.end(Shutoff.FAILED)
            raise
        if not isinstance(incoming, Awaited):
            verb = "start" if incoming is None else "restore" if isinstance(incoming, Incoming) else "snapshot-revert"
            tasks.spawn(f"log of {entry.name}", runs.begun(service, verb, author, entry, revision, machine.pid))

    async def _failed(self, entry: Entry, author: Author, error: BaseException) -> None:
        service = self._service
        service.registry.stop(entry)
        service.filters.bindings.release(entry.uuid)
        entry.live, entry.machine = None, None
        entry.state, entry.reason = State.SHUTOFF, Shutoff.FAILED
        await self.release(entry.uuid)
        await service.log("start", author, entry, "failed", reason=str(error))

    async def capabilities(self, domain: Domain) -> Capabilities:
        """Give what the emulator of a domain can do. Raises: HostFailure, Unsupported."""
        return await launching.capabilities(self._service, domain)

    def _keeper(self, entry: Entry, plan: Plan, caps: Capabilities) -> Any:
        async def keep(record: Record) -> None:
            await self._put(entry, record, document.write(launching.running(self._service, plan, caps, record)))

        return keep

    async def _put(self, entry: Entry, record: Record, xml: str, images: list[ImageUse] | None = None) -> None:
        service, stored = self._service, self.stored(entry, record, xml)
        if images is None:
            await service.in_store(service.store.put_machine, stored)
        else:
            await service.standing.owe(f"the record of {entry.name}", service.store.put_machine, stored, images)

    def stored(self, entry: Entry, record: Record, xml: str) -> MachineRecord:
        """Say what the store keeps of a running machine."""
        known = entry.live
        facts = {"record": record.to_json().decode(), **(known.kept() if known is not None else {})}
        return MachineRecord(
            uuid=entry.uuid, name=entry.name, id=record.id, pid=record.pid, start_time=record.start_time, directory=record.directory,
            live_xml=xml, revision=known.revision or None if known is not None else None, state=record.state, reason=record.reason,
            facts=facts, host=self.host,
        )  # fmt: skip

    async def keep(self, entry: Entry) -> None:
        """Store a running machine's document again after it was changed."""
        if entry.machine is not None and entry.live is not None:
            await self._put(entry, entry.machine.record(), entry.live.xml, await self._images(entry))

    async def claim_images(self, entry: Entry) -> None:
        """Note which images a running machine has now."""
        images, service = await self._images(entry), self._service
        await service.in_store(service.store.put_images, entry.uuid, self.host, images)

    async def _images(self, entry: Entry) -> list[ImageUse]:
        """List the images that a running machine has."""
        service = self._service
        assert entry.live is not None
        domain = document.read_stored(entry.live.xml)
        try:
            host = disk_sources.host_for(service, domain)
        except DomicileError as error:
            log.warning("not all images are known", domain=entry.name, reason=error.message)
            host = service.host
        try:
            below = [need.path for need in await asyncio.to_thread(launching.backing_files, domain, host)]
        except DomicileError as error:
            log.warning("not all images are known", domain=entry.name, reason=error.message)
            below = []
        more = [Use(part.path, written=True) for part in entry.live.backup.parts] if entry.live.backup else []
        return await service.images.known(entry.uuid, entry.name, [*disk_sources.uses(domain, host, below), *more])

    def _show(self, entry: Entry, plan: Plan, caps: Capabilities, machine: Machine) -> None:
        if entry.live is None:
            return
        running = launching.running(self._service, plan, caps, machine.record())
        happenings.show_ports(running, entry.live.open_ports)
        entry.live.xml = document.write(running)

    # What happens.

    def listener(self, entry: Entry) -> Any:
        """Make the function that hears what happens to a machine."""

        def happened(event: MachineEvent) -> None:
            machine = event.machine
            if event.kind != "lifecycle":
                runs.pass_on(self._service, entry, event)
                return
            entry.state, entry.reason, entry.since = int(machine.state), machine.reason, machine.since
            if event.event == Event.STOPPED:
                self.ended(entry)
            self._service.tell(entry, event.event, event.detail)
            if event.event == Event.STOPPED and not entry.persistent and not entry.reverting:
                self._service.registry.remove(entry)
                if entry.snapshots or entry.checkpoints:
                    tasks.spawn(f"snapshots of {entry.name}", self._service.snapshots.forget(entry))

        return happened

    def ended(self, entry: Entry) -> None:
        """Show that a machine is over, and forget it in the store."""
        self._service.registry.stop(entry)
        self._service.networks.ports.unplug_all(entry.uuid)
        self._service.filters.bindings.release(entry.uuid)
        if entry.machine is not None:
            entry.last_job = entry.machine.job or entry.machine.last_job
            self._service.agents.forget(entry.machine.id)
        ended = runs.end_of(self._service, entry)
        partition = entry.machine.record().partition if entry.machine is not None else cgroup.USUAL
        entry.machine, entry.live = None, None
        entry.ending = tasks.spawn(f"end of {entry.name}", self._forget(entry, ended, partition))

    async def _forget(self, entry: Entry, ended: Action, partition: str) -> None:
        await runs.over(self._service, ended)
        await asyncio.to_thread(cgroup.forget, partition, entry.uuid)
        await self.release(entry.uuid)
        entry.ending = None

    async def release(self, uuid: str, *, settled: bool = False) -> None:
        """Give up the claim to run a domain, and its images; not while it is open whether it runs at a migration's target."""
        if not settled and self._service.departures.open(uuid):
            return
        claim = self.claims.pop(uuid, None)
        if claim is None:
            await self._service.images.release(uuid)
        else:
            await self._service.standing.owe("a claim given back", self._service.store.release, claim)

    # Commands.

    def running(self, entry: Entry) -> Machine:
        """Give a domain's machine. Raises: WrongState."""
        if entry.machine is None:
            raise WrongState("domain is not running")
        return entry.machine

    async def suspend(self, entry: Entry, author: Author) -> None:
        """Stop the CPUs. Raises: WrongState."""
        await self.running(entry).suspend()
        self.done("suspend", entry, author)

    async def resume(self, entry: Entry, author: Author) -> None:
        """Let the CPUs go on. Raises: WrongState."""
        await self._service.departures.doubts.before_resume(entry)
        await self.running(entry).resume()
        self.done("resume", entry, author)

    async def shutdown(self, entry: Entry, author: Author) -> None:
        """Press the power button. Raises: WrongState."""
        await self.running(entry).shutdown()
        self.done("shutdown", entry, author)

    async def reboot(self, entry: Entry, author: Author) -> None:
        """Press the power button and start again. Raises: WrongState."""
        await self.running(entry).reboot()
        self.done("reboot", entry, author)

    async def reset(self, entry: Entry, author: Author) -> None:
        """Press the reset button. Raises: WrongState."""
        await self.running(entry).reset()
        self.done("reset", entry, author)

    async def destroy(self, entry: Entry, author: Author, *, graceful: bool = False) -> None:
        """Pull the plug. Raises: WrongState, DeadlineExceeded."""
        machine = self.running(entry)
        await machine.destroy(graceful)
        if entry.ending is not None:
            await asyncio.shield(entry.ending)
        self.done("destroy", entry, author)

    def done(self, verb: str, entry: Entry, author: Author, **detail: Any) -> None:
        """Write into the log what was done, without waiting for it."""
        tasks.spawn(f"log of {entry.name}", self._service.log(verb, author, entry, **detail))

    # Looking.

    async def argv(self, entry: Entry) -> tuple[list[tuple[list[str], str]], str, int | None]:
        """Give the options (with the element each came from), the binary and, where it runs, the pid."""
        if entry.live is not None and entry.machine is not None:
            return entry.live.arguments, entry.machine.argv[0], entry.machine.pid
        domain = self._service.domain(entry, inactive=True)
        caps = await self.capabilities(domain)
        plan = plan_domain(domain, caps, disk_sources.host_for(self._service, domain))
        return [(list(a.words), a.origin) for a in render.command_line(plan.items, caps.version)], plan.binary, None
