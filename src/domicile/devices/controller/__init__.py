"""Controllers. Used through `FAMILY` in devices/__init__."""

from domicile.devices.controller.complete import alias, check, default_scsi, default_usb, defaults, pci_want, place
from domicile.devices.controller.model import Controller, ControllerModelName, ControllerTarget
from domicile.devices.controller.plan import plan
from domicile.devices.family import Family

FAMILY = Family(element=Controller, defaults=defaults, check=check, place=place, alias=alias, plan=plan)

__all__ = [
    "FAMILY",
    "Controller",
    "ControllerModelName",
    "ControllerTarget",
    "default_scsi",
    "default_usb",
    "pci_want",
]
