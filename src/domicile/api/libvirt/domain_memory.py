"""Handlers that change a domain's memory: how much, its limits, its place on the host's NUMA nodes.

`doors` merges them with the others.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from domicile.api.libvirt.author import author
from domicile.api.libvirt.flags import Affect, affected, known, of_config
from domicile.api.libvirt.params import STRING_OKAY, Kind, answer, values
from domicile.api.libvirt.reference import entry_of
from domicile.api.libvirt.registry import Registry
from domicile.base.errors import FROM_DOMAIN, InvalidRequest, WrongState
from domicile.domain.edit import memory as edit
from domicile.rpc.calls import domain_tune as calls
from domicile.rpc.types import Domain, TypedParam
from domicile.service import live_tuning

if TYPE_CHECKING:
    from domicile.api.libvirt.session import Session
    from domicile.domain.domain import Domain as Document
    from domicile.service.changes import Running
    from domicile.service.service import Service

handlers: Registry[Service] = Registry()
_MAXIMUM = 4
_PERIOD_MAX = 2**31 - 1


@handlers.handle(calls.domain_set_memory_flags)
async def set_memory_flags(conn: Session[Service], dom: Domain, memory: int, flags: int) -> None:
    """Say how much memory a domain has or, for the maximum, may have, in KiB."""
    known(flags, 7, "domain_set_memory_flags")
    await _set_memory(conn, dom, memory, flags)


@handlers.handle(calls.domain_set_memory)
async def set_memory(conn: Session[Service], dom: Domain, memory: int) -> None:
    """Say how much memory a running domain has, in KiB."""
    await _set_memory(conn, dom, memory, Affect.LIVE)


@handlers.handle(calls.domain_set_max_memory)
async def set_max_memory(conn: Session[Service], dom: Domain, memory: int) -> None:
    """Say how much memory a domain may have, in KiB."""
    await _set_memory(conn, dom, memory, _MAXIMUM)


async def _set_memory(conn: Session[Service], dom: Domain, kib: int, flags: int) -> None:
    entry = entry_of(conn, dom)
    if not kib:
        raise InvalidRequest("the amount of memory must not be zero", domain=FROM_DOMAIN)
    live, config = affected(entry, flags)
    who = author(conn, "setmaxmem" if flags & _MAXIMUM else "setmem")
    if flags & _MAXIMUM:
        if live:
            raise WrongState("cannot resize the maximum memory on an active domain; --config is accepted")

        def most(domain: Document) -> None:
            edit.set_maximum(domain, kib)

        await conn.context.changes.apply(entry, who, live=False, config=True, stored=most)
        return

    def check(domain: Document) -> None:
        """Look whether there is so much; what the guest gives back is told by QEMU later."""
        before = edit.current(domain)
        edit.set_current(domain, kib)
        edit.set_current(domain, before)

    await conn.context.changes.apply(
        entry, who, live=live, config=config, stored=lambda domain: edit.set_current(domain, kib),
        running=check, act=lambda state: live_tuning.set_balloon(state, kib),
    )  # fmt: skip


@handlers.handle(calls.domain_set_memory_stats_period)
async def set_memory_stats_period(conn: Session[Service], dom: Domain, period: int, flags: int) -> None:
    """Say how often the guest reports its use of memory, in seconds; 0 for never."""
    known(flags, 3, "domain_set_memory_stats_period")
    entry = entry_of(conn, dom)
    if period < 0:
        raise InvalidRequest(f"a period of {period} seconds; zero or more would be accepted", domain=FROM_DOMAIN)
    live, config = affected(entry, flags)
    await conn.context.changes.apply(
        entry, author(conn, "dommemstat"), live=live, config=config,
        stored=lambda domain: edit.set_period(domain, period),
        act=lambda state: live_tuning.set_period(state, period),
    )  # fmt: skip


_LIMITS = dict.fromkeys(edit.LIMITS, Kind.ULLONG)


@handlers.handle(calls.domain_get_memory_parameters)
def get_memory_parameters(
    conn: Session[Service], dom: Domain, nparams: int, flags: int
) -> tuple[list[TypedParam], int]:
    """Give the limits of a domain's memory."""
    known(flags, 3 | STRING_OKAY, "domain_get_memory_parameters")
    entry = entry_of(conn, dom)
    config = of_config(entry, flags)
    domain = conn.context.domain(entry, inactive=config)
    return answer(edit.limits(domain) if config else live_tuning.memory_limits(domain), _LIMITS, nparams)


@handlers.handle(calls.domain_set_memory_parameters)
async def set_memory_parameters(conn: Session[Service], dom: Domain, params: list[TypedParam], flags: int) -> None:
    """Change the limits of a domain's memory."""
    known(flags, 3, "domain_set_memory_parameters")
    entry = entry_of(conn, dom)
    wanted = values(params, _LIMITS)
    live, config = affected(entry, flags)
    if live:
        live_tuning.memory_limits(conn.context.domain(entry))

    async def act(state: Running) -> None:
        await asyncio.to_thread(live_tuning.apply_memory, state.machine, state.domain, changed=True)

    await conn.context.changes.apply(
        entry, author(conn, "memtune"), live=live, config=config,
        stored=lambda domain: edit.set_limits(domain, wanted), act=act,
    )  # fmt: skip


_NUMA = {"numa_mode": Kind.INT, "numa_nodeset": Kind.STRING}


@handlers.handle(calls.domain_get_numa_parameters)
def get_numa_parameters(conn: Session[Service], dom: Domain, nparams: int, flags: int) -> tuple[list[TypedParam], int]:
    """Say on which of the host's NUMA nodes a domain's memory is, and how firmly."""
    known(flags, 3 | STRING_OKAY, "domain_get_numa_parameters")
    entry = entry_of(conn, dom)
    mode, nodes = edit.placement(conn.context.domain(entry, inactive=of_config(entry, flags)))
    return answer({"numa_mode": mode, "numa_nodeset": nodes}, _NUMA, nparams)


@handlers.handle(calls.domain_set_numa_parameters)
async def set_numa_parameters(conn: Session[Service], dom: Domain, params: list[TypedParam], flags: int) -> None:
    """Say on which of the host's NUMA nodes a domain's memory shall be."""
    known(flags, 3, "domain_set_numa_parameters")
    entry = entry_of(conn, dom)
    wanted: dict[str, Any] = values(params, _NUMA)
    mode, nodes = wanted.get("numa_mode"), wanted.get("numa_nodeset")
    live, config = affected(entry, flags)

    def running(domain: Document) -> None:
        before, _ = edit.placement(domain)
        if mode is not None and mode != before:
            raise WrongState("can't change numatune mode for running domain; --config is accepted")
        if before != edit.MODES.index("strict"):
            raise WrongState("the nodes of a running domain's memory can only change in mode 'strict'")
        edit.set_placement(domain, None, nodes)

    await conn.context.changes.apply(
        entry, author(conn, "numatune"), live=live, config=config,
        stored=lambda domain: edit.set_placement(domain, mode, nodes), running=running, act=live_tuning.apply_nodes,
    )  # fmt: skip
