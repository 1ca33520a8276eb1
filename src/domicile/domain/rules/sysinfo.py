"""System information: lines in libvirt's order, and what cannot be said. Called by domain/complete."""

from __future__ import annotations

import re

from domicile.base import ids
from domicile.base.errors import INTERNAL_ERROR, XML_ERROR
from domicile.domain.domain import Domain
from domicile.domain.sysinfo import FirmwareInfo, SmbiosInfo
from domicile.plan.facts import Completion

_DATE = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{2}|\d{4})")
_RESERVED = ("opt/ovmf/", "opt/org.qemu", "opt/org.tianocore")


def settle(domain: Domain) -> None:
    """Order the lines of each table; a line nobody knows and an empty one are left out."""
    for info in domain.sysinfo:
        if isinstance(info, SmbiosInfo):
            for _, names, entries in info.tables():
                known = [e for e in entries if e.name in names and e.value]
                entries[:] = sorted(known, key=lambda e: names.index(e.name or ""))
            for slot in ("bios", "system", "chassis"):
                table = getattr(info, slot)
                if table is not None and not table.entry:
                    setattr(info, slot, None)


def check(domain: Domain, c: Completion) -> None:
    """Find dates and identities that contradict, names that are reserved, tables that are missing."""
    tables = [info for info in domain.sysinfo if isinstance(info, SmbiosInfo)]
    for info in tables:
        for entry in info.bios.entry if info.bios is not None else []:
            if entry.name == "date" and not _is_date(entry.value or ""):
                what = f"BIOS 'date' has the value '{entry.value}'"
                c.problem(entry, what, "month/day/year such as 04/01/2014", code=XML_ERROR)
        for entry in info.system.entry if info.system is not None else []:
            if entry.name == "uuid":
                given = ids.parse_uuid(entry.value or "")
                if given is None:
                    c.problem(entry, f"'uuid' has the value '{entry.value}'", "a UUID", code=XML_ERROR)
                elif given != domain.uuid:
                    what = f"<sysinfo> says 'uuid' {given}, <uuid> says {domain.uuid}"
                    c.problem(entry, what, "the same, or none", code=XML_ERROR)
    for other in domain.sysinfo:
        if isinstance(other, FirmwareInfo):
            _files(other, c)


def _files(info: FirmwareInfo, c: Completion) -> None:
    for entry in info.entry:
        name = entry.name or ""
        if not name.startswith("opt/") or name.startswith(_RESERVED):
            accepted = "a name below 'opt/' that is neither OVMF's nor QEMU's"
            c.problem(entry, f"firmware file has the name '{name}'", accepted, "@name", code=XML_ERROR)
        if not entry.value and not entry.file:
            c.problem(
                entry, f"firmware file '{name}' has neither a value nor a 'file'", "one of the two", code=XML_ERROR
            )
        elif entry.value and entry.file:
            c.problem(entry, f"firmware file '{name}' has a value and a 'file'", "one of the two", code=INTERNAL_ERROR)


def _is_date(text: str) -> bool:
    found = _DATE.fullmatch(text)
    if found is None:
        return False
    month, day, year = (int(part) for part in found.groups())
    return 1 <= month <= 12 and 1 <= day <= 31 and (len(found[3]) == 2 or 1900 <= year <= 9999)
