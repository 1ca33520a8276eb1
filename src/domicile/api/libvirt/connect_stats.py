"""Handlers of the statistics of many domains at once. They answer from memory, the kernel and, for a short while each, QEMU.

`doors` merges them with the others.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from domicile.api.libvirt.connect_list import matching
from domicile.api.libvirt.flags import known
from domicile.api.libvirt.reference import entry_of, reference
from domicile.api.libvirt.registry import Registry
from domicile.base.errors import DomicileError, NotFound
from domicile.rpc.calls import connect
from domicile.rpc.records import StatsRecord
from domicile.rpc.types import Domain, TypedParam
from domicile.service import domstats

if TYPE_CHECKING:
    from domicile.api.libvirt.session import Session
    from domicile.service.entry import Entry
    from domicile.service.service import Service

handlers: Registry[Service] = Registry()
ARGUMENT_UNSUPPORTED = 74
_FILTERS = 0xFF
_TURN = 64
"""Domains looked at before other clients have their turn."""
_NOWAIT, _BACKING, _ENFORCE = 1 << 29, 1 << 30, 1 << 31


@handlers.handle(connect.connect_get_all_domain_stats)
async def get_all_domain_stats(conn: Session[Service], doms: list[Domain], stats: int, flags: int) -> list[StatsRecord]:
    """Give the groups of statistics asked for, of the domains named or of all that pass the filters."""
    known(flags, _FILTERS | _NOWAIT | _BACKING | _ENFORCE, "connect_get_all_domain_stats")
    unknown = stats & ~domstats.KNOWN
    if unknown and flags & _ENFORCE:
        words = f"Stats types bits {unknown:#x} are not supported by this daemon or QEMU"
        raise DomicileError(words, code=ARGUMENT_UNSUPPORTED)
    entries = _named(conn, doms) if doms else matching(conn, flags & _FILTERS)
    records = []
    for number, entry in enumerate(entries, 1):
        asked = await domstats.ask(conn.context, entry, stats)
        params = [TypedParam(*param) for param in domstats.of(conn.context, entry, stats, asked)]
        records.append(StatsRecord(reference(entry), params))
        if number % _TURN == 0:
            await asyncio.sleep(0)
    return records


def _named(conn: Session[Service], doms: list[Domain]) -> list[Entry]:
    found = []
    for dom in doms:
        try:
            found.append(entry_of(conn, dom))
        except NotFound:
            continue
    return found
