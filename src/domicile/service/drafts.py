"""From a completed domain to what the store keeps of it: texts, summary for lists, facts for lookups."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from domicile.devices.disk import Disk
from domicile.devices.graphics.model import Graphics
from domicile.devices.interface import Interface
from domicile.domain import document, report
from domicile.domain.complete import Completed
from domicile.domain.domain import Domain
from domicile.store.values import Draft, Fact, Match


def draft(authored: str, done: Completed) -> Draft:
    """Make what is stored of a completed domain."""
    domain = done.domain
    completed, marks = document.write_marked(domain)

    def tell(twice: Sequence[tuple[Fact, Match]]) -> str:
        done.twice[:] = [_twice(fact, other) for fact, other in twice]
        return report.pack(done.facts.notes, done.ignored, marks, done.twice)

    found = tuple(facts(domain))
    return Draft(
        uuid=domain.uuid or "", name=domain.name or "", authored=authored, completed=completed,
        report=report.pack(done.facts.notes, done.ignored, marks), summary=summary(domain), facts=found,
        alone=tuple(alone(domain, found)), tell=tell,
    )  # fmt: skip


_TWICE = {
    "mac": (
        "the MAC address {value} also belongs to domain '{name}': on one network, neither is reached for sure",
        "MAC 地址 {value} 也属于域“{name}”：在同一网络上，两者都无法可靠到达",
    ),
    "port": (
        "port {value} is also that of a display of domain '{name}': on one host, only one of them can run",
        "端口 {value} 也是域“{name}”的显示端口：在同一主机上只能运行其中一个",
    ),
    "disk": (
        "domain '{name}' has the image '{value}', too, and this one writes to it: it is not for both at once",
        "域“{name}”也使用镜像“{value}”，而本域会写入它：两者不可同时使用",
    ),
}


def _twice(fact: Fact, other: Match) -> report.Entry:
    """Say that another domain has the same, and what comes of that."""
    en, zh = (words.format(value=fact.value, name=other.name) for words in _TWICE[fact.kind])
    return report.Entry(fact.path, "duplicate", fact.value, en, zh)


def alone(domain: Domain, found: Iterable[Fact]) -> Iterator[Fact]:
    """Pick what no other domain should have: MAC addresses, fixed ports of displays, images that are written to."""
    shared = {
        number
        for number, disk in enumerate(domain.devices.of(Disk) if domain.devices is not None else [], 1)
        if disk.readonly or disk.shareable or disk.transient or disk.device in ("cdrom", "floppy")
    }
    for fact in found:
        number = _NUMBER.search(fact.path)
        if fact.kind in ("mac", "port") or (
            fact.kind == "disk"
            and number is not None
            and int(number[1]) not in shared
            and not fact.path.endswith("@dir")
        ):
            yield fact


_NUMBER = re.compile(r"\[(\d+)\]")


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
