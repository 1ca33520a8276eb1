"""Interfaces of a running machine: their cable, and limits on their traffic. Called by the front doors' handlers and by hot-plug."""

from __future__ import annotations

import asyncio

from domicile.base.errors import OPERATION_FAILED, HostFailure, Unsupported
from domicile.devices.interface import Interface
from domicile.domain.domain import Domain
from domicile.domain.edit import tune
from domicile.host import shaper, tap
from domicile.service.changes import Running

OPERATION_UNSUPPORTED = 84
_SHAPED = ("network", "bridge", "ethernet", "direct")


async def apply_bandwidth(interface: Interface) -> None:
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
    await asyncio.to_thread(shaper.shape, tap, inbound, outbound)


async def apply_all(domain: Domain) -> None:
    """Hold all interfaces of a machine that starts to their limits. Raises: HostFailure."""
    for interface in domain.devices.of(Interface) if domain.devices is not None else []:
        if any(tune.bandwidth(interface).values()) and interface.type in _SHAPED and interface.target is not None:
            await apply_bandwidth(interface)


async def set_link(state: Running, interface: Interface) -> None:
    """Plug an interface's cable in or out, as its document says."""
    name = interface.alias.name if interface.alias is not None else ""
    up = interface.link is None or interface.link.state != "down"
    await state.qmp("set_link", {"name": name, "up": up})


async def move(state: Running, found: Interface, wanted: Interface) -> None:
    """Put an interface on another bridge or network. Raises: Unsupported, HostFailure, NotFound."""
    tap_name = found.target.dev if found.target is not None else None
    if wanted.type not in ("bridge", "network") or not tap_name or wanted.source is None:
        raise Unsupported(
            f"the <source> of an interface of type '{found.type}' is fixed while the domain runs",
            code=OPERATION_UNSUPPORTED,
        )
    name = wanted.source.bridge or ""
    if wanted.type == "network":
        networks, configured = state.service.networks, state.service.machines.networks
        name = configured.get(wanted.source.network or "") or networks.bridge(wanted.source.network or "")
    if name not in tap.bridges():
        raise HostFailure(f"bridge {name} doesn't exist", code=OPERATION_FAILED)
    await asyncio.to_thread(tap.move, tap_name, name)
    found.type, found.source = wanted.type, wanted.source
