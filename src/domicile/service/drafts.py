"""From a completed domain to what the store keeps of it: texts, summary for lists, facts for lookups."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from domicile.devices.disk import Disk
from domicile.devices.graphics.model import Graphics
from domicile.devices.interface import Interface
from domicile.domain import document, report
from domicile.domain.complete import Completed
from domicile.domain.domain import Domain
from domicile.store.values import Draft, Fact


def draft(authored: str, done: Completed) -> Draft:
    """Make what is stored of a completed domain."""
    domain = done.domain
    completed, marks = document.write_marked(domain)
    return Draft(
        uuid=domain.uuid or "", name=domain.name or "", authored=authored, completed=completed,
        report=report.pack(done.facts.notes, done.ignored, marks), summary=summary(domain), facts=tuple(facts(domain)),
    )  # fmt: skip


def summary(domain: Domain) -> dict[str, Any]:
    """Say what lists show of a domain; sizes in KiB."""
    kind = domain.os.type if domain.os is not None else None
    vcpu = domain.vcpu
    most = vcpu.value if vcpu is not None and vcpu.value else 1
    memory = domain.memory.value if domain.memory is not None and domain.memory.value else 0
    current = domain.currentMemory.value if domain.currentMemory is not None and domain.currentMemory.value else memory
    found: dict[str, Any] = {
        "type": domain.type, "arch": kind.arch if kind else "", "machine": kind.machine if kind else "",
        "os_type": kind.value if kind else "hvm", "memory_kib": memory, "current_kib": current, "vcpus_max": most,
        "vcpus": vcpu.current if vcpu is not None and vcpu.current else most,
    }  # fmt: skip
    if domain.devices is not None:
        found["disks"] = [_disk(disk) for disk in domain.devices.of(Disk)]
        found["nics"] = [_nic(interface) for interface in domain.devices.of(Interface)]
    if domain.title:
        found["title"] = domain.title
    if domain.description:
        found["description"] = domain.description
    return found


def _disk(disk: Disk) -> tuple[str, ...]:
    source = disk.source
    path = (source.file or source.dev) if source is not None else None
    format = disk.driver.type if disk.driver is not None else None
    seen = ((disk.target.dev if disk.target is not None else None) or "", path or "", format or "raw")
    return (*seen, "", "", source.pool or "", source.volume or "") if source is not None and source.volume else seen


def _nic(interface: Interface) -> tuple[str, str]:
    tap = interface.target.dev if interface.target is not None else None
    return (interface.mac.address if interface.mac is not None else None) or "", tap or ""


def facts(domain: Domain) -> Iterator[Fact]:
    """List what a domain is looked up by."""
    devices = domain.devices
    if devices is None:
        return
    many = "devices/{}[{}]"
    for index, disk in enumerate(devices.of(Disk), 1):
        source = disk.source
        if source is None:
            continue
        for slot in ("file", "dev", "dir", "name", "volume"):
            value = getattr(source, slot)
            if value:
                yield Fact("disk", value, f"{many.format('disk', index)}/source/@{slot}")
    for index, interface in enumerate(devices.of(Interface), 1):
        place = many.format("interface", index)
        if interface.mac is not None and interface.mac.address:
            yield Fact("mac", interface.mac.address, f"{place}/mac/@address")
        if interface.source is not None:
            for slot in ("bridge", "network", "dev"):
                value = getattr(interface.source, slot)
                if value:
                    yield Fact(slot, value, f"{place}/source/@{slot}")
    for index, graphics in enumerate(devices.of(Graphics), 1):
        if graphics.port is not None and graphics.port > 0:
            yield Fact("port", str(graphics.port), f"{many.format('graphics', index)}/@port")
