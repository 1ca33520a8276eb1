"""QEMU's devices behind the models of USB and SCSI controllers. Used by the other files of this slice."""

from __future__ import annotations

USB = {
    "piix3-uhci": "piix3-usb-uhci", "piix4-uhci": "piix4-usb-uhci", "ehci": "usb-ehci", "ich9-ehci1": "ich9-usb-ehci1",
    "ich9-uhci1": "ich9-usb-uhci1", "ich9-uhci2": "ich9-usb-uhci2", "ich9-uhci3": "ich9-usb-uhci3",
    "vt82c686b-uhci": "vt82c686b-usb-uhci", "pci-ohci": "pci-ohci", "nec-xhci": "nec-usb-xhci", "qemu-xhci": "qemu-xhci",
}  # fmt: skip
SCSI = {
    "lsilogic": "lsi", "lsisas1068": "mptsas1068", "lsisas1078": "megasas", "vmpvscsi": "pvscsi", "ibmvscsi": "spapr-vscsi",
    "dc390": "dc390", "am53c974": "am53c974",
}  # fmt: skip
#: A model that some machines have built in and that cannot be added.
ESP = "ncr53c90"
#: Models that no QEMU has.
UNKNOWN = ("qusb1", "qusb2", "buslogic")
