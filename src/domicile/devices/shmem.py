"""Memory shared between guests, or between a guest and a server. Used through `FAMILY` in devices/__init__."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from domicile.devices.family import Family
from domicile.devices.parts.bus import alias_of, want_legacy, where
from domicile.devices.parts.device import Device, PciAddress
from domicile.devices.parts.size import Size
from domicile.plan.facts import Completion, Facts, Planning
from domicile.plan.need import Need
from domicile.plan.place import Want
from domicile.plan.qemu import Item, Keyed, Structured
from domicile.schema import field as f
from domicile.schema.scalar import ON_OFF, UINT, YES_NO, enum
from domicile.schema.shape import Element, element

_MIB = 1 << 20
_USUAL = 4


@element("model", "共享内存设备的型号")
class ShmemModel(Element):
    """The kind of device."""

    type: str | None = f.attr(
        "ivshmem-plain is memory alone, ivshmem-doorbell also wakes the others through a server.",
        "ivshmem-plain 仅有内存，ivshmem-doorbell 还可经服务器唤醒对方。",
        enum("ivshmem", "ivshmem-plain", "ivshmem-doorbell"),
        guest=True,
    )


@element("server", "共享内存服务器")
class ShmemServer(Element):
    """The server that hands out the memory."""

    path: str | None = f.attr("Its unix socket.", "其 unix 套接字。")


@element("msi", "消息中断")
class ShmemMsi(Element):
    """How the guests wake each other."""

    vectors: int | None = f.attr("How many interrupts.", "中断向量数。", UINT, guest=True)
    ioeventfd: bool | None = f.attr("Whether a thread of its own sees them.", "是否由独立线程接收。", ON_OFF)
    enabled: bool | None = f.attr("Kept for older definitions.", "为旧定义保留。", YES_NO)


@element("shmem", "共享内存", identity=("name",))
class Shmem(Device):
    """Memory that several guests see at once."""

    name: str | None = f.attr("The name others find it by.", "他人据以找到它的名称。")
    role: str | None = f.attr(
        "master keeps the memory when it moves to another host; peer does not move.",
        "master 迁移时保留内存；peer 不能迁移。",
        enum("master", "peer"),
    )
    model: ShmemModel | None = f.child("The kind of device.", "设备的种类。", ShmemModel)
    size: Size | None = f.child("How much memory.", "内存大小。", Size, guest=True)
    server: ShmemServer | None = f.child("Who hands it out.", "由谁分发。", ShmemServer)
    msi: ShmemMsi | None = f.child("How guests wake each other.", "如何互相唤醒。", ShmemMsi)


def defaults(shmem: Shmem, c: Completion) -> None:
    """Fill in the size, in MiB."""
    kind = shmem.model.type if shmem.model is not None else None
    if kind == "ivshmem-plain" and shmem.size is None:
        c.default(shmem, "size", Size(unit="M", value=_USUAL), "the usual size", "常用大小")
    size = shmem.size
    if size is not None and size.unit != "M":
        count = size.count()
        if count is not None:
            size.unit, size.value = "M", count // _MIB
    if kind == "ivshmem-doorbell" and shmem.server is not None and shmem.msi is None:
        c.default(shmem, "msi", ShmemMsi(), "this is how its guests wake each other", "客户机以此互相唤醒")
    if shmem.msi is not None:
        shmem.msi.enabled = None
        if shmem.msi.ioeventfd is None:
            c.default(shmem.msi, "ioeventfd", True, "spares the guest's CPU", "减轻客户机 CPU 负担")


def check(shmem: Shmem, c: Completion) -> None:
    """Find what cannot be."""
    kind = shmem.model.type if shmem.model is not None else None
    if shmem.name is None:
        c.problem(shmem, "element 'shmem' has no attribute 'name'", "a name without slashes", "@name")
    elif "/" in shmem.name or shmem.name in ("", ".", ".."):
        c.problem(
            shmem, f"<shmem> name '{shmem.name}' is no plain name; '/' has no place in it", "another name", "@name"
        )
    if shmem.msi is not None and shmem.server is None:
        c.problem(shmem.msi, "<msi> of <shmem> is only possible with a <server>", "<server path='…'/>")
    if kind in (None, "ivshmem"):
        where = shmem.model or shmem
        c.problem(where, "shmem model 'ivshmem' is gone from QEMU", "ivshmem-plain, ivshmem-doorbell", "@type")
    elif kind == "ivshmem-plain" and shmem.server is not None:
        c.problem(shmem.server, f"shmem model '{kind}' has no <server>", "model ivshmem-doorbell")
    elif kind == "ivshmem-doorbell" and shmem.server is None:
        c.problem(shmem, f"shmem model '{kind}' needs a <server>", "<server path='…'/>", "server")
    if kind == "ivshmem-doorbell" and shmem.size is not None:
        c.problem(shmem.size, f"shmem model '{kind}' has its <size> from the server", "no <size>")
    elif shmem.size is not None and not _power_of_two(shmem.size.value or 0):
        c.problem(shmem.size, f"element 'size' has the value '{shmem.size.value}' MiB", "a power of two, 1 MiB or more")
    if shmem.address is not None and not isinstance(shmem.address, PciAddress):
        c.problem(shmem.address, f"<shmem> has an address of type '{shmem.address.type}'", "pci", "@type")


def _power_of_two(number: int) -> bool:
    return number > 0 and number & (number - 1) == 0


def place(shmem: Shmem, facts: Facts) -> Want | None:
    """Ask for a PCI slot."""
    return want_legacy()


def plan(shmem: Shmem, p: Planning) -> Iterator[Item | Need]:
    """Ask for the memory or the connection to its server, and the device."""
    origin, name = p.origin(shmem), alias_of(shmem)
    kind = shmem.model.type if shmem.model is not None else None
    props: dict[str, Any] = {"driver": kind, "id": name}
    if kind == "ivshmem-plain":
        memory = {
            "qom-type": "memory-backend-file",
            "id": f"shmmem-{name}",
            "mem-path": f"/dev/shm/{shmem.name}",  # noqa: S108  (where POSIX shared memory is, and other guests look)
            "size": (shmem.size.count() if shmem.size is not None else None) or _USUAL * _MIB,
            "share": True,
        }
        yield Structured("object", memory, origin=origin)
        props["memdev"] = f"shmmem-{name}"
    else:
        path = shmem.server.path if shmem.server is not None else None
        path = path or f"{p.host.directories.run}/shmem-{shmem.name}-sock"
        yield Keyed("-chardev", (("", "socket"), ("id", f"char{name}"), ("path", path)), origin=origin)
        props["chardev"] = f"char{name}"
        if shmem.msi is not None:
            props |= {"vectors": shmem.msi.vectors, "ioeventfd": shmem.msi.ioeventfd}
    if shmem.role is not None and kind == "ivshmem-plain":
        props["master"] = "on" if shmem.role == "master" else "off"
    yield Structured("device", {**props, **where(shmem, p)}, origin=origin)


FAMILY = Family(element=Shmem, defaults=defaults, check=check, place=place, plan=plan)
