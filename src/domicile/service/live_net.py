"""Interfaces of a running machine: their cable, and limits on their traffic. Called by the front doors' handlers and by hot-plug."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from domicile.base.errors import OPERATION_FAILED, DomicileError, HostFailure, Unsupported
from domicile.devices.interface import Interface
from domicile.devices.interface.model import Bandwidth
from domicile.domain.domain import Domain
from domicile.domain.edit import devices as edit
from domicile.domain.edit import tune
from domicile.host import shaper, tap
from domicile.schema import tree
from domicile.service.changes import Running
from domicile.service.ports import withdraw

if TYPE_CHECKING:
    from domicile.service.service import Service

log = structlog.get_logger(__name__)
OPERATION_UNSUPPORTED = 84
_SHAPED = ("network", "bridge", "ethernet", "direct")


async def apply_bandwidth(service: Service, interface: Interface) -> None:
    """Hold an interface to the limits its document names. Raises: Unsupported, HostFailure."""
    if interface.type not in _SHAPED:
        raise Unsupported(
            f"setting bandwidth on interfaces of type '{interface.type}' is not implemented; {', '.join(_SHAPED)} are accepted"
        )
    tap = interface.target.dev if interface.target is not None else None
    if not tap:
        raise Unsupported("this interface has no device on the host whose traffic could be limited")
    rates = tune.bandwidth(interface)
    sides = [
        tuple(rates[f"{side}.{name}"] for name in ("average", "peak", "burst")) for side in ("inbound", "outbound")
    ]
    inbound, outbound = ((a, p, b) for a, p, b in sides)
    await asyncio.to_thread(shaper.shape, tap, inbound, outbound, reverse=interface.type == "direct")
    await asyncio.to_thread(service.networks.ports.shape, interface)


async def limit(service: Service, interface: Interface, wanted: Bandwidth | None) -> None:
    """Give a running machine's interface other limits. Raises: Unsupported, WrongState, HostFailure."""
    before, interface.bandwidth = interface.bandwidth, wanted
    try:
        service.networks.ports.limit(interface)
    except DomicileError:
        interface.bandwidth = before
        raise
    try:
        await apply_bandwidth(service, interface)
    except DomicileError:
        interface.bandwidth = before
        service.networks.ports.limit(interface)
        raise


async def apply_all(service: Service, domain: Domain) -> None:
    """Hold all interfaces of a machine that starts to their limits. Raises: HostFailure."""
    for interface in domain.devices.of(Interface) if domain.devices is not None else []:
        if any(tune.bandwidth(interface).values()) and interface.type in _SHAPED and interface.target is not None:
            await apply_bandwidth(service, interface)


async def promise_all(service: Service, domain: Domain) -> None:
    """Promise a machine that was taken over its floors again; its network's bridge may have been limited anew."""
    for interface in domain.devices.of(Interface) if domain.devices is not None else []:
        if tune.bandwidth(interface)["inbound.floor"]:
            try:
                await asyncio.to_thread(service.networks.ports.shape, interface)
            except DomicileError as fault:
                log.warning("an interface's floor is not held", domain=domain.name, reason=fault.message)


async def set_link(state: Running, interface: Interface) -> None:
    """Plug an interface's cable in or out, as its document says."""
    name = interface.alias.name if interface.alias is not None else ""
    up = interface.link is None or interface.link.state != "down"
    await state.qmp("set_link", {"name": name, "up": up})


def kind_of(interface: Interface) -> str:
    """Say what type an interface's owner gave it; one of a network shows another while it runs."""
    named = interface.source is not None and interface.source.network is not None
    return "network" if named else interface.type or ""


def same_source(wanted: Interface, found: Interface) -> bool:
    """Say whether an interface is wanted where it is already; what it was given for its run does not count."""
    if wanted.source is None:
        return True
    before: Interface = tree.copy(found)
    after: Interface = tree.copy(wanted)
    withdraw(before)
    withdraw(after)
    return before.source is not None and after.source is not None and edit.covers(after.source, before.source, leave=())


async def move(state: Running, found: Interface, wanted: Interface) -> None:
    """Put an interface on another bridge or network. Raises: Unsupported, HostFailure, NotFound, WrongState, Conflict."""
    tap_name = found.target.dev if found.target is not None else None
    if wanted.type not in ("bridge", "network") or found.type not in ("bridge", "network") or not tap_name:
        raise _fixed(found)
    ports = state.service.networks.ports
    ports.given = state.service.machines.networks
    target: Interface = tree.copy(found)
    target.type, target.source = wanted.type, tree.copy(wanted.source) if wanted.source is not None else None
    target.bandwidth, target.port, target.vlan = wanted.bandwidth, wanted.port, wanted.vlan
    ports.plug(target, state.domain)
    try:
        if target.type not in ("bridge", "network"):
            raise _fixed(found)
        name = (target.source.bridge if target.source is not None else None) or ""
        if name not in tap.bridges():
            raise HostFailure(f"bridge {name} doesn't exist", code=OPERATION_FAILED)
        await asyncio.to_thread(
            tap.move, tap_name, name, isolated=target.port is not None and bool(target.port.isolated)
        )
    except BaseException:
        ports.unplug(target)
        raise
    ports.unplug(found)
    limited = any(tune.bandwidth(found).values()) or any(tune.bandwidth(target).values())
    for slot in ("type", "source", "bandwidth", "port", "vlan"):
        setattr(found, slot, getattr(target, slot))
    if limited:
        await apply_bandwidth(state.service, found)


def _fixed(found: Interface) -> Unsupported:
    return Unsupported(
        f"the <source> of an interface of type '{kind_of(found)}' is fixed while the domain runs",
        code=OPERATION_UNSUPPORTED,
    )
