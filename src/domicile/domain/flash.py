"""The machine's firmware and ACPI tables in QEMU's words, and what they need of the host. Called by domain/plan."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from domicile.devices.disk.protocol import PORTS, storage
from domicile.devices.disk.source import DiskSource
from domicile.domain.domain import Domain
from domicile.domain.os import Loader, Nvram
from domicile.plan.facts import Planning
from domicile.plan.firmware import template_of
from domicile.plan.need import Copied, File, Need
from domicile.plan.qemu import NULL, Item, Keyed, Structured
from domicile.schema import tree

_TABLES = {"slic": "SLIC", "msdm": "MSDM"}


def wishes(domain: Domain, p: Planning) -> Iterator[Item | Need]:
    """Yield the chips' contents, which stand before the machine they are part of."""
    loader, nvram = _chip(domain), _variables(domain)
    if loader is not None:
        writable = loader.readonly is not True
        yield File(loader.path or "", writable=writable, origin="os/loader")
        file = {"driver": "file", "filename": loader.path}
        yield from _image("pflash0", file, loader.format, writable, True, "os/loader")
    elif domain.os is not None and domain.os.loader is not None and domain.os.loader.path:
        yield File(domain.os.loader.path, writable=False, origin="os/loader")
    if nvram is not None:
        if nvram.place is not None:
            if nvram.type != "block":
                usual = template_of(loader.path or "", p.host.firmwares) if loader is not None else ""
                yield Copied(nvram.place, nvram.template or usual, origin="os/nvram")
            yield File(nvram.place, writable=True, origin="os/nvram")
        source = _with_ports(nvram.source) if nvram.source is not None else DiskSource(file=nvram.path)
        kept = storage(nvram.type or "file", source, "libvirt-pflash1-storage", False, False, p, "os/nvram")
        yield from kept.objects
        yield from _image("pflash1", kept.props, nvram.format, True, _layered(nvram, p), "os/nvram")


def machine(domain: Domain, p: Planning) -> Iterator[tuple[str, Any]]:
    """Yield the machine's words about its flash chips."""
    if _chip(domain) is not None:
        yield "pflash0", "libvirt-pflash0-format"
    nvram = _variables(domain)
    if nvram is not None:
        yield "pflash1", f"libvirt-pflash1-{'format' if _layered(nvram, p) else 'storage'}"


def secure(domain: Domain) -> Iterator[Item]:
    """Yield what lets only system management mode write to the chips."""
    loader = _chip(domain)
    if loader is not None and loader.secure:
        pairs = (("driver", "cfi.pflash01"), ("property", "secure"), ("value", True))
        yield Keyed("-global", pairs, origin="os/loader")


def tables(domain: Domain) -> Iterator[Item | Need]:
    """Yield the ACPI tables of the owner's own."""
    own = domain.os.acpi if domain.os is not None else None
    for number, table in enumerate(own.table if own is not None else [], 1):
        origin = f"os/acpi/table[{number}]"
        yield File(table.path or "", writable=False, origin=origin)
        yield Keyed("-acpitable", (("sig", _TABLES.get(table.type or "")), ("file", table.path)), origin=origin)


def _chip(domain: Domain) -> Loader | None:
    loader = domain.os.loader if domain.os is not None else None
    return loader if loader is not None and loader.type == "pflash" and loader.path else None


def _variables(domain: Domain) -> Nvram | None:
    loader = _chip(domain)
    if loader is None or domain.os is None or loader.readonly is not True or loader.stateless:
        return None
    return domain.os.nvram


def _layered(nvram: Nvram, p: Planning) -> bool:
    """Say whether the format is a node of its own; plain images need none where QEMU can tell the nodes apart."""
    return nvram.format == "qcow2" or not p.caps.has_schema("block-stream/arg-type/backing-mask-protocol")


def _with_ports(source: DiskSource) -> DiskSource:
    """Name the usual ports of servers where the document leaves them open."""
    known: DiskSource = tree.copy(source)
    for host in known.host:
        if host.port is None and host.transport in (None, "tcp") and host.socket is None:
            host.port = PORTS.get(known.protocol or "")
    return known


def _image(
    name: str, lowest: dict[str, Any], fmt: str | None, writable: bool, layered: bool, origin: str
) -> Iterator[Item]:
    node = f"libvirt-{name}-storage"
    if not layered:
        yield Structured("blockdev", {**lowest, "node-name": node, "read-only": not writable}, origin=origin)
        return
    yield Structured(
        "blockdev", {**lowest, "node-name": node, "auto-read-only": True, "discard": "unmap"}, origin=origin
    )
    shaped = {
        "node-name": f"libvirt-{name}-format",
        "read-only": not writable,
        "driver": fmt or "raw",
        "file": node,
        "backing": NULL if fmt == "qcow2" else None,
    }
    yield Structured("blockdev", shaped, origin=origin)
