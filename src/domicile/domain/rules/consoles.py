"""Serial ports and consoles: the first console of a PC is its first serial port under another name.

Source: libvirt's documentation of the console element; observed with libvirt 9.0.
"""

from __future__ import annotations

from domicile.devices.console import Console, ConsoleTarget, mirrors
from domicile.devices.console import number as number_consoles
from domicile.devices.parallel import Parallel
from domicile.devices.parts.chardev import CharDevice, number_ports
from domicile.devices.serial import Serial, SerialTarget
from domicile.domain.domain import Domain
from domicile.plan.facts import Completion
from domicile.schema.tree import copy

_SHARED = ("type", "source", "protocol", "log")


def pair(domain: Domain, c: Completion) -> None:
    """Make the first serial port of a lone console, or the first console of a lone serial port."""
    if domain.devices is None:
        return
    ports, consoles = domain.devices.of(Serial), domain.devices.of(Console)
    for console in consoles:
        if console.target is None:
            console.target = ConsoleTarget()
    _number_isa(ports, c)
    if c.host.libvirt < (10, 0):
        # As libvirt did: before the first serial port's stand-in is put in front.
        number_consoles(consoles, c)
    if consoles and mirrors(consoles[0]):
        if not ports:
            made = Serial(target=SerialTarget())
            _mirror(consoles[0], made)
            made.address = consoles[0].address
            ports.append(made)
            c.add(made, "the console needs a serial port behind it", "控制台背后需要一个串口")
    elif ports and _speaks(ports[0]):
        for one in ports:
            if one.target is None:
                one.target = SerialTarget()
        number_ports(ports, c)
        port = ports[0].target.port if ports[0].target is not None else None
        console = Console(target=ConsoleTarget(type="serial", port=port or 0))
        _mirror(ports[0], console)
        consoles.insert(0, console)
        c.add(console, "the first serial port is the console", "第一个串口即控制台")


def _number_isa(ports: list[Serial], c: Completion) -> None:
    """Give ports that their owner called ISA the lowest free numbers, before all others get theirs."""
    taken = {port.target.port for port in ports if port.target is not None}
    for port in ports:
        if port.target is not None and port.target.type == "isa-serial" and port.target.port is None:
            number = next(n for n in range(len(ports) + 1) if n not in taken)
            taken.add(number)
            c.allocate(port.target, "port", number, "the lowest free ISA port", "最小的空闲 ISA 端口")


def finish(domain: Domain, c: Completion) -> None:
    """Number all ports, and let the mirroring console say what its serial port says."""
    if domain.devices is None:
        return
    ports, consoles = domain.devices.of(Serial), domain.devices.of(Console)
    number_ports(ports, c)
    number_ports(domain.devices.of(Parallel), c, behind=False)
    if c.host.libvirt >= (10, 0):
        number_consoles(consoles, c)
    if consoles and ports and mirrors(consoles[0]):
        _mirror(ports[0], consoles[0])
        # It stands where its port does, which `settle` says once that is known.
        consoles[0].address = None
        if consoles[0].target is not None and ports[0].target is not None:
            consoles[0].target.port = ports[0].target.port


def settle(domain: Domain) -> None:
    """Let the mirroring console say where its serial port stands and how it is called, once addresses are given out."""
    if domain.devices is None:
        return
    ports, consoles = domain.devices.of(Serial), domain.devices.of(Console)
    if consoles and ports and mirrors(consoles[0]):
        for slot in ("address", "alias"):
            given = getattr(ports[0], slot)
            setattr(consoles[0], slot, copy(given) if given is not None else None)


def _mirror(source: CharDevice, target: CharDevice) -> None:
    for slot in _SHARED:
        value = getattr(source, slot)
        setattr(target, slot, [copy(v) for v in value] if isinstance(value, list) else value)


def _speaks(port: Serial) -> bool:
    """Say whether the firmware and the kernel talk on this port by themselves."""
    kind = port.target.type if port.target is not None else None
    return kind in (None, "isa-serial", "spapr-vio-serial", "system-serial", "sclp-serial")
