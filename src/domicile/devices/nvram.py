"""The non-volatile memory of POWER guests. Used through `FAMILY` in devices/__init__."""

from __future__ import annotations

from collections.abc import Iterator

from domicile.devices.family import Family
from domicile.devices.parts.device import Device, SpaprVioAddress
from domicile.plan.facts import Completion, Planning
from domicile.plan.need import Need
from domicile.plan.qemu import Item, Keyed
from domicile.schema.shape import element

_REGISTER = 0x3000  # Source: libvirt's documentation of the nvram device; observed in pSeries definitions.


@element("nvram", "POWER 的非易失内存")
class Nvram(Device):
    """The non-volatile memory a pSeries guest keeps its boot settings in."""


def defaults(nvram: Nvram, c: Completion) -> None:
    """Fill in the register."""
    if c.pseries and nvram.address is None:
        address = SpaprVioAddress(reg=_REGISTER)
        c.allocate(nvram, "address", address, "its usual register", "惯用的寄存器")
    elif isinstance(nvram.address, SpaprVioAddress) and nvram.address.reg is None:
        c.allocate(nvram.address, "reg", _REGISTER, "its usual register", "惯用的寄存器")


def check(nvram: Nvram, c: Completion) -> None:
    """Find what cannot be."""
    if not c.pseries:
        c.problem(
            nvram, f"<nvram> device does not exist on machine type '{c.machine}' of '{c.arch}'", "machine pseries"
        )
    elif nvram.address is not None and not isinstance(nvram.address, SpaprVioAddress):
        c.problem(nvram.address, f"<nvram> has an address of type '{nvram.address.type}'", "spapr-vio", "@type")


def plan(nvram: Nvram, p: Planning) -> Iterator[Item | Need]:
    """Move the machine's own memory to the register."""
    reg = nvram.address.reg if isinstance(nvram.address, SpaprVioAddress) else None
    yield Keyed("-global", (("spapr-nvram.reg", f"{reg or _REGISTER:#x}"),), origin=p.origin(nvram))


FAMILY = Family(element=Nvram, defaults=defaults, check=check, plan=plan)
