"""The virtual CPUs in QEMU's words: those there from the start, and those that are plugged in, so that they can be unplugged.

Called by domain/machine_options.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from domicile.domain.domain import Domain
from domicile.domain.memory import VcpuState
from domicile.plan.boards import S390, X86
from domicile.plan.facts import Planning
from domicile.plan.qemu import Command

# How a CPU's place is named, the widest part first. Source: QEMU's query-hotpluggable-cpus on these machines.
_PLACES = {
    **dict.fromkeys(X86, ("sockets", "dies", "cores", "threads")),
    **dict.fromkeys(S390, ()),
}
_NAMES = {"sockets": "socket-id", "dies": "die-id", "cores": "core-id", "threads": "thread-id"}


def booted(domain: Domain, p: Planning) -> int:
    """Count the CPUs that are there from the start."""
    vcpu = domain.vcpu
    most = vcpu.value if vcpu is not None and vcpu.value else 1
    now = vcpu.current if vcpu is not None and vcpu.current else most
    return now - len(_plugged(domain, p))


def later(domain: Domain, p: Planning, model: str) -> Iterator[Command]:
    """Yield what plugs in the others before the guest's first instruction; `model` is their CPU as QEMU calls it."""
    plugged = sorted(_plugged(domain, p), key=lambda each: (each.order or 0, each.id or 0))
    kind = p.caps.cpu(model, p.accel == "kvm") if plugged else None
    for each in plugged:
        number = each.id or 0
        driver = kind.type_name if kind is not None else f"{model}-{p.caps.arch}-cpu"
        place = _place(domain, number, _PLACES[p.arch])
        yield Command("device_add", {"driver": driver, "id": f"vcpu{number}", **place}, origin="vcpus")


def _plugged(domain: Domain, p: Planning) -> list[VcpuState]:
    machine = p.caps.machine(p.machine)
    if (
        domain.vcpus is None
        or domain.cpu is None
        or p.arch not in _PLACES
        or machine is None
        or not machine.hotplug_cpus
    ):
        return []
    return [each for each in domain.vcpus.vcpu if each.enabled and each.hotpluggable]


def _place(domain: Domain, number: int, parts: tuple[str, ...]) -> dict[str, Any]:
    """Say where a CPU is in the topology; where there is none to speak of, by its number alone."""
    if not parts:
        return {"core-id": number}
    topology = domain.cpu.topology if domain.cpu is not None else None
    found: dict[str, Any] = {}
    for part in reversed(parts[1:]):
        size = (getattr(topology, part) if topology is not None else None) or 1
        number, found[_NAMES[part]] = divmod(number, size)
        if part == "dies" and size == 1:
            del found[_NAMES[part]]
    found[_NAMES[parts[0]]] = number
    return dict(reversed(found.items()))
