"""Parallel ports. Used through `FAMILY` in devices/__init__; domain/rules calls `number` for all ports of a machine."""

from __future__ import annotations

from collections.abc import Iterator

from domicile.devices.family import Family
from domicile.devices.parts import chardev
from domicile.devices.parts.bus import alias_of, where
from domicile.devices.parts.chardev import CharDevice
from domicile.devices.parts.chardev_plan import chardev as host_end
from domicile.plan.facts import Completion, Planning
from domicile.plan.need import Need
from domicile.plan.qemu import Item, Structured
from domicile.schema import field as f
from domicile.schema.scalar import UINT
from domicile.schema.shape import Element, element

_ISA_PORTS = 3


@element("target", "客户机看到的并口")
class ParallelTarget(Element):
    """What the guest sees."""

    port: int | None = f.attr("Its number, which is LPT1 for 0.", "编号，0 即 LPT1。", UINT, guest=True)


@element("parallel", "并口")
class Parallel(CharDevice):
    """A parallel port of the guest."""

    target: ParallelTarget | None = f.child("What the guest sees.", "客户机看到什么。", ParallelTarget)


number = chardev.number_ports


def defaults(parallel: Parallel, c: Completion) -> None:
    """Fill in the host's end."""
    chardev.defaults(parallel, c)
    if parallel.target is None:
        parallel.target = ParallelTarget()


def check(parallel: Parallel, c: Completion) -> None:
    """Find what cannot be."""
    chardev.check(parallel, c)
    if not c.x86:
        c.problem(parallel, f"machine type '{c.machine}' of '{c.arch}' has no <parallel> ports", "a <serial> port")
    port = parallel.target.port if parallel.target is not None else None
    if (port or 0) >= _ISA_PORTS:
        message = f"parallel port '{port}' is beyond the '{_ISA_PORTS}' that a PC has"
        c.problem(parallel.target, message, f"0 to {_ISA_PORTS - 1}", "@port")
    if parallel.address is not None and parallel.address.type != "isa":
        kind = parallel.address.type
        c.problem(parallel.address, f"<parallel> has an address of type '{kind}'", "isa", "@type")


def plan(parallel: Parallel, p: Planning) -> Iterator[Item | Need]:
    """Ask for the host's end and the port."""
    origin, name = p.origin(parallel), alias_of(parallel)
    yield from host_end(parallel, f"char{name}", p, origin=origin, parallel=True)
    props = {"driver": "isa-parallel", "chardev": f"char{name}", "id": name, **where(parallel, p)}
    yield Structured("device", props, origin=origin)


FAMILY = Family(element=Parallel, defaults=defaults, check=check, plan=plan)
