"""Devices of the host given to the guest: PCI, USB, SCSI, vhost-scsi, mediated. Used through `FAMILY` and by domain/rules."""

from domicile.devices.family import Family
from domicile.devices.hostdev.complete import check, check_together, defaults, place
from domicile.devices.hostdev.model import Hostdev
from domicile.devices.hostdev.plan import lent_name, pci_name, plan, scsi_name

FAMILY = Family(
    element=Hostdev,
    defaults=defaults,
    check=check,
    place=place,
    alias=lambda device, index, planning: f"hostdev{index}",
    plan=plan,
)

__all__ = ["FAMILY", "Hostdev", "check_together", "lent_name", "pci_name", "scsi_name"]
