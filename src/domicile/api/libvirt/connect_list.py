"""Handlers that list domains, with all of libvirt's filters. They answer from memory.

`doors` merges them with the others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from domicile.api.libvirt.flags import known
from domicile.api.libvirt.reference import reference
from domicile.api.libvirt.registry import Registry
from domicile.rpc.calls import connect
from domicile.rpc.types import Domain

if TYPE_CHECKING:
    from domicile.api.libvirt.session import Session
    from domicile.service.entry import Entry
    from domicile.service.service import Service

handlers: Registry[Service] = Registry()
RUNNING, PAUSED, SHUTOFF = 1, 3, 5
_ALL = 0xFFFF

# Source: libvirt's virConnectListAllDomainsFlags. Within a group any of its flags given suffices, every group must hold;
# a group none or all of whose flags are given asks nothing. A group: (flag, what it asks of an entry) …
Test = Callable[["Entry"], bool]
GROUPS: tuple[tuple[tuple[int, Test], ...], ...] = (
    ((1, lambda e: e.id != -1), (2, lambda e: e.id == -1)),
    ((4, lambda e: e.persistent), (8, lambda e: not e.persistent)),
    (
        (16, lambda e: e.state == RUNNING),
        (32, lambda e: e.state == PAUSED),
        (64, lambda e: e.state == SHUTOFF),
        (128, lambda e: e.state not in (RUNNING, PAUSED, SHUTOFF)),
    ),
    ((256, lambda e: e.saved), (512, lambda e: not e.saved)),
    ((1024, lambda e: e.autostart), (2048, lambda e: not e.autostart)),
    ((4096, lambda e: e.snapshots > 0), (8192, lambda e: not e.snapshots)),
    ((16384, lambda e: e.checkpoints > 0), (32768, lambda e: not e.checkpoints)),
)


def matching(conn: Session[Service], flags: int) -> list[Entry]:
    """List the entries that pass the filters."""
    found = list(conn.context.entries())
    for group in GROUPS:
        wanted = [test for flag, test in group if flags & flag]
        if wanted and len(wanted) < len(group):
            found = [entry for entry in found if any(test(entry) for test in wanted)]
    return found


@handlers.handle(connect.connect_list_all_domains)
def list_all(conn: Session[Service], need_results: int, flags: int) -> tuple[list[Domain], int]:
    """List domains."""
    known(flags, _ALL, "connect_list_all_domains")
    found = matching(conn, flags)
    return ([reference(entry) for entry in found] if need_results else []), len(found)


@handlers.handle(connect.connect_list_domains)
def list_ids(conn: Session[Service], maxids: int) -> list[int]:
    """List the numbers of running domains."""
    return [entry.id for entry in conn.context.entries() if entry.id != -1][: max(0, maxids)]


@handlers.handle(connect.connect_num_of_domains)
def count_running(conn: Session[Service]) -> int:
    """Count running domains."""
    return sum(entry.id != -1 for entry in conn.context.entries())


@handlers.handle(connect.connect_list_defined_domains)
def list_defined(conn: Session[Service], maxnames: int) -> list[str]:
    """Name the domains that are off."""
    return [entry.name for entry in conn.context.entries() if entry.id == -1][: max(0, maxnames)]


@handlers.handle(connect.connect_num_of_defined_domains)
def count_defined(conn: Session[Service]) -> int:
    """Count the domains that are off."""
    return sum(entry.id == -1 for entry in conn.context.entries())
