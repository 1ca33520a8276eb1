"""The document of a running machine: the definition, with the names, ports and terminals it was given. Called by service."""

from __future__ import annotations

from collections.abc import Mapping

from domicile.devices.channel import Channel, VirtioTarget, socket_path
from domicile.devices.console import Console
from domicile.devices.disk import Disk
from domicile.devices.disk.complete import layers, sources
from domicile.devices.disk.model import BackingStore
from domicile.devices.graphics.model import Graphics
from domicile.devices.graphics.plan import show_run
from domicile.devices.interface import Interface, InterfaceTarget
from domicile.devices.parallel import Parallel
from domicile.devices.parts.chardev import CharDevice, CharSource
from domicile.devices.serial import Serial
from domicile.domain.domain import Domain
from domicile.domain.plan import Plan, planning
from domicile.plan.capabilities import Capabilities
from domicile.plan.host import Host
from domicile.schema import tree


def document(
    plan: Plan,
    caps: Capabilities,
    host: Host,
    *,
    number: int,
    ptys: Mapping[str, str],
    ports: Mapping[str, int],
    taps: Mapping[str, str],
) -> Domain:
    """Make the running machine's own document from its plan and from what it was given, by the needs' tokens."""
    domain: Domain = tree.copy(plan.domain)
    domain.id = number
    devices = domain.devices
    assert devices is not None
    for kind in (Serial, Parallel, Console, Channel):
        for device in devices.of(kind):
            terminal(device, ptys)
    for interface in devices.of(Interface):
        name = taps.get(interface.alias.name if interface.alias is not None else "")
        if name:
            interface.target = interface.target or InterfaceTarget()
            interface.target.dev = name
    p = planning(domain, caps, host, number)
    for channel in devices.of(Channel):
        if isinstance(channel.target, VirtioTarget) and channel.type == "unix" and not channel.source:
            channel.source.append(CharSource(mode="bind", path=socket_path(channel, channel.target, p)))
    for graphics in devices.of(Graphics):
        show_run(graphics, p, dict(ports))
    for disk in devices.of(Disk):
        if disk.source is not None:
            show_layers(disk)
            if disk.backingStore is None:
                disk.backingStore = BackingStore()
    return domain


def show_layers(disk: Disk) -> None:
    """Show the layers' numbers where they belong: on the top's source, and on each <backingStore> below."""
    for layer in layers(disk):
        if layer.source is not None:
            layer.index, layer.source.index = layer.source.index, None
    for _, source in sources(disk):
        if source is not disk.source:
            source.index = None


def terminal(device: CharDevice, ptys: Mapping[str, str]) -> None:
    """Show the pseudo terminal that a device was given."""
    name = device.alias.name if device.alias is not None else ""
    path = ptys.get(f"char{name}")
    if path is None:
        return
    if not device.source:
        device.source.append(CharSource())
    device.source[0].path = path
    if isinstance(device, Console):
        device.tty = path
