"""The document of a running machine: the definition, with the names, ports and terminals it was given. Called by service."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from lxml import etree

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
from domicile.domain.cpu import Cpu, CpuFeature, CpuModelName
from domicile.domain.cpus import choose, x86
from domicile.domain.cpus.x86 import Spelt
from domicile.domain.domain import Domain
from domicile.domain.plan import Plan, planning
from domicile.domain.tuning import Resource
from domicile.plan.capabilities import Capabilities
from domicile.plan.facts import Planning
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
    cpu: Collection[str] | None = None,
    owner: tuple[int, int] | None = None,
    partition: str | None = None,
) -> Domain:
    """Make the running machine's own document from its plan and from what it was given, by the needs' tokens.

    `cpu` are the features that QEMU's virtual CPU has, `owner` the user and group that QEMU runs as and its files are lent
    to, `partition` is where its control groups are made.
    """
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
        show_socket(channel, p)
    for graphics in devices.of(Graphics):
        show_run(graphics, p, dict(ports))
    if p.x86 and domain.cpu is not None:
        _spell(domain.cpu, choose.spell(domain.cpu, caps, kvm=p.accel == "kvm"))
        if cpu is not None:
            _settle(domain.cpu, cpu)
    for disk in devices.of(Disk):
        if disk.source is None and disk.driver is not None:
            disk.driver.type = None
        if disk.source is not None:
            show_layers(disk)
            if disk.backingStore is None:
                disk.backingStore = BackingStore()
    if partition is not None:
        domain.resource = domain.resource or Resource()
        domain.resource.partition = domain.resource.partition or partition
    if owner is not None and not any(label.get("model") in (None, "dac") for label in domain.seclabel):
        domain.seclabel.append(_label(*owner))
    return domain


def _label(uid: int, gid: int) -> Any:
    """Make the label that says whom QEMU runs as, and who owns its files meanwhile."""
    label = etree.Element("seclabel", type="dynamic", model="dac", relabel="yes")
    for name in ("label", "imagelabel"):
        etree.SubElement(label, name).text = f"+{uid}:+{gid}"
    return label


def show_socket(channel: Channel, p: Planning) -> None:
    """Show the socket of a channel whose place was left to Domicile."""
    if isinstance(channel.target, VirtioTarget) and channel.type == "unix" and not channel.source:
        channel.source.append(CharSource(mode="bind", path=socket_path(channel, channel.target, p)))


def _spell(cpu: Cpu, spelt: Spelt | None) -> None:
    """Show the model and the features that were settled at this start in place of what was left to the host."""
    settled = cpu.mode == "host-model" or cpu.match == "minimum" or any(f.policy == "optional" for f in cpu.feature)
    if spelt is None or not settled:
        return
    vendor_id = cpu.model.vendor_id if cpu.model is not None else None
    cpu.mode, cpu.match = "custom", "exact"
    cpu.model = CpuModelName(name=spelt.model, fallback="forbid", vendor_id=vendor_id)
    cpu.vendor = cpu.vendor or spelt.vendor
    cpu.feature = [CpuFeature(name=name, policy="require" if on else "disable") for name, on in spelt.features.items()]


def _settle(cpu: Cpu, has: Collection[str]) -> None:
    """Show the CPU that the guest has: the model with the features that it has more, and those it has not."""
    model = x86.models().get(cpu.model.name or "") if cpu.model is not None else None
    if cpu.mode != "custom" or cpu.model is None or model is None:
        return
    there = set(has)
    for feature in cpu.feature:
        on = x86.from_qemu(feature.name or "") in there
        if on != (feature.policy in ("force", "require", "optional")):
            feature.policy = "require" if on else "disable"
    said = {x86.from_qemu(feature.name or "") for feature in cpu.feature}
    more = [name for name in x86.FEATURES if name in there and name not in model.features and name not in said]
    less = [name for name in x86.FEATURES if name in model.features and name not in there and name not in said]
    for names, policy in ((more, "require"), (less, "disable")):
        cpu.feature += [CpuFeature(name=name, policy=policy) for name in names]
    cpu.model.fallback, cpu.check = "forbid", "full"


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
