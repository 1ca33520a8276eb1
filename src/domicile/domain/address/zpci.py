"""The two numbers by which an s390 guest knows a PCI device, beside its place on the bus. Called by domain/complete and domain/plan.

Given numbers are kept. First devices that have one of the two get the other, then all that have neither.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from domicile.base.errors import INTERNAL_ERROR, XML_ERROR
from domicile.devices.hostdev import Hostdev
from domicile.devices.parts.bus import alias_of
from domicile.devices.parts.device import Device, PciAddress, Zpci
from domicile.domain.address import ccw
from domicile.domain.domain import DeviceLists
from domicile.plan.facts import Completion, Facts
from domicile.plan.need import Need
from domicile.plan.qemu import Item, Structured

_FORMS = {"uid": "#06x", "fid": "#010x"}
_NUMBERS = {"uid": range(1, 0x10000), "fid": range(0x100000000)}
# Devices that never get the numbers, and those whose numbers QEMU is not told. Observed with libvirt 11.3.
_WITHOUT = ("serial", "parallel", "console", "channel")
_UNTOLD = (*_WITHOUT, "memory")


def check(devices: DeviceLists, c: Completion) -> None:
    """Find numbers that are out of range or used twice, or that nothing asks for."""
    seen: dict[str, set[int | None]] = {slot: set() for slot in _NUMBERS}
    for device in ccw.walk(devices):
        address = device.address
        if address is None:
            continue
        zpci = address.zpci if isinstance(address, PciAddress) else None
        if zpci is None or (zpci.uid is None and zpci.fid is None):
            continue
        if not _known(c):
            c.problem(zpci, f"machine type '{c.machine}' has no <zpci>", "no <zpci>")
            continue
        if zpci.uid is not None and zpci.uid not in _NUMBERS["uid"]:
            message = f"a PCI address has uid='{zpci.uid:#06x}'"
            c.problem(zpci, message, "a number > 0x0000 and <= 0xffff", "@uid", code=XML_ERROR)
            continue
        for slot, form in _FORMS.items():
            value = getattr(zpci, slot)
            if value is not None and value in seen[slot]:
                message = f"{slot}='{value:{form}}' of <zpci> is used for more than one device"
                c.problem(zpci, message, "a free number", f"@{slot}", code=INTERNAL_ERROR)
            seen[slot].add(value)


def assign(devices: DeviceLists, c: Completion) -> None:
    """Give every PCI device without numbers the lowest free ones."""
    if not _known(c):
        return
    taken: dict[str, set[int]] = {slot: set() for slot in _NUMBERS}
    begun: list[PciAddress] = []
    bare: list[PciAddress] = []
    for device in ccw.walk(devices):
        address = device.address
        if not isinstance(address, PciAddress):
            continue
        given = {slot: getattr(address.zpci, slot, None) for slot in _NUMBERS}
        for slot, value in given.items():
            if value is not None:
                taken[slot].add(value)
        if any(value is not None for value in given.values()):
            begun.append(address)
        elif device.shape.tag not in _WITHOUT:
            bare.append(address)
    for address in (*begun, *bare):
        zpci = address.zpci or Zpci()
        missing = [slot for slot in _NUMBERS if getattr(zpci, slot) is None]
        for slot in missing:
            number = next(number for number in _NUMBERS[slot] if number not in taken[slot])
            taken[slot].add(number)
            setattr(zpci, slot, number)
        if missing:
            c.allocate(address, "zpci", zpci, "the lowest free numbers", "最小的空闲编号")


def _known(facts: Facts) -> bool:
    return facts.board.pci_needs == "zpci" and facts.pci


def told(device: Device, wishes: Iterable[Item | Need], facts: Facts) -> Iterator[Item | Need]:
    """Put the device that carries the numbers in front of the device they belong to."""
    zpci = device.address.zpci if isinstance(device.address, PciAddress) else None
    untold = device.shape.tag in _UNTOLD or (isinstance(device, Hostdev) and device.type == "mdev")
    if zpci is None or untold or not _known(facts):
        yield from wishes
        return
    name = alias_of(device)
    for wish in wishes:
        if isinstance(wish, Structured) and wish.flag == "device" and wish.props.get("id") == name:
            props = {"driver": "zpci", "uid": zpci.uid, "fid": zpci.fid, "target": name, "id": f"zpci{zpci.uid}"}
            yield Structured("device", props, origin=wish.origin)
        yield wish
