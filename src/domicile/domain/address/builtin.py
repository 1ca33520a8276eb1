"""The places a chipset has built in: its bridges, its disk and USB controllers, the first display.

Used by `pci` in both passes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from domicile.devices.controller import Controller
from domicile.devices.parts.device import Device, PciAddress
from domicile.domain.address.buses import MODELS, Buses
from domicile.domain.domain import DeviceLists
from domicile.plan.facts import Completion
from domicile.plan.place import WantPci

Given = Callable[[Device], PciAddress | None]

# Where the chipset's own bridge is.
_BRIDGES = {"i440fx": ((1, 0),), "q35": ((0x1F, 0),)}

__all__ = ["MODELS", "give", "reserve"]


def reserve(devices: DeviceLists, buses: Buses, c: Completion, given: Given) -> None:
    """Mark what the chipset itself takes."""
    root = buses.buses[0]
    for slot, function in _BRIDGES.get("i440fx" if c.i440fx else "q35" if c.q35 else "", ()):
        if root.taken(slot, function):
            holder = next((d for d in devices.every() if _stands(given(d), slot, function)), None)
            what = f"PCI address '0000:00:{slot:02x}.{function}', where the chipset itself is, is used twice"
            c.problem(holder, what, "a free slot", "address")
    if c.i440fx:
        for device in devices.of(Controller):
            fixed = _i440fx(device)
            address = given(device)
            if (
                fixed is not None
                and address is not None
                and (address.bus, address.slot, address.function) != (0, 1, fixed)
            ):
                what = "primary IDE controller" if device.type == "ide" else "PIIX3 USB controller at index 0"
                c.problem(
                    address, f"the {what} must be at PCI address '0:0:1.{fixed}'", f"bus 0, slot 1, function {fixed}"
                )
            elif fixed is not None and address is None and root.taken(1, fixed):
                place = f"0000:00:01.{fixed}"
                c.problem(
                    device,
                    f"PCI address '{place}', where this '{device.type}' controller is built in, is used twice",
                    "a free slot",
                )
        root.take_slot(1)
    elif c.q35:
        for function in (0, 3):
            if not root.taken(0x1F, function):
                root.take(0x1F, function, False)
        for device in devices.of(Controller):
            if device.type != "sata" or device.index != 0:
                continue
            address = given(device)
            if address is None:
                if root.taken(0x1F, 2):
                    what = "PCI address '0000:00:1f.2', where the primary SATA controller is, is used twice"
                    c.problem(device, what, "a free slot for the other", "address")
                continue
            if (address.bus, address.slot, address.function) != (0, 0x1F, 2):
                what = "the primary SATA controller must be at PCI address '0:0:1f.2'"
                c.problem(address, what, "bus 0, slot 0x1f, function 2")


def _stands(address: PciAddress | None, slot: int, function: int) -> bool:
    place = (0, slot, function)
    return address is not None and (address.bus or 0, address.slot or 0, address.function or 0) == place


def give(devices: DeviceLists, buses: Buses, c: Completion, trial: Any) -> None:
    """Give the built-in devices their own places."""
    if c.i440fx:
        for device in devices.of(Controller):
            fixed = _i440fx(device)
            if fixed is not None and trial.given(device) is None:
                trial.put(device, PciAddress(domain=0, bus=0, slot=1, function=fixed), c)
        _display(devices, buses, c, trial, 2)
    elif c.q35:
        _q35(devices, buses, c, trial)
        _display(devices, buses, c, trial, 1)


def _i440fx(device: Controller) -> int | None:
    """Say which function of slot 1 a built-in controller is."""
    if device.type == "ide" and device.index == 0:
        return 1
    if device.type == "usb" and device.index == 0 and device.model == "piix3-uhci":
        return 2
    return None


def _put(device: Device, buses: Buses, slot: int, function: int, c: Completion, trial: Any) -> None:
    buses.buses[0].take(slot, function, False)
    trial.put(device, PciAddress(domain=0, bus=0, slot=slot, function=function), c)


def _q35(devices: DeviceLists, buses: Buses, c: Completion, trial: Any) -> None:
    root = buses.buses[0]
    for device in devices.of(Controller):
        if (
            device.model == "pcie-root-port" or trial.given(device) is not None
        ):  # ports, of which there may be many, are none
            continue
        if device.type == "sata" and device.index == 0:
            _put(device, buses, 0x1F, 2, c, trial)
        elif device.type == "usb" and device.model == "ich9-uhci1":
            _ich9(device, devices, buses, c, trial)
        elif device.model == "dmi-to-pci-bridge" and not root.taken(0x1E):
            _put(device, buses, 0x1E, 0, c, trial)
    for sound in getattr(devices, "sound", ()):
        if sound.model == "ich9" and trial.given(sound) is None and not root.taken(0x1B):
            _put(sound, buses, 0x1B, 0, c, trial)
            break


def _ich9(device: Controller, devices: DeviceLists, buses: Buses, c: Completion, trial: Any) -> None:
    """Put the first companion of a chipset's USB 2 controller where real hardware has it: slot 0x1d, a second one 0x1a.

    The others of its group follow it into its slot.
    """
    root = buses.buses[0]
    mates = [trial.given(k) for k in devices.of(Controller) if k.type == "usb" and k.index == device.index]
    together = next((a for a in mates if a is not None and a.bus == 0), None)
    slot = together.slot if together is not None else next((s for s in (0x1D, 0x1A) if not root.taken(s)), None)
    if slot is not None and not root.taken(slot, 0):
        root.take(slot, 0, False)
        trial.put(device, PciAddress(domain=0, bus=0, slot=slot, function=0, multifunction=True), c)


def _display(devices: DeviceLists, buses: Buses, c: Completion, trial: Any, slot: int) -> None:
    """Give the first display the slot that firmware and old guests expect it in."""
    from domicile.devices import BY_TAG

    displays = getattr(devices, "video", [])
    if not displays or trial.given(displays[0]) is not None:
        return
    want = BY_TAG["video"].place(displays[0], c)
    if not isinstance(want, WantPci) or not isinstance(displays[0].address, PciAddress | None):
        return
    if not buses.buses[0].taken(slot):
        _put(displays[0], buses, slot, 0, c, trial)
        return
    found = buses.next(want.flags)
    if found is not None:
        buses.buses[found[0]].take(found[1], found[2], False)
        trial.put(displays[0], PciAddress(domain=0, bus=found[0], slot=found[1], function=found[2]), c)
