"""Interfaces. Used through `FAMILY` in devices/__init__."""

from domicile.devices.family import Family
from domicile.devices.interface.checks import check
from domicile.devices.interface.complete import alias, defaults, place
from domicile.devices.interface.model import Interface, InterfaceTarget
from domicile.devices.interface.plan import plan, plan_hostdev

FAMILY = Family(element=Interface, defaults=defaults, check=check, place=place, alias=alias, plan=plan)

__all__ = ["FAMILY", "Interface", "InterfaceTarget", "plan_hostdev"]
