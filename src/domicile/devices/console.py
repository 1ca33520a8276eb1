"""Consoles: a virtio or s390 console of its own, or another name of the first serial port.

Used through `FAMILY` in devices/__init__; domain/rules pairs the first console with the first serial port and calls `number`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from domicile.devices.family import Family
from domicile.devices.parts import chardev
from domicile.devices.parts.bus import alias_of, where
from domicile.devices.parts.chardev import CharDevice
from domicile.devices.parts.chardev_plan import chardev as host_end
from domicile.devices.parts.device import VirtioSerialAddress
from domicile.devices.parts.omit import omit
from domicile.plan.facts import Completion, Facts, Planning
from domicile.plan.need import Need
from domicile.plan.place import Want, WantVirtioSerial
from domicile.plan.qemu import Item, Structured
from domicile.schema import field as f
from domicile.schema.scalar import UINT, enum
from domicile.schema.shape import Element, element

_DRIVERS = {"virtio": "virtconsole", "sclp": "sclpconsole", "sclplm": "sclplmconsole"}
_FOREIGN = ("xen", "uml", "lxc", "openvz")


@element("target", "客户机看到的控制台")
class ConsoleTarget(Element):
    """What the guest sees."""

    type: str | None = f.attr(
        "serial is the first serial port under another name; the others are devices of their own.",
        "serial 即第一个串口的别名，其余为独立的设备。",
        enum("serial", *_DRIVERS, *_FOREIGN),
        guest=True,
    )
    port: int | None = f.attr("Its number among the consoles.", "控制台的编号。", UINT)


@element("console", "控制台")
class Console(CharDevice):
    """A console: where the guest's text and its owner's keys meet."""

    tty: str | None = f.attr(
        "The pseudo-terminal while the machine runs; ignored in a definition.", "运行时的伪终端；定义中不起作用。"
    )
    target: ConsoleTarget | None = f.child("What the guest sees.", "客户机看到什么。", ConsoleTarget)


def mirrors(console: Console) -> bool:
    """Say whether this console is only another name of the first serial port."""
    return console.target is None or console.target.type in (None, "serial")


def number(consoles: Sequence[Console], c: Completion) -> None:
    """Number the consoles of a machine in their order, whatever number was written."""
    for index, console in enumerate(consoles):
        if console.target is None:
            continue
        if console.target.port is None:
            c.allocate(console.target, "port", index, "its place among the consoles", "在控制台中的次序")
        console.target.port = index


def defaults(console: Console, c: Completion) -> None:
    """Fill in the host's end and the target."""
    chardev.defaults(console, c)
    omit(console, ("tty",), c, "only known while the machine runs", "仅在运行时才有")
    if console.target is None:
        console.target = ConsoleTarget()
    if console.target.type is None:
        c.default(
            console.target,
            "type",
            "serial",
            "a console is the first serial port unless told otherwise",
            "未指定时控制台即第一个串口",
        )


def check(console: Console, c: Completion) -> None:
    """Find what cannot be."""
    kind = console.target.type if console.target is not None else None
    if kind in _FOREIGN:
        message = f"attribute 'type' of element 'target' has the value '{kind}', which QEMU does not have"
        c.problem(console.target, message, "serial, virtio, sclp, sclplm", "@type")
    if mirrors(console):
        return
    chardev.check(console, c)
    driver = _DRIVERS.get(kind or "")
    if kind in ("sclp", "sclplm") and not c.caps.has_device(driver or ""):
        c.problem(console.target, f"this QEMU has no '{driver}' for target type '{kind}'", "serial, virtio", "@type")
    address = console.address
    if kind == "virtio" and address is not None and not isinstance(address, VirtioSerialAddress):
        message = f"<console> with target type 'virtio' has an address of type '{address.type}'"
        c.problem(address, message, "virtio-serial", "@type")


def place(console: Console, facts: Facts) -> Want | None:
    """Ask for a port only where an address was begun; without one QEMU chooses."""
    return WantVirtioSerial(console=True) if isinstance(console.address, VirtioSerialAddress) else None


def plan(console: Console, p: Planning) -> Iterator[Item | Need]:
    """Ask for the host's end and the console; nothing where a serial port is it."""
    if mirrors(console) or console.target is None:
        return
    origin, name = p.origin(console), alias_of(console)
    yield from host_end(console, f"char{name}", p, origin=origin)
    driver = _DRIVERS[console.target.type or ""]
    props = {"driver": driver, **where(console, p), "chardev": f"char{name}", "id": name}
    yield Structured("device", props, origin=origin)


FAMILY = Family(element=Console, defaults=defaults, check=check, place=place, plan=plan)
