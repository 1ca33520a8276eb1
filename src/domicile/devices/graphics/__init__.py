"""Graphical displays: VNC, SPICE, SDL, D-Bus, RDP, off-screen. Used through `FAMILY` in devices/__init__ and by domain/rules."""

from domicile.devices.family import Family
from domicile.devices.graphics.complete import check, check_mirrors, check_together, defaults, supported
from domicile.devices.graphics.model import Graphics, Listen
from domicile.devices.graphics.plan import environment, place_of, plan, show_run

FAMILY = Family(element=Graphics, defaults=defaults, check=check, alias=lambda device, index, planning: "", plan=plan)

__all__ = [
    "FAMILY",
    "Graphics",
    "Listen",
    "check_mirrors",
    "check_together",
    "environment",
    "place_of",
    "show_run",
    "supported",
]
