"""The non-volatile memory of POWER guests. Used through `FAMILY` in devices/__init__."""

from __future__ import annotations

from collections.abc import Iterator

from domicile.devices.family import Family
from domicile.devices.parts.device import Device, SpaprVioAddress
from domicile.plan.facts import Completion, Facts, Planning
from domicile.plan.need import Need
from domicile.plan.place import Want, WantSpaprVio
from domicile.plan.qemu import Item, Keyed
from domicile.schema.shape import element


@element("nvram", "POWER 的非易失内存")
class Nvram(Device):
    """The non-volatile memory a pSeries guest keeps its boot settings in."""


def check(nvram: Nvram, c: Completion) -> None:
    """Find what cannot be."""
    if not c.pseries:
        c.problem(
            nvram, f"<nvram> device does not exist on machine type '{c.machine}' of '{c.arch}'", "machine pseries"
        )
    elif nvram.address is not None and not isinstance(nvram.address, SpaprVioAddress):
        c.problem(nvram.address, f"<nvram> has an address of type '{nvram.address.type}'", "spapr-vio", "@type")


def place(nvram: Nvram, facts: Facts) -> Want | None:
    """Ask for a register."""
    return WantSpaprVio()


def plan(nvram: Nvram, p: Planning) -> Iterator[Item | Need]:
    """Move the machine's own memory to the register."""
    reg = nvram.address.reg if isinstance(nvram.address, SpaprVioAddress) else None
    yield Keyed("-global", (("spapr-nvram.reg", f"{reg or 0:#x}"),), origin=p.origin(nvram))


FAMILY = Family(element=Nvram, check=check, place=place, plan=plan)
