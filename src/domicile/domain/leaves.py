"""What a domain is found by: facts (MACs, images, bridges…) and the small summary that lists show.

The service projects every completed definition with these into the database; `domicile find` asks for the kinds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from domicile.domain.domain import Domain
from domicile.schema import tree

#: The kinds of facts, each with the leaves it is read from (a device's tag, then the slots below it).
_DEVICES: dict[str, tuple[tuple[str, str], ...]] = {
    "mac": (("interface", "mac.address"),),
    "bridge": (("interface", "source.bridge"),),
    "network": (("interface", "source.network"),),
    "dev": (("interface", "source.dev"),),
    "nic": (("interface", "target.dev"),),
    "disk": (
        ("disk", "source.file"),
        ("disk", "source.dev"),
        ("disk", "source.dir"),
        ("disk", "source.volume"),
        ("disk", "source.name"),
    ),
    "serial": (("disk", "serial"),),
    "wwn": (("disk", "wwn"),),
    "display": (("graphics", "type"),),
    "port": (("graphics", "port"), ("graphics", "tlsPort")),
    "channel": (("channel", "target.name"),),
}
_WHOLE: dict[str, str] = {
    "title": "title",
    "arch": "os.type.arch",
    "machine": "os.type.machine",
    "type": "type",
    "emulator": "devices.emulator",
    "kernel": "os.kernel",
    "initrd": "os.initrd",
    "loader": "os.loader.path",
    "firmware": "os.firmware",
    "cpu": "cpu.model.name",
}
KINDS = ("name", "uuid", *_DEVICES, *_WHOLE)


def facts(domain: Domain) -> Iterator[tuple[str, str, str]]:
    """Yield (kind, value, path) of everything a completed domain can be looked up by."""
    if domain.devices is not None:
        places = {id(element): path for path, element in tree.places(domain)}
        for kind, sources in _DEVICES.items():
            for tag, slots in sources:
                for device in getattr(domain.devices, tag, ()):
                    value, step = _reach(device, slots)
                    if value not in ("", "-1"):
                        yield kind, value, f"{places.get(id(device), tag)}/{step}"
    for kind, slots in _WHOLE.items():
        value, step = _reach(domain, slots)
        if value:
            yield kind, value, step


def _reach(element: Any, slots: str) -> tuple[str, str]:
    """Follow dotted slots to a value; give its text and its path below the element."""
    steps: list[str] = []
    declared = None
    current = element
    for slot in slots.split("."):
        declared = next((f for f in current.shape.fields if f.slot == slot), None)
        value = getattr(current, slot, None)
        if declared is None or value is None:
            return "", ""
        steps.append(declared.path)
        current = value
    if declared is None or declared.of is not None:
        return "", ""
    if declared.kind == "text":
        steps.pop()
    return declared.scalar.show(current), "/".join(steps)


def summary(domain: Domain) -> dict[str, Any]:
    """Give the small dictionary that lists show."""
    kind = domain.os.type if domain.os is not None else None
    vcpu, memory, current = domain.vcpu, domain.memory, domain.currentMemory
    total = memory.value if memory is not None and memory.value is not None else 0
    most = vcpu.value if vcpu is not None and vcpu.value is not None else 1
    return {
        "title": domain.title or "",
        "description": domain.description or "",
        "arch": (kind.arch if kind is not None else None) or "",
        "machine": (kind.machine if kind is not None else None) or "",
        "os_type": (kind.value if kind is not None else None) or "",
        "type": domain.type or "",
        "memory_kib": total,
        "current_kib": current.value if current is not None and current.value is not None else total,
        "vcpus": vcpu.current if vcpu is not None and vcpu.current is not None else most,
        "vcpus_max": most,
        "emulator": (domain.devices.emulator if domain.devices is not None else None) or "",
    }
