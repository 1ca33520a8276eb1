"""Taking a device out of a running machine: asked, waited for, and what it leaves behind when it is gone at last.

Hot-plug and the virtual CPUs use it; `happened` hears QEMU's events.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from domicile.base.errors import OPERATION_FAILED, QemuRefused
from domicile.service.changes import Running

if TYPE_CHECKING:
    from domicile.service.entry import Entry

#: Seconds a guest has to let go of a device before the caller is told that it was asked to.
PATIENCE = 5.0


async def remove(state: Running, alias: str, patience: float = PATIENCE) -> bool:
    """Ask the guest to let go of a device and say whether it did in time; where it did not, it may do so later.

    Raises:
        QemuRefused: QEMU or the guest refuses.
    """
    known = state.live.leaving
    waiting = known.get(alias)
    if waiting is None or waiting.done():
        waiting = known[alias] = asyncio.get_running_loop().create_future()
    try:
        await state.qmp("device_del", {"id": alias})
    except BaseException:
        known.pop(alias, None)
        raise
    try:
        async with asyncio.timeout(patience):
            gone = await asyncio.shield(waiting)
    except TimeoutError:
        return False
    finally:
        known.pop(alias, None)
    if not gone:
        raise QemuRefused(f"the guest refuses to let go of device '{alias}'", code=OPERATION_FAILED)
    return True


def happened(entry: Entry, name: str, data: Any) -> str | None:
    """Hear one of QEMU's events; returns the name of a device that is gone and that nobody waits for."""
    live = entry.live
    alias = data.get("device")
    if live is None or not alias or name not in ("DEVICE_DELETED", "DEVICE_UNPLUG_GUEST_ERROR"):
        return None
    waiting = live.leaving.get(alias)
    if waiting is None or waiting.done():
        return alias if name == "DEVICE_DELETED" else None
    waiting.set_result(name == "DEVICE_DELETED")
    return None
