"""Places on SCSI controllers: what old controllers do not have, and what two devices may not share. Used by `together`."""

from __future__ import annotations

from domicile.devices.controller import Controller
from domicile.devices.disk import Disk
from domicile.devices.hostdev import Hostdev
from domicile.devices.parts.bus import NARROW
from domicile.devices.parts.device import DriveAddress
from domicile.domain.domain import DeviceLists
from domicile.plan.facts import Completion

_UNITS = 8


def check(devices: DeviceLists, c: Completion) -> None:
    """Find places that controllers do not have, and places taken twice."""
    models = {k.index or 0: k.model for k in devices.of(Controller) if k.type == "scsi"}
    disks = [d for d in devices.of(Disk) if d.target is not None and d.target.bus == "scsi"]
    taken: dict[tuple[int, ...], str] = {}
    for disk in disks:
        if isinstance(disk.address, DriveAddress):
            dev = disk.target.dev or "" if disk.target is not None else ""
            taken[_place(disk.address)] = f"the disk '{dev}'"
            _narrow(f"disk '{dev}'", disk.address, models, c, lent=False)
    for device in devices.of(Hostdev):
        address = device.address
        if device.type != "scsi" or not isinstance(address, DriveAddress):
            continue
        _narrow("a SCSI device of the host", address, models, c, lent=True)
        holder = taken.get(_place(address))
        if holder is not None:
            where = (
                f"controller='{address.controller}' bus='{address.bus}' target='{address.target}' unit='{address.unit}'"
            )
            c.problem(address, f"the SCSI host device address {where} is already that of {holder}", "a free unit")
        taken[_place(address)] = "another SCSI host device"


def _place(address: DriveAddress) -> tuple[int, ...]:
    return address.controller, address.bus, address.target, address.unit


def _narrow(what: str, address: DriveAddress, models: dict[int, str | None], c: Completion, *, lent: bool) -> None:
    model = models.get(address.controller)
    if model not in NARROW:
        return
    if address.target:
        c.problem(address, f"{what} has target {address.target} on a controller of model '{model}'", "0", "@target")
    if lent and address.unit >= _UNITS:
        c.problem(address, f"{what} has unit {address.unit} on a controller of model '{model}'", "0 to 7", "@unit")
