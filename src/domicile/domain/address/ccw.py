"""Device numbers on channel subsystems, the bus of virtio devices on s390. Called by domain/complete.

Given numbers are kept; the others are counted up in subsystem 0xfe, in an order of families that never changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from operator import attrgetter

from domicile.base.errors import INTERNAL_ERROR, XML_ERROR
from domicile.devices import BY_TAG, FAMILIES
from domicile.devices.parts.device import CcwAddress, Device
from domicile.domain.domain import DeviceLists
from domicile.plan.facts import Completion
from domicile.plan.place import WantCcw

#: The subsystem that virtio devices are in, and the greatest parts of an address. Source: QEMU, docs/system/s390x/css.rst.
VIRTIO_CSS = 0xFE
MOST = {"cssid": 0xFE, "ssid": 3, "devno": 0xFFFF}
#: The order in which families are walked. Observed with libvirt 9.0.
ORDER = (
    "disk", "interface", "sound", "hostdev", "video", "controller", "smartcard", "serial", "parallel", "channel", "console",
    "input", "filesystem", "watchdog", "memballoon", "rng", "nvram", "hub", "shmem", "tpm", "panic", "redirdev", "memory",
    "iommu", "vsock", "crypto", "pstore",
)  # fmt: skip
_lists: Callable[[DeviceLists], tuple[list[Device], ...]] = attrgetter(
    *ORDER, *(family.tag for family in FAMILIES if family.tag not in ORDER)
)


def walk(devices: DeviceLists) -> Iterator[Device]:
    """Walk all devices in the order in which their identities on the channel are given out."""
    return chain.from_iterable(_lists(devices))


def check(devices: DeviceLists, c: Completion) -> None:
    """Find addresses that are incomplete, out of range, used twice, or on a machine without channels."""
    seen: set[tuple[int, int, int]] = set()
    for device in walk(devices):
        address = device.address
        if device.rom is not None or device.acpi is not None:
            _check_pci_only(device, c)
        if not isinstance(address, CcwAddress):
            continue
        if c.board.virtio != "ccw":
            message = f"<{device.shape.tag}> has an address of type 'ccw', which machine type '{c.machine}' has not"
            c.problem(address, message, "pci", "@type")
            continue
        parts = {slot: getattr(address, slot) for slot in MOST}
        given = {slot: value for slot, value in parts.items() if value is not None}
        if given and len(given) < len(MOST):
            missing = ", ".join(f"'{slot}'" for slot in MOST if slot not in given)
            accepted = "cssid, ssid and devno, or none of them"
            c.problem(address, f"an address of type 'ccw' lacks {missing}", accepted, code=INTERNAL_ERROR)
        elif any(value > MOST[slot] for slot, value in given.items()):
            text = f"cssid='{parts['cssid']:#x}' ssid='{parts['ssid']:#x}' devno='{parts['devno']:#06x}'"
            accepted = ", ".join(f"{slot} 0 to {most:#x}" for slot, most in MOST.items())
            c.problem(address, f"an address of type 'ccw' has {text}", accepted, code=INTERNAL_ERROR)
        elif given:
            place = _place(address)
            if place in seen:
                c.problem(address, f"device number '{name(address)}' is used twice", "a free devno", code=XML_ERROR)
            seen.add(place)


def _check_pci_only(device: Device, c: Completion) -> None:
    """Find what only PCI devices have on a device of the channel."""
    for slot, what in (("rom", "<rom>"), ("acpi", "an ACPI index")):
        element = getattr(device, slot)
        if element is not None and isinstance(BY_TAG[device.shape.tag].place(device, c), WantCcw):
            c.problem(element, f"<{device.shape.tag}> on a channel has {what}, which only PCI devices have", "", "")


def assign(devices: DeviceLists, c: Completion) -> None:
    """Give every device of the channel without a number the lowest free one of the virtio subsystem."""
    if c.board.virtio != "ccw":
        return
    wanting: list[Device] = []
    taken: set[tuple[int, int, int]] = set()
    for device in walk(devices):
        address = device.address
        if isinstance(address, CcwAddress) and address.devno is not None:
            taken.add(_place(address))
        elif isinstance(address, CcwAddress) or (
            address is None and isinstance(BY_TAG[device.shape.tag].place(device, c), WantCcw)
        ):
            wanting.append(device)
    numbers = ((VIRTIO_CSS, ssid, devno) for ssid in range(MOST["ssid"] + 1) for devno in range(MOST["devno"] + 1))
    free = (number for number in numbers if number not in taken)
    for device in wanting:
        found = next(free, None)
        if found is None:
            c.problem(device, "no device number is free on the channel", "fewer devices", code=INTERNAL_ERROR)
            return
        cssid, ssid, devno = found
        address = CcwAddress(cssid=cssid, ssid=ssid, devno=devno)
        c.allocate(device, "address", address, "the first free device number", "第一个空闲设备号")


def name(address: CcwAddress) -> str:
    """Write an address as the kernel does: fe.0.0001."""
    return f"{address.cssid or 0:x}.{address.ssid or 0:x}.{address.devno or 0:04x}"


def _place(address: CcwAddress) -> tuple[int, int, int]:
    return address.cssid or 0, address.ssid or 0, address.devno or 0
