"""Multipath devices of this host as volumes of one pool. The service calls it through `drivers`.

Source: the kernel's Documentation/ABI/testing/sysfs-block-dm; names observed with libvirt 9.0.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from domicile.storage import devices
from domicile.storage.driver import Fixed, View
from domicile.storage.pool import Pool


class Mpath(Fixed):
    """What multipathd put together; nothing needs doing to start or stop it."""

    type = "mpath"

    async def look(self, pool: Pool, *, sweep: bool) -> View:
        """List the devices."""
        return await asyncio.to_thread(view, devices.SYS)


def view(sys: Path) -> View:
    """List multipath devices by what the kernel says of them."""
    found = View()
    for block in sorted(sys.glob("block/dm-*")):
        try:
            if not (block / "dm/uuid").read_text().startswith("mpath-"):
                continue
            name = (block / "dm/name").read_text().strip()
        except OSError:
            continue  # it went meanwhile
        size = devices.bytes_in(block)
        found.volumes[block.name] = devices.volume(f"/dev/mapper/{name}", block.name, size)
        found.capacity += size
        found.allocation += size
    return found
