"""Asks a QEMU that was just started which features its virtual CPU has. Called by `start` before the guest runs."""

from __future__ import annotations

import asyncio

from domicile.domain.cpus import verify, x86
from domicile.domain.cpus.verify import Expected
from domicile.qemu.monitor import Monitor, Refusal


async def check(wanted: Expected, monitor: Monitor, deadline: float) -> None:
    """Hold the first virtual CPU against what is wanted.

    Raises:
        Unsupported: it has less or more; every feature is named.
    """
    cpus = await monitor.execute("query-cpus-fast", {}, deadline)
    path = cpus[0]["qom-path"]
    listed = await monitor.execute("qom-list", {"path": path}, deadline)
    known = {entry["name"] for entry in listed if entry.get("type") == "bool"}
    names = sorted({x86.to_qemu(name) for name in wanted.on | wanted.off} & known)
    values = await asyncio.gather(*(_get(monitor, path, name, deadline) for name in names))
    unavailable = await _get(monitor, path, "unavailable-features", deadline)
    enabled = [name for name, value in zip(names, values, strict=True) if value is True]
    verify.verify(wanted, enabled, unavailable if isinstance(unavailable, list) else ())


async def _get(monitor: Monitor, path: str, name: str, deadline: float) -> object:
    try:
        return await monitor.execute("qom-get", {"path": path, "property": name}, deadline)
    except Refusal:
        return None
