"""What stands against adding or taking out a device of a running machine, found out before anything is done. Called by forecast."""

from __future__ import annotations

from typing import TYPE_CHECKING

from domicile.devices.disk import Disk
from domicile.devices.interface import Interface
from domicile.devices.parts.device import Device, PciAddress
from domicile.domain.domain import Domain
from domicile.domain.edit import devices as edit
from domicile.domain.rules import disks
from domicile.plan import boards
from domicile.plan.qemu import Item, Structured
from domicile.service import hotplug, plugging

if TYPE_CHECKING:
    from domicile.service.changes import Running


async def attach(state: Running, device: Device) -> None:
    """Say what stands against adding a device; it is added to the document of `state`, a copy.

    Raises: Unsupported, InvalidRequest, InvalidDocument, HostFailure
    """
    hotplug.check_attach(state.domain, device)
    wanted, new = hotplug.wanted_for(state, device)
    for each in (*new, wanted):
        edit.place(state.domain, each)
        if isinstance(each, Disk):
            disks.arrange(edit.lists(state.domain))
        if isinstance(each, Interface):
            await _card(state, each)
        else:
            await _planned(state, each)


async def _card(state: Running, card: Interface) -> None:
    """Plan an interface with the port of its network that it would be given, and give that back."""
    ports = state.service.networks.ports
    ports.given = state.service.machines.networks
    ports.plug(card, state.domain)
    try:
        await _planned(state, card)
    finally:
        ports.unplug(card)


async def _planned(state: Running, device: Device) -> None:
    _, items, needs = plugging.wishes(state, [device])
    for item in items:
        _check_bus(item)
    check_acpi(state.domain, device)
    await plugging.check_needs(state, needs, device)


def check_detach(domain: Domain, device: Device) -> None:
    """Say what stands against taking out a device. Raises: Unsupported, WrongState."""
    hotplug.check_detach(domain, device, by_name=True)
    check_acpi(domain, device)


def check_acpi(domain: Domain, device: Device) -> None:
    """Refuse a place on a PC's first PCI bus where the guest has no ACPI, by which that bus is told of. Raises: Unsupported."""
    place = device.address
    kind = domain.os.type if domain.os is not None else None
    plain = kind is not None and boards.board(kind.arch or "", kind.machine or "").name == "i440fx"
    if plain and isinstance(place, PciAddress) and not place.bus and not (domain.features and domain.features.acpi):
        raise hotplug.refused(
            "the machine has no ACPI (<features><acpi/>), without which its PCI bus takes nothing while it runs"
        )


def _check_bus(item: Item) -> None:
    """Refuse what would come to a bus that takes nothing while the machine runs: the chipset's own, the root of PCI Express."""
    if not isinstance(item, Structured) or item.flag != "device" or "memdev" in item.props:
        return
    bus = item.props.get("bus")
    if (bus is None and "devno" not in item.props) or bus == "pcie.0":
        where = "the root of PCI Express" if bus else "the chipset's own bus"
        words = f"device '{item.props.get('driver')}' is on {where}, which takes nothing while the machine runs"
        raise hotplug.refused(words)
