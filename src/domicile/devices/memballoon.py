"""The balloon: memory the host takes from a running guest and gives back. Used through `FAMILY` in devices/__init__."""

from __future__ import annotations

from collections.abc import Iterator

from domicile.devices.family import Family
from domicile.devices.parts.bus import alias_of, virtio_driver, virtio_props, want_virtio, where
from domicile.devices.parts.device import Device, VirtioOptions
from domicile.devices.parts.omit import omit
from domicile.plan.facts import Completion, Facts, Planning
from domicile.plan.need import Need
from domicile.plan.place import Want
from domicile.plan.qemu import Item, Structured
from domicile.schema import field as f
from domicile.schema.scalar import ON_OFF, UINT, enum
from domicile.schema.shape import Element, element

_VIRTIO = ("virtio", "virtio-transitional", "virtio-non-transitional")


@element("stats", "内存统计")
class BalloonStats(Element):
    """How often the guest reports its use of memory."""

    period: int | None = f.attr("Seconds between two reports.", "两次上报之间的秒数。", UINT, effect="live")


@element("driver", "virtio 选项")
class BalloonDriver(VirtioOptions):
    """What a virtio balloon lets its owner choose."""


@element("memballoon", "内存气球")
class MemBalloon(Device):
    """A device through which a guest's memory shrinks and grows while it runs."""

    model: str | None = f.attr(
        "Its model; none says that there is no balloon.",
        "型号；none 表示没有气球设备。",
        enum(*_VIRTIO, "xen", "none"),
        guest=True,
    )
    autodeflate: bool | None = f.attr(
        "Whether the guest may take memory back before it kills programs for want of it.",
        "客户机内存不足时，可否先取回内存而不终止进程。",
        ON_OFF,
        guest=True,
    )
    freePageReporting: bool | None = f.attr(
        "Whether the guest tells the host which pages it does not use.",
        "客户机是否告知主机哪些页未使用。",
        ON_OFF,
        guest=True,
    )
    stats: BalloonStats | None = f.child("Its reports.", "统计上报。", BalloonStats, keep_empty=False)
    driver: BalloonDriver | None = f.child(
        "Options of virtio.", "virtio 选项。", BalloonDriver, keep_empty=False, order=96
    )


def defaults(balloon: MemBalloon, c: Completion) -> None:
    """Forget where a balloon is that is none."""
    if balloon.model == "none":
        omit(balloon, ("alias", "address"), c, "there is no balloon", "没有气球设备")


def check(balloon: MemBalloon, c: Completion) -> None:
    """Find what cannot be."""
    if balloon.model is None:
        c.problem(balloon, "element 'memballoon' has no attribute 'model'", "virtio, none", "@model")
    elif balloon.model == "xen":
        c.problem(balloon, "memory balloon model 'xen' does not exist in QEMU", "virtio, none", "@model")
    elif balloon.model in _VIRTIO and balloon.address is not None:
        kind = balloon.address.type
        if kind not in ("pci", "ccw", "virtio-mmio"):
            message = f"<memballoon> has an address of type '{kind}'"
            c.problem(balloon.address, message, "pci, ccw, virtio-mmio", "@type")


def place(balloon: MemBalloon, facts: Facts) -> Want | None:
    """Ask for a place on the bus of virtio devices."""
    return want_virtio(balloon, facts, balloon.model) if balloon.model in _VIRTIO else None


def plan(balloon: MemBalloon, p: Planning) -> Iterator[Item | Need]:
    """Ask for the device."""
    if balloon.model not in _VIRTIO:
        return
    props = {
        "driver": virtio_driver("virtio-balloon", balloon, balloon.model),
        **virtio_props(balloon.driver),
        "id": alias_of(balloon),
        "deflate-on-oom": balloon.autodeflate,
        "free-page-reporting": balloon.freePageReporting,
        **where(balloon, p),
    }
    yield Structured("device", props, origin=p.origin(balloon))


FAMILY = Family(
    element=MemBalloon,
    defaults=defaults,
    check=check,
    place=place,
    alias=lambda device, index, planning: f"balloon{index}",
    plan=plan,
)
