"""Storage in which a crashing guest's kernel leaves its last words. Used through `FAMILY` in devices/__init__."""

from __future__ import annotations

from collections.abc import Iterator

from domicile.devices.family import Family
from domicile.devices.parts.bus import alias_of, want_legacy, where
from domicile.devices.parts.device import Device, PciAddress
from domicile.devices.parts.size import Size
from domicile.plan.facts import Completion, Facts, Planning
from domicile.plan.need import Need, NewFile
from domicile.plan.place import Want
from domicile.plan.qemu import Item, Structured
from domicile.schema import field as f
from domicile.schema.scalar import enum
from domicile.schema.shape import element

_KIB = 1024


@element("pstore", "崩溃日志存储")
class Pstore(Device):
    """A small store that survives a crash of the guest."""

    backend: str | None = f.attr("How the guest reaches it.", "客户机的访问方式。", enum("acpi-erst"), guest=True)
    path: str | None = f.leaf("The file that holds it.", "保存内容的文件。")
    size: Size | None = f.child("How much it holds.", "容量。", Size, guest=True)


def defaults(pstore: Pstore, c: Completion) -> None:
    """Bring the size to KiB."""
    size = pstore.size
    if size is not None and size.unit != "KiB":
        count = size.count()
        if count is not None:
            size.unit, size.value = "KiB", -(-count // _KIB)


def check(pstore: Pstore, c: Completion) -> None:
    """Find what cannot be."""
    if pstore.backend is None:
        c.problem(pstore, "element 'pstore' has no attribute 'backend'", "acpi-erst", "@backend")
    elif not c.caps.has_device(pstore.backend):
        c.problem(pstore, f"this QEMU has no pstore backend '{pstore.backend}'", "another QEMU", "@backend")
    if pstore.size is None or not pstore.size.value:
        c.problem(pstore, "element 'pstore' has no <size>", "<size unit='KiB'>8</size>", "size")
    if not pstore.path:
        c.problem(pstore, "element 'pstore' has no <path>", "an absolute path", "path")
    if pstore.address is not None and not isinstance(pstore.address, PciAddress):
        c.problem(pstore.address, f"<pstore> has an address of type '{pstore.address.type}'", "pci", "@type")


def place(pstore: Pstore, facts: Facts) -> Want | None:
    """Ask for a PCI slot."""
    return want_legacy()


def plan(pstore: Pstore, p: Planning) -> Iterator[Item | Need]:
    """Ask for the memory that is kept in the file, and the device."""
    origin, name = p.origin(pstore), alias_of(pstore)
    memory = {
        "qom-type": "memory-backend-file",
        "id": f"mem{name}",
        "mem-path": pstore.path,
        "size": pstore.size.count() if pstore.size is not None else None,
        "share": True,
    }
    if pstore.path and pstore.size is not None:
        yield NewFile(pstore.path, writable=True, size=pstore.size.count() or 0, origin=origin)
    yield Structured("object", memory, origin=origin)
    props = {"driver": pstore.backend, "id": name, "memdev": f"mem{name}", **where(pstore, p)}
    yield Structured("device", props, origin=origin)


FAMILY = Family(element=Pstore, defaults=defaults, check=check, place=place, plan=plan)
