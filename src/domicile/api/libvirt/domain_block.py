"""Handlers that read a domain's disks: how large they are, and what failed on them.

`doors` merges them with the others.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from domicile.api.libvirt.flags import known
from domicile.api.libvirt.reference import entry_of, machine_of
from domicile.api.libvirt.registry import Registry
from domicile.base.errors import InvalidRequest
from domicile.rpc.calls import domain_block as calls
from domicile.rpc.records import DiskError
from domicile.rpc.types import Domain
from domicile.service import glance, images

if TYPE_CHECKING:
    from domicile.api.libvirt.session import Session
    from domicile.service.service import Service

handlers: Registry[Service] = Registry()


@handlers.handle(calls.domain_get_block_info)
async def get_block_info(conn: Session[Service], dom: Domain, path: str, flags: int) -> tuple[int, int, int]:
    """Give the bytes a disk (named by its target or its file) takes on the host, has for the guest, and has as a file."""
    known(flags, 0, "domain_get_block_info")
    disks = glance.of(conn.context, entry_of(conn, dom)).disks
    disk = next((each for each in disks if path and path in (each.target, each.path)), None)
    if disk is None:
        raise InvalidRequest(f"invalid path {path} not assigned to domain")
    if not disk.path:
        raise InvalidRequest(f"disk '{path}' does not currently have a source assigned")
    found = await asyncio.to_thread(images.size, disk.path, disk.format)
    return found.allocation, found.capacity, found.physical


@handlers.handle(calls.domain_get_disk_errors)
def get_disk_errors(conn: Session[Service], dom: Domain, max_errors: int, flags: int) -> tuple[list[DiskError], int]:
    """List the disks that stopped the machine: none is known."""
    known(flags, 0, "domain_get_disk_errors")
    machine_of(conn, dom)
    return [], 0
