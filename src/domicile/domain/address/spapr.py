"""Registers on the virtual I/O bus of pSeries. Called by domain/complete.

Each family counts up from the register that QEMU itself begins with; given registers are kept.
"""

from __future__ import annotations

from domicile.base.errors import XML_ERROR
from domicile.devices import BY_TAG
from domicile.devices.controller import Controller
from domicile.devices.parts.device import Device, SpaprVioAddress
from domicile.domain.domain import DeviceLists
from domicile.plan.facts import Completion
from domicile.plan.place import WantSpaprVio

#: The first register of each family, in the order in which they are served. Source: QEMU's hw/net/spapr_llan,
#: hw/scsi/spapr_vscsi, hw/char/spapr_vty, hw/nvram/spapr_nvram; observed with libvirt 11.3.
FIRST = {"interface": 0x1000, "controller": 0x2000, "serial": 0x30000000, "nvram": 0x3000, "tpm": 0x4000}
_STEP = 0x1000


def assign(devices: DeviceLists, c: Completion) -> None:
    """Give every device on the bus a register of its own."""
    taken: set[int] = set()
    for device in devices.every():
        address = device.address
        if isinstance(address, SpaprVioAddress) and address.reg is not None and _is_own(device):
            if address.reg in taken:
                message = f"spapr-vio address '{address.reg:#010x}' is used twice"
                c.problem(address, message, "a free register", "@reg", code=XML_ERROR)
            taken.add(address.reg)
    for tag, first in FIRST.items():
        for device in getattr(devices, tag, ()):
            if isinstance(device, Controller) and device.type != "scsi":
                continue
            if not isinstance(BY_TAG[tag].place(device, c), WantSpaprVio):
                continue
            if isinstance(device.address, SpaprVioAddress) and device.address.reg is not None:
                continue
            reg = first
            while reg in taken:
                reg += _STEP
            taken.add(reg)
            address = SpaprVioAddress(reg=reg)
            c.allocate(device, "address", address, "the first free register of its kind", "同类中第一个空闲寄存器")


def _is_own(device: Device) -> bool:
    """Say whether it is a device and not another name of one."""
    return device.shape.tag != "console"
