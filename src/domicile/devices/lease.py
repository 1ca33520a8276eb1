"""Leases of a lock manager. Used through `FAMILY` in devices/__init__; QEMU knows nothing of them."""

from __future__ import annotations

from domicile.devices.family import Family
from domicile.devices.parts.device import Device
from domicile.devices.parts.omit import omit
from domicile.plan.facts import Completion
from domicile.schema import field as f
from domicile.schema.scalar import FILLED, ULONG
from domicile.schema.shape import Element, element


@element("target", "租约文件")
class LeaseTarget(Element):
    """The file the lease is kept in."""

    path: str | None = f.attr("The file.", "文件路径。", FILLED, required=True)
    offset: int | None = f.attr("Where in the file, in bytes.", "在文件中的偏移（字节）。", ULONG)


@element("lease", "锁租约", identity=("lockspace", "key"))
class Lease(Device):
    """A lease the machine holds while it runs, so that no other may run with it."""

    lockspace: str | None = f.leaf("The space the key belongs to.", "键所属的锁空间。", FILLED, effect="never")
    key: str | None = f.leaf("The name of the lease.", "租约的键。", FILLED, effect="never", required=True)
    target: LeaseTarget | None = f.child("Where it is kept.", "保存位置。", LeaseTarget)


def defaults(lease: Lease, c: Completion) -> None:
    """Leave out what is not part of a lease."""
    omit(lease, ("boot", "alias", "master", "rom", "acpi", "address"), c, "a lease is no device", "租约不是设备")
    if lease.target is not None and lease.target.offset == 0:
        lease.target.offset = None


def check(lease: Lease, c: Completion) -> None:
    """Find what is missing."""
    for slot in ("lockspace", "key"):
        if getattr(lease, slot) is None:
            c.problem(lease, f"element 'lease' has no element '{slot}'", f"<{slot}>…</{slot}>", slot)
    if lease.target is None or lease.target.path is None:
        c.problem(
            lease, "element 'lease' has no 'target' with an attribute 'path'", "<target path='…'/>", "target/@path"
        )


FAMILY = Family(element=Lease, defaults=defaults, check=check, alias=lambda device, index, planning: "")
