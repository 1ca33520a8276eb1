"""Serial ports: on ISA, PCI, USB, the board itself, and what stands for them on POWER and s390.

Used through `FAMILY` in devices/__init__; domain/rules calls `number` for all ports of a machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from domicile.devices.family import Family
from domicile.devices.parts import chardev
from domicile.devices.parts.bus import alias_of, want_legacy, where
from domicile.devices.parts.chardev import CharDevice
from domicile.devices.parts.chardev_plan import chardev as host_end
from domicile.devices.parts.device import PciAddress
from domicile.plan.facts import Completion, Facts, Planning
from domicile.plan.need import Need
from domicile.plan.place import Want, WantSpaprVio, WantUsb
from domicile.plan.qemu import Item, Option, Structured
from domicile.schema import field as f
from domicile.schema.scalar import UINT, enum
from domicile.schema.shape import Element, element

# model → the target type it belongs to; the first model of a type is its default
_MODELS = {
    "isa-serial": "isa-serial",
    "usb-serial": "usb-serial",
    "pci-serial": "pci-serial",
    "spapr-vty": "spapr-vio-serial",
    "pl011": "system-serial",
    "16550a": "system-serial",
    "sclpconsole": "sclp-serial",
    "sclplmconsole": "sclp-serial",
    "isa-debugcon": "isa-debug",
}
_ADDRESSES = {
    "isa-serial": "isa",
    "usb-serial": "usb",
    "pci-serial": "pci",
    "spapr-vio-serial": "spapr-vio",
    "isa-debug": "isa",
}
_ISA_PORTS = 4


@element("model", "串口型号")
class SerialModel(Element):
    """The chip the guest sees."""

    name: str | None = f.attr("The chip.", "芯片型号。", enum(*_MODELS), guest=True)


@element("target", "客户机看到的串口")
class SerialTarget(Element):
    """What the guest sees."""

    type: str | None = f.attr(
        "What kind of port it is; left out, the usual one of the machine.",
        "串口的种类；省略时为该机型的常见种类。",
        enum(*dict.fromkeys(_MODELS.values())),
        guest=True,
    )
    port: int | None = f.attr("Its number, which is COM1 for 0.", "编号，0 即 COM1。", UINT, guest=True)
    model: SerialModel | None = f.child("The chip.", "芯片型号。", SerialModel)


@element("serial", "串口")
class Serial(CharDevice):
    """A serial port of the guest."""

    target: SerialTarget | None = f.child("What the guest sees.", "客户机看到什么。", SerialTarget)


number = chardev.number_ports


def defaults(serial: Serial, c: Completion) -> None:
    """Fill in the host's end, the kind of port and its chip, as the machine has them."""
    chardev.defaults(serial, c)
    if serial.target is None:
        serial.target = SerialTarget()
    target = serial.target
    if target.type is None or (target.type == "isa-serial" and not c.x86):
        usual = c.board.serial or None
        if usual is not None or target.type is not None:
            c.default(target, "type", usual, "the serial port this machine has", "该机型自带的串口种类")
    if (target.model is None or target.model.name is None) and target.type is not None:
        chip = _chip(target.type, c)
        if chip is not None:
            target.model = target.model or SerialModel()
            c.default(target.model, "name", chip, f"the chip of {target.type}", f"{target.type} 的芯片")


def _chip(kind: str, c: Facts) -> str | None:
    if kind == "system-serial":
        return c.board.serial_chip or None
    return next(model for model, its in _MODELS.items() if its == kind)


def check(serial: Serial, c: Completion) -> None:
    """Find what cannot be."""
    chardev.check(serial, c)
    target = serial.target
    if target is None:
        return
    if target.type is None:
        if target.model is not None and target.model.name is not None:
            own = _MODELS[target.model.name]
            message = f"target model '{target.model.name}' belongs to target type '{own}', which is not named"
            c.problem(target.model, message, f"type='{own}'", "@name")
        return
    kind, address = target.type, serial.address
    wanted = _ADDRESSES.get(kind)
    if address is not None and wanted is None:
        c.problem(address, f"a serial port with target type '{kind}' has no address", "no <address>")
    elif address is not None and address.type != wanted:
        message = f"a serial port with target type '{kind}' has an address of type '{address.type}', not '{wanted}'"
        c.problem(address, message, wanted or "", "@type")
    name = target.model.name if target.model is not None else None
    if name is not None and _MODELS[name] != kind:
        message = f"target model '{name}' belongs to target type '{_MODELS[name]}', not to '{kind}'"
        c.problem(target.model, message, f"type='{_MODELS[name]}'", "@name")
    if not _exists(kind, name, c):
        message = f"target type '{kind}' with model '{name}' does not exist on machine type '{c.machine}' of '{c.arch}'"
        c.problem(target, message, c.board.serial, "@type")
    if kind == "isa-serial" and (target.port or 0) >= _ISA_PORTS:
        message = f"ISA serial port '{target.port}' is beyond the '{_ISA_PORTS}' that a PC has"
        c.problem(target, message, f"0 to {_ISA_PORTS - 1}, or target type pci-serial", "@port")


def _exists(kind: str, name: str | None, c: Facts) -> bool:
    if kind in ("isa-serial", "isa-debug"):
        return c.x86
    if kind == "pci-serial":
        return c.pci
    if kind == "spapr-vio-serial":
        return c.pseries
    if kind == "sclp-serial":
        return c.board.serial == kind
    if kind == "system-serial":
        chip = c.board.serial_chip
        # Of boards without a usual port, nobody knows the chip.
        return name == chip if chip else name is None and not c.board.serial
    return True


def place(serial: Serial, facts: Facts) -> Want | None:
    """Ask for a slot or port where the kind of port has one."""
    kind = serial.target.type if serial.target is not None else None
    if kind == "usb-serial":
        return WantUsb()
    if kind == "spapr-vio-serial":
        return WantSpaprVio()
    if kind == "pci-serial" and isinstance(serial.address, PciAddress | None):
        return want_legacy()
    return None


def plan(serial: Serial, p: Planning) -> Iterator[Item | Need]:
    """Ask for the host's end, and for the port: as a device, or as the board's own."""
    origin, name = p.origin(serial), alias_of(serial)
    ident = f"char{name}"
    yield from host_end(serial, ident, p, origin=origin)
    target = serial.target or SerialTarget()
    chip = target.model.name if target.model is not None else None
    if chip in (None, "pl011", "16550a"):
        yield Option("-serial", f"chardev:{ident}", origin=origin)
        return
    props: dict[str, Any] = {"driver": chip, "chardev": ident, "id": name}
    if chip == "isa-serial":
        props["index"] = target.port
    yield Structured("device", {**props, **where(serial, p)}, origin=origin)


FAMILY = Family(element=Serial, defaults=defaults, check=check, place=place, plan=plan)
