"""Handlers of what the host grants a domain: CPU time, block devices, disks, interfaces, counted events.

`doors` merges them with the others.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from domicile.api.libvirt.author import author
from domicile.api.libvirt.flags import affected, known, of_config
from domicile.api.libvirt.params import STRING_OKAY, Kind, answer, values
from domicile.api.libvirt.reference import entry_of
from domicile.api.libvirt.registry import Registry
from domicile.domain.edit import tune as edit
from domicile.rpc.calls import domain_block
from domicile.rpc.calls import domain_tune as calls
from domicile.rpc.types import Domain, TypedParam
from domicile.service import live_net, live_tuning

if TYPE_CHECKING:
    from domicile.api.libvirt.session import Session
    from domicile.domain.domain import Domain as Document
    from domicile.service.changes import Running
    from domicile.service.service import Service

handlers: Registry[Service] = Registry()

# CPU time.

_SCHEDULER = {name: Kind.LLONG if name.endswith("quota") else Kind.ULLONG for name in edit.SCHEDULER}


@handlers.handle(calls.domain_get_scheduler_type)
def get_scheduler_type(conn: Session[Service], dom: Domain) -> tuple[str, int]:
    """Name the scheduler, and say how many parameters it has."""
    entry_of(conn, dom)
    return "posix", len(_SCHEDULER)


def _scheduler(conn: Session[Service], dom: Domain, nparams: int, flags: int) -> list[TypedParam]:
    entry = entry_of(conn, dom)
    config = of_config(entry, flags)
    domain = conn.context.domain(entry, inactive=config)
    return answer(edit.scheduler(domain) if config else live_tuning.scheduler(domain), _SCHEDULER, nparams)[0]


@handlers.handle(calls.domain_get_scheduler_parameters)
def get_scheduler_parameters(conn: Session[Service], dom: Domain, nparams: int) -> list[TypedParam]:
    """Give the CPU time a domain is granted."""
    return _scheduler(conn, dom, nparams, 0)


@handlers.handle(calls.domain_get_scheduler_parameters_flags)
def get_scheduler_parameters_flags(conn: Session[Service], dom: Domain, nparams: int, flags: int) -> list[TypedParam]:
    """Give the CPU time a domain is granted."""
    known(flags, 3 | STRING_OKAY, "domain_get_scheduler_parameters_flags")
    return _scheduler(conn, dom, nparams, flags)


@handlers.handle(calls.domain_set_scheduler_parameters)
async def set_scheduler_parameters(conn: Session[Service], dom: Domain, params: list[TypedParam]) -> None:
    """Change the CPU time a domain is granted."""
    await _set_scheduler(conn, dom, params, 0)


@handlers.handle(calls.domain_set_scheduler_parameters_flags)
async def set_scheduler_parameters_flags(
    conn: Session[Service], dom: Domain, params: list[TypedParam], flags: int
) -> None:
    """Change the CPU time a domain is granted."""
    known(flags, 3, "domain_set_scheduler_parameters_flags")
    await _set_scheduler(conn, dom, params, flags)


async def _set_scheduler(conn: Session[Service], dom: Domain, params: list[TypedParam], flags: int) -> None:
    entry = entry_of(conn, dom)
    wanted = values(params, _SCHEDULER)
    live, config = affected(entry, flags)
    if live:
        live_tuning.scheduler(conn.context.domain(entry))
    edit.check_scheduler(wanted)
    await conn.context.changes.apply(
        entry, author(conn, "schedinfo"), live=live, config=config,
        stored=lambda domain: edit.set_scheduler(domain, wanted),
        act=lambda state: live_tuning.apply_scheduler(state.machine, state.domain),
    )  # fmt: skip
    if live:
        told = [TypedParam(f"cputune.{name}", _SCHEDULER[name], value) for name, value in wanted.items()]
        conn.context.happened(entry, "tunable", told)


# Block devices of the host.

_BLOCK = {"weight": Kind.UINT, **dict.fromkeys(edit.DEVICES, Kind.STRING)}


@handlers.handle(calls.domain_get_blkio_parameters)
def get_blkio_parameters(conn: Session[Service], dom: Domain, nparams: int, flags: int) -> tuple[list[TypedParam], int]:
    """Give a domain's weights and limits of the host's block devices."""
    known(flags, 3 | STRING_OKAY, "domain_get_blkio_parameters")
    entry = entry_of(conn, dom)
    config = of_config(entry, flags)
    domain = conn.context.domain(entry, inactive=config)
    return answer(edit.block(domain) if config else live_tuning.block(domain), _BLOCK, nparams)


@handlers.handle(calls.domain_set_blkio_parameters)
async def set_blkio_parameters(conn: Session[Service], dom: Domain, params: list[TypedParam], flags: int) -> None:
    """Change a domain's weights and limits of the host's block devices."""
    known(flags, 3, "domain_set_blkio_parameters")
    entry = entry_of(conn, dom)
    wanted = values(params, _BLOCK)
    live, config = affected(entry, flags)
    if live:
        live_tuning.block(conn.context.domain(entry))

    async def act(state: Running) -> None:
        await asyncio.to_thread(live_tuning.apply_block, state.machine, state.domain, wanted)

    await conn.context.changes.apply(
        entry, author(conn, "blkiotune"), live=live, config=config,
        stored=lambda domain: edit.set_block(domain, wanted), act=act, bears=("blkiotune",),
    )  # fmt: skip


# Disks.

_IO_TUNE = {
    name: Kind.STRING if name == "group_name" else Kind.ULLONG
    for name in (*edit.IO_LIMITS[:13], "group_name", *edit.IO_LIMITS[13:])
}


@handlers.handle(domain_block.domain_get_block_io_tune)
async def get_block_io_tune(
    conn: Session[Service], dom: Domain, disk: str | None, nparams: int, flags: int
) -> tuple[list[TypedParam], int]:
    """Give the limits on a disk's traffic."""
    known(flags, 3 | STRING_OKAY, "domain_get_block_io_tune")
    entry = entry_of(conn, dom)
    if nparams <= 0:
        return answer({}, _IO_TUNE, 0)
    if of_config(entry, flags):
        found = edit.disk_of(conn.context.domain(entry, inactive=True), disk or "")
        return answer(edit.io_tune(found), _IO_TUNE, nparams)
    state = conn.context.changes.running(entry)
    return answer(await live_tuning.io_tune(state, disk or ""), _IO_TUNE, nparams)


@handlers.handle(domain_block.domain_set_block_io_tune)
async def set_block_io_tune(
    conn: Session[Service], dom: Domain, disk: str, params: list[TypedParam], flags: int
) -> None:
    """Change the limits on a disk's traffic."""
    known(flags, 3, "domain_set_block_io_tune")
    entry = entry_of(conn, dom)
    wanted = values(params, _IO_TUNE)
    live, config = affected(entry, flags)

    def stored(domain: Document) -> None:
        edit.set_io_tune(edit.disk_of(domain, disk), wanted)

    def running(domain: Document) -> None:
        edit.set_io_tune(edit.disk_of(domain, disk), wanted, live=True)

    async def act(state: Running) -> None:
        await live_tuning.apply_io_tune(state, edit.disk_of(state.domain, disk))

    await conn.context.changes.apply(
        entry,
        author(conn, "blkdeviotune"),
        live=live,
        config=config,
        stored=stored,
        running=running,
        act=act,
        bears=("devices/disk",),
    )
    if live:
        dev = edit.target_of(conn.context.domain(entry), disk)
        told = [TypedParam(f"blkdeviotune.{name}", _IO_TUNE[name], value) for name, value in wanted.items()]
        conn.context.happened(entry, "tunable", [TypedParam("blkdeviotune.disk", Kind.STRING, dev), *told])


# Interfaces.

_BANDWIDTH = dict.fromkeys(
    (f"{side}.{name}" for side, names in (("inbound", "average peak burst floor"), ("outbound", "average peak burst"))
     for name in names.split()), Kind.UINT,
)  # fmt: skip


@handlers.handle(calls.domain_get_interface_parameters)
def get_interface_parameters(
    conn: Session[Service], dom: Domain, device: str, nparams: int, flags: int
) -> tuple[list[TypedParam], int]:
    """Give the limits on an interface's traffic."""
    known(flags, 3 | STRING_OKAY, "domain_get_interface_parameters")
    entry = entry_of(conn, dom)
    if nparams <= 0:
        return answer({}, _BANDWIDTH, 0)
    domain = conn.context.domain(entry, inactive=of_config(entry, flags))
    return answer(edit.bandwidth(edit.interface_of(domain, device)), _BANDWIDTH, nparams)


@handlers.handle(calls.domain_set_interface_parameters)
async def set_interface_parameters(
    conn: Session[Service], dom: Domain, device: str, params: list[TypedParam], flags: int
) -> None:
    """Change the limits on an interface's traffic."""
    known(flags, 3, "domain_set_interface_parameters")
    entry = entry_of(conn, dom)
    wanted: dict[str, Any] = values(params, _BANDWIDTH)
    live, config = affected(entry, flags)

    def stored(domain: Document) -> None:
        edit.set_bandwidth(edit.interface_of(domain, device), wanted)

    def running(domain: Document) -> None:
        edit.set_bandwidth(edit.interface_of(domain, device), wanted, live=True)

    async def act(state: Running) -> None:
        interface = edit.interface_of(state.domain, device)
        await live_net.limit(conn.context, interface, interface.bandwidth)

    await conn.context.changes.apply(
        entry, author(conn, "domiftune"), live=live, config=config, stored=stored, running=running, act=act
    )


# Events.

_EVENTS = dict.fromkeys(edit.EVENTS, Kind.BOOLEAN)


@handlers.handle(calls.domain_get_perf_events)
def get_perf_events(conn: Session[Service], dom: Domain, flags: int) -> list[TypedParam]:
    """Say which events are counted."""
    known(flags, 3 | STRING_OKAY, "domain_get_perf_events")
    entry = entry_of(conn, dom)
    config = of_config(entry, flags)
    found = edit.events(conn.context.domain(entry, inactive=True)) if config else dict.fromkeys(edit.EVENTS, False)
    return answer(found, _EVENTS, len(_EVENTS))[0]


@handlers.handle(calls.domain_set_perf_events)
async def set_perf_events(conn: Session[Service], dom: Domain, params: list[TypedParam], flags: int) -> None:
    """Say which events shall be counted; nothing counts those of a running domain yet, so they are refused there."""
    known(flags, 3, "domain_set_perf_events")
    entry = entry_of(conn, dom)
    wanted = values(params, _EVENTS)
    live, config = affected(entry, flags)
    if live and any(wanted.values()):
        live_tuning.refuse_events(wanted)
    await conn.context.changes.apply(
        entry, author(conn, "perf"), live=live, config=config, stored=lambda domain: edit.set_events(domain, wanted)
    )
