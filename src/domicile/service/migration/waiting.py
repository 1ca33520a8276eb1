"""A QEMU that waits for a machine from another host: started, told how the state will come, and where it listens.

`arriving` calls it, once for each migration.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from domicile.base.errors import WrongState
from domicile.base.undo import Undo
from domicile.domain import document
from domicile.domain.domain import Domain
from domicile.runtime import migration
from domicile.runtime.job import Job, Operation
from domicile.runtime.record import Arriving
from domicile.runtime.save import Speaker
from domicile.runtime.start import Awaited
from domicile.service.migration import copies, names, route, tls
from domicile.service.migration.cookie import Cookie
from domicile.service.migration.wish import How, Wish
from domicile.store.values import Author

if TYPE_CHECKING:
    from domicile.runtime.machine import Machine
    from domicile.service.entry import Entry
    from domicile.service.migration.route import Route
    from domicile.service.service import Service

_OWN = frozenset({"events"})
#: Images stay closed until the guest goes on. One that stays paused opens them at once: QEMU 7.2 ends with an assertion where
#: a machine whose images were never opened is sent on.
_LATE = frozenset({"late-block-activate"})


@dataclass(slots=True)
class Arrival:
    """A machine that is on its way here. `outcome` is empty until it is settled: ``taken`` or ``given up``."""

    entry: Entry
    machine: Machine
    source: Cookie
    wish: Wish
    job: Job
    stack: AsyncExitStack
    shared: bool
    made: list[str]
    outcome: str = ""
    deciding: asyncio.Lock = field(default_factory=asyncio.Lock)
    decided: asyncio.Event = field(default_factory=asyncio.Event)


async def start(
    service: Service, entry: Entry, domain: Domain, source: Cookie, wish: Wish, author: Author, *, shared: bool
) -> tuple[Arrival, Route, Mapping[str, Any]]:  # fmt: skip
    """Start a QEMU that waits; give it with the way by which the machine comes, and the way of its disks.

    Raises: Conflict, WrongState, HostFailure, QemuRefused, DeadlineExceeded; nothing of it stays then.
    """
    async with AsyncExitStack() as stack, Undo() as undo:
        await stack.enter_async_context(entry.changes())
        if entry.active:
            raise WrongState(f"domain '{entry.name}' is already active")
        ports, owner = service.resources.ports, f"migration of {entry.uuid}"
        stack.callback(ports.release, owner)
        way = route.made(wish.text("migrate_uri"), wish.text("listen_address"), service.host.settings, ports, owner)
        nbd = _nbd(service, wish, source, way, owner)
        made = await copies.make(domain, source.disks, incremental=bool(wish.how & How.NON_SHARED_INC))
        undo.push("remove the copies", lambda: copies.remove(made))
        named = names.give(domain, source.names)
        running = source.ran and not wish.how & How.PAUSED
        note = Arriving(source.token, "waiting", source.holder if shared else "", source.generation, running)

        async def listen(ask: Speaker) -> None:
            credentials = await tls.server(ask, service, wish)
            await migration.prepare(
                ask,
                wish.manner(0, (credentials, "") if credentials else None),
                own=_OWN | _LATE if running else _OWN,
                mine=False,
            )
            if nbd:
                await copies.export(ask, _document(entry, named), source.disks, nbd, credentials)
            await ask("migrate-incoming", {"uri": way.listen})

        revision = entry.head if shared else 0
        await service.machines.launch(
            entry,
            named,
            revision,
            author,
            paused=True,
            incoming=Awaited(note, listen),
            definition=document.write(domain),
        )
        machine = service.machines.running(entry)
        job = await stack.enter_async_context(machine.working(Operation.MIGRATION_IN))
        undo.commit()
        kept = stack.pop_all()
    return Arrival(entry, machine, source, wish, job, kept, shared, made), way, nbd


def _nbd(service: Service, wish: Wish, source: Cookie, way: Route, owner: str) -> Mapping[str, Any]:
    """Say where the content of disks is to come in; empty where none does."""
    if not source.disks:
        return {}
    uri = wish.text("disks_uri")
    if uri and uri.startswith("unix:"):
        return {"type": "unix", "path": route.to_qemu(uri).removeprefix("unix:")}
    settings = service.host.settings
    port = wish.number("disks_port") or service.resources.ports.reserve(
        owner, settings.migration_port_min, settings.migration_port_max
    )
    host = (
        way.listen.removeprefix("tcp:").rpartition(":")[0].strip("[]") if way.listen.startswith("tcp:") else "127.0.0.1"
    )
    return {"type": "inet", "host": host, "port": str(port)}


def _document(entry: Entry, named: Domain) -> Domain:
    """Give the document of a machine that starts, with the names its devices have."""
    return document.read_stored(entry.live.xml) if entry.live is not None and entry.live.xml else named
