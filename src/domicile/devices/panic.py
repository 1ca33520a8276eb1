"""Panic notifiers: how a guest that crashes tells the host. Used through `FAMILY` in devices/__init__."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from domicile.devices.family import Family
from domicile.devices.parts.bus import where
from domicile.devices.parts.device import Device, IsaAddress, PciAddress
from domicile.plan.facts import Completion, Facts, Planning
from domicile.plan.need import Need
from domicile.plan.place import Pci, Want, WantPci
from domicile.plan.qemu import Item, Structured
from domicile.schema import field as f
from domicile.schema.scalar import enum
from domicile.schema.shape import element

_MODELS = ("pseries", "isa", "hyperv", "s390", "pvpanic")


@element("panic", "崩溃通知", identity=("model",))
class Panic(Device):
    """A way for a crashing guest to tell the host."""

    model: str | None = f.attr(
        "How it tells: a device (isa, pvpanic), Hyper-V's registers, or what POWER and s390 have by themselves.",
        "通知方式：设备（isa、pvpanic）、Hyper-V 寄存器，或 POWER 与 s390 自带的机制。",
        enum(*_MODELS),
        guest=True,
    )


def defaults(panic: Panic, c: Completion) -> None:
    """Choose the model this machine has."""
    if panic.model is not None:
        return
    model = c.board.panic
    if model:
        c.default(panic, "model", model, "what this machine has", "该机型具备的方式")


def check(panic: Panic, c: Completion) -> None:
    """Find what cannot be."""
    model, address = panic.model, panic.address
    if model is None:
        message = f"<panic> has no 'model', and machine type '{c.machine}' of '{c.arch}' has no usual one"
        c.problem(panic, message, ", ".join(_MODELS), "@model")
        return
    here = {
        "isa": c.x86,
        "hyperv": c.x86,
        "pseries": c.board.panic == "pseries",
        "s390": c.board.panic == "s390",
        "pvpanic": c.pci,
    }[model]
    if not here:
        message = f"panic model '{model}' does not exist on machine type '{c.machine}' of '{c.arch}'"
        c.problem(panic, message, "another model", "@model")
    if address is None:
        return
    wanted = {"isa": IsaAddress, "pvpanic": PciAddress}.get(model)
    if wanted is None:
        c.problem(address, f"panic model '{model}' has no address", "no <address>")
    elif not isinstance(address, wanted):
        accepted = "isa" if wanted is IsaAddress else "pci"
        c.problem(address, f"panic model '{model}' has an address of type '{address.type}'", accepted, "@type")


def check_together(notifiers: Sequence[Panic], c: Completion) -> None:
    """Find two notifiers of one model."""
    seen: set[str | None] = set()
    for panic in notifiers:
        if panic.model in seen:
            c.problem(panic, f"there is more than one <panic> of model '{panic.model}'", "each model once", "@model")
        seen.add(panic.model)


def place(panic: Panic, facts: Facts) -> Want | None:
    """Ask for a slot: on PCI Express it sits on the root bus, since it is never unplugged."""
    if panic.model != "pvpanic":
        return None
    return WantPci(Pci.PCIE if facts.pcie else Pci.PCI | Pci.HOTPLUG)


def plan(panic: Panic, p: Planning) -> Iterator[Item | Need]:
    """Ask for the device, where it is one."""
    origin = p.origin(panic)
    if panic.model == "isa":
        port = panic.address.iobase if isinstance(panic.address, IsaAddress) else None
        yield Structured("device", {"driver": "pvpanic", "ioport": port}, origin=origin)
    elif panic.model == "pvpanic":
        yield Structured("device", {"driver": "pvpanic-pci", **where(panic, p)}, origin=origin)


FAMILY = Family(element=Panic, defaults=defaults, check=check, place=place, plan=plan)
