"""USB hubs. Used through `FAMILY` in devices/__init__."""

from __future__ import annotations

from collections.abc import Iterator

from domicile.devices.family import Family
from domicile.devices.parts.bus import alias_of, where
from domicile.devices.parts.device import Device, UsbAddress
from domicile.plan.facts import Completion, Facts, Planning
from domicile.plan.need import Need
from domicile.plan.place import Want, WantUsb
from domicile.plan.qemu import Item, Structured
from domicile.schema import field as f
from domicile.schema.scalar import enum
from domicile.schema.shape import element

_PORTS = 8  # Source: QEMU's usb-hub, which has this many ports; observed with QEMU 7.2.


@element("hub", "USB 集线器")
class Hub(Device):
    """A USB hub: one port becomes eight."""

    type: str | None = f.attr("The kind of bus.", "总线的种类。", enum("usb"), guest=True)


def check(hub: Hub, c: Completion) -> None:
    """Find what cannot be."""
    if hub.type is None:
        c.problem(hub, "element 'hub' has no attribute 'type'", "usb", "@type")
    if hub.address is not None and not isinstance(hub.address, UsbAddress):
        c.problem(hub.address, f"USB <hub> has an address of type '{hub.address.type}'", "usb", "@type")


def place(hub: Hub, facts: Facts) -> Want | None:
    """Ask for a USB port; it brings eight."""
    return WantUsb(hub=_PORTS)


def plan(hub: Hub, p: Planning) -> Iterator[Item | Need]:
    """Ask for the device."""
    props = {"driver": "usb-hub", "id": alias_of(hub), **where(hub, p)}
    yield Structured("device", props, origin=p.origin(hub))


FAMILY = Family(element=Hub, check=check, place=place, plan=plan)
