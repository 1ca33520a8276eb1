"""Disks, CD-ROMs, floppies and LUNs. Used through `FAMILY` in devices/__init__."""

from domicile.devices.disk.checks import check
from domicile.devices.disk.complete import alias, defaults, place
from domicile.devices.disk.model import Disk
from domicile.devices.disk.plan import plan
from domicile.devices.family import Family

FAMILY = Family(element=Disk, defaults=defaults, check=check, place=place, alias=alias, plan=plan)

__all__ = ["FAMILY", "Disk"]
