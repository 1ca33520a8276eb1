"""Sockets between guest and host that need no network. Used through `FAMILY` in devices/__init__."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from domicile.devices.family import Family
from domicile.devices.parts.bus import alias_of, virtio_driver, virtio_props, want_virtio, where
from domicile.devices.parts.device import Device, VirtioOptions
from domicile.plan.facts import Completion, Facts, Planning
from domicile.plan.need import Need, OpenDevice
from domicile.plan.place import Want
from domicile.plan.qemu import Item, Structured
from domicile.schema import field as f
from domicile.schema.scalar import UINT, YES_NO, enum
from domicile.schema.shape import Element, element

_FIRST = 3  # 0, 1 and 2 are reserved: hypervisor, loopback, host. Source: Linux, vsock(7).


@element("cid", "vsock 地址")
class Cid(Element):
    """The number other parties reach the guest by."""

    auto: bool | None = f.attr("Whether one is chosen at each start.", "是否在每次启动时自动选择。", YES_NO)
    address: int | None = f.attr("The number, 3 or more.", "编号，不小于 3。", UINT, guest=True)


@element("driver", "virtio 选项")
class VsockDriver(VirtioOptions):
    """What a virtio socket device lets its owner choose."""


@element("vsock", "vsock 设备")
class Vsock(Device):
    """Sockets between guest and host."""

    model: str | None = f.attr(
        "The flavour of virtio.",
        "virtio 的变体。",
        enum("virtio", "virtio-transitional", "virtio-non-transitional"),
        guest=True,
    )
    cid: Cid | None = f.child("The guest's number.", "客户机的编号。", Cid)
    driver: VsockDriver | None = f.child("Options of virtio.", "virtio 选项。", VsockDriver, keep_empty=False, order=96)


def defaults(vsock: Vsock, c: Completion) -> None:
    """Fill in the model and who chooses the number."""
    if vsock.model is None:
        c.default(vsock, "model", "virtio", "the only kind there is", "唯一的种类")
    if vsock.cid is None:
        vsock.cid = Cid()
    if vsock.cid.auto is None:
        auto = vsock.cid.address is None
        c.default(vsock.cid, "auto", auto, "by whether a number is given", "取决于是否给出编号")


def check(vsock: Vsock, c: Completion) -> None:
    """Find what cannot be."""
    cid = vsock.cid
    if cid is not None and cid.address is not None and cid.address < _FIRST:
        c.problem(cid, f"attribute 'address' of element 'cid' has the value '{cid.address}'", "3 or more", "@address")
    elif cid is not None and cid.address is None and not cid.auto:
        c.problem(cid, "element 'cid' has neither auto='yes' nor an attribute 'address'", "auto='yes'", "@address")
    if vsock.address is not None and vsock.address.type not in ("pci", "ccw", "virtio-mmio"):
        kind = vsock.address.type
        c.problem(vsock.address, f"<vsock> has an address of type '{kind}'", "pci, ccw, virtio-mmio", "@type")


def place(vsock: Vsock, facts: Facts) -> Want | None:
    """Ask for a place on the bus of virtio devices."""
    return want_virtio(vsock, facts, vsock.model)


def plan(vsock: Vsock, p: Planning) -> Iterator[Item | Need]:
    """Ask for the device; a number that is chosen for it comes from the machine's UUID, so that it stays the same."""
    origin = p.origin(vsock)
    given = vsock.cid.address if vsock.cid is not None else None
    token = f"{alias_of(vsock)}-vhost"
    yield OpenDevice(token, "/dev/vhost-vsock", origin=origin)
    props: dict[str, Any] = {
        "driver": virtio_driver("vhost-vsock", vsock, vsock.model),
        **virtio_props(vsock.driver),
        "id": alias_of(vsock),
        "guest-cid": given or p.host.vsock_cid(p.uuid),
        "vhostfd": f"{{fd:{token}}}",
        **where(vsock, p),
    }
    yield Structured("device", props, origin=origin)


FAMILY = Family(element=Vsock, defaults=defaults, check=check, place=place, plan=plan)
