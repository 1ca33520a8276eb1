"""System information and firmware files in QEMU's words. Called by domain/machine_options."""

from __future__ import annotations

from collections.abc import Iterator

from domicile.base.errors import Unsupported
from domicile.domain.domain import Domain
from domicile.domain.sysinfo import FirmwareInfo, SmbiosInfo
from domicile.plan.need import File, Need
from domicile.plan.qemu import Item, Keyed


def tables(domain: Domain) -> Iterator[Item]:
    """Yield the SMBIOS tables, where they come from the document.

    Raises:
        Unsupported: they should, and there are none.
    """
    smbios = domain.os.smbios if domain.os is not None else None
    if smbios is None or smbios.mode != "sysinfo":
        return
    if not any(isinstance(info, SmbiosInfo) for info in domain.sysinfo):
        raise Unsupported(f"domain '{domain.name}' has no 'sysinfo' to show (<sysinfo type='smbios'>…)")
    for info in domain.sysinfo:
        if not isinstance(info, SmbiosInfo):
            continue
        for number, names, entries in info.tables():
            said = {entry.name: entry.value for entry in entries}
            if said:
                pairs = tuple((name, said.get(name)) for name in names)
                yield Keyed("-smbios", (("type", number), *pairs), origin="sysinfo")
        if info.oemStrings is not None and info.oemStrings.entry:
            values = tuple(("value", text) for text in info.oemStrings.entry)
            yield Keyed("-smbios", (("type", 11), *values), origin="sysinfo")


def files(domain: Domain) -> Iterator[Item | Need]:
    """Yield the files of the firmware interface."""
    for info in domain.sysinfo:
        for entry in info.entry if isinstance(info, FirmwareInfo) else ():
            if entry.file:
                yield File(entry.file, writable=False, origin="sysinfo")
            value = None if entry.file else entry.value
            yield Keyed("-fw_cfg", (("name", entry.name), ("string", value), ("file", entry.file)), origin="sysinfo")
