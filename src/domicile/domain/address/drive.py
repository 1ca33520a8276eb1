"""Places of SCSI host devices on SCSI controllers, among the disks there. Called by domain/complete."""

from __future__ import annotations

from itertools import count

from domicile.devices.disk import Disk
from domicile.devices.hostdev import Hostdev
from domicile.devices.parts.device import DriveAddress
from domicile.domain.domain import DeviceLists
from domicile.plan.facts import Completion

# Units of one bus that are given out; an owner may name more. Observed with libvirt 9.0.
UNITS = 7


def assign(devices: DeviceLists, c: Completion) -> None:
    """Give every SCSI host device without an address the first free unit of the first controller that has one."""
    hostdevs = [h for h in devices.of(Hostdev) if h.type == "scsi"]
    disks = [d for d in devices.of(Disk) if d.target is not None and d.target.bus == "scsi"]
    taken = {
        (a.controller, a.bus, a.target, a.unit)
        for a in (device.address for device in (*disks, *hostdevs))
        if isinstance(a, DriveAddress)
    }
    for hostdev in hostdevs:
        if hostdev.address is not None:
            continue
        free = (
            (controller, 0, 0, unit)
            for controller in count()
            for unit in range(UNITS)
            if (controller, 0, 0, unit) not in taken
        )
        place = next(free)
        taken.add(place)
        address = DriveAddress(controller=place[0], unit=place[3])
        c.allocate(
            hostdev, "address", address, "the first free unit of a SCSI controller", "SCSI 控制器上第一个空闲单元"
        )
