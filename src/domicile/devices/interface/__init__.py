"""Interfaces. Used through `FAMILY` in devices/__init__."""

from domicile.devices.family import Family
from domicile.devices.interface.complete import check, defaults, place
from domicile.devices.interface.model import Interface, InterfaceTarget
from domicile.devices.interface.plan import plan

FAMILY = Family(
    element=Interface, defaults=defaults, check=check, place=place, alias=lambda d, i, p: f"net{i}", plan=plan
)

__all__ = ["FAMILY", "Interface", "InterfaceTarget"]
