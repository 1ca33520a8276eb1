"""A machine's state in its own images: QEMU's jobs that save, load and delete internal snapshots.

`service/snapshots` calls it for running machines, `runtime/start` for one that begins from a snapshot.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

from domicile.base.errors import OPERATION_FAILED, DeadlineExceeded, QemuRefused
from domicile.runtime.save import Speaker

#: Seconds without any progress after which a job counts as stuck.
STALL = 120.0
_FIRST_LOOK, _LOOKS_APART = 0.002, 0.1
_OURS = ("-format", "-storage", "-slice-sto")


async def layers(ask: Speaker) -> dict[str, list[str]]:
    """Name the block nodes of every drive's layers, the top one first, by the path of the device that reads them.

    Filters between the layers are left out: they have other names.
    """
    found: dict[str, list[str]] = {}
    for each in await ask("query-blockstats"):
        names: list[str] = []
        node: Mapping[str, Any] | None = each
        while node is not None:
            name = str(node.get("node-name") or "")
            if name.endswith(_OURS):
                names.append(name)
            node = node.get("backing")
        if names:
            found[str(each.get("qdev") or "")] = names
    return found


def is_of(path: str, alias: str) -> bool:
    """Whether a path of QEMU's names a device, or a part of it."""
    whole = f"/machine/peripheral/{alias}"
    return bool(alias) and (path in (alias, whole) or path.startswith(f"{whole}/"))


async def tops(ask: Speaker, aliases: Sequence[str]) -> list[str]:
    """Name the top layers of drives, by their aliases and in their order. Raises: QemuRefused."""
    known = await layers(ask)
    found = []
    for alias in aliases:
        nodes = next((nodes for path, nodes in known.items() if is_of(path, alias)), None)
        if nodes is None:
            raise QemuRefused(f"QEMU has nothing in the drive '{alias}'", code=OPERATION_FAILED)
        found.append(nodes[0])
    return found


async def _holders(ask: Speaker, name: str) -> tuple[list[str], str]:
    """Name the nodes whose images have a snapshot of that name, and the one that has the memory's state."""
    nodes, memory = [], ""
    for each in await ask("query-named-block-nodes", {"flat": True}):
        for kept in (each.get("image") or {}).get("snapshots") or ():
            if kept.get("name") == name:
                nodes.append(str(each["node-name"]))
                if kept.get("vm-state-size"):
                    memory = str(each["node-name"])
    return nodes, memory


async def has(ask: Speaker, name: str, nodes: Sequence[str]) -> bool:
    """Whether every one of these nodes has a snapshot of that name."""
    holders, _ = await _holders(ask, name)
    return bool(nodes) and set(nodes) <= set(holders)


async def save(ask: Speaker, name: str, nodes: Sequence[str], stall: float = STALL) -> None:
    """Save the machine's state into its images; it should stand still. Raises: QemuRefused, DeadlineExceeded."""
    # Clients are told of its passes as of a migration's.
    await ask("migrate-set-capabilities", {"capabilities": [{"capability": "events", "state": True}]})
    await run(
        ask, "snapshot-save", f"snapshot-save-{name}", {"tag": name, "vmstate": nodes[0], "devices": list(nodes)}, stall
    )


async def load(ask: Speaker, name: str, nodes: Sequence[str], stall: float = STALL) -> None:
    """Bring the machine and its images back to a saved state. Raises: QemuRefused, DeadlineExceeded."""
    _, memory = await _holders(ask, name)
    if not memory:
        raise QemuRefused(
            f"no image of the machine holds the memory's state of snapshot '{name}'", code=OPERATION_FAILED
        )
    await run(
        ask, "snapshot-load", f"snapshot-load-{name}", {"tag": name, "vmstate": memory, "devices": list(nodes)}, stall
    )


async def delete(ask: Speaker, name: str, nodes: Sequence[str], stall: float = STALL) -> None:
    """Delete a saved state from those of these images that have it. Raises: QemuRefused, DeadlineExceeded."""
    holders, _ = await _holders(ask, name)
    mine = [node for node in nodes if node in holders]
    if mine:
        await run(ask, "snapshot-delete", f"snapshot-delete-{name}", {"tag": name, "devices": mine}, stall)


async def run(ask: Speaker, command: str, job: str, arguments: Mapping[str, Any], stall: float = STALL) -> None:
    """Start one of QEMU's jobs, wait for its end, and dismiss it. Raises: QemuRefused, DeadlineExceeded."""
    await ask(command, {"job-id": job, **arguments})
    await ended(ask, job, stall)


async def ended(ask: Speaker, job: str, stall: float = STALL) -> None:
    """Wait until a job has ended, and dismiss it; one that is not there has ended. Raises: QemuRefused, DeadlineExceeded."""
    began = moved = time.monotonic()
    last = ""
    while True:
        found = next((each for each in await ask("query-jobs") if each.get("id") == job), None)
        if found is None:
            return
        if found.get("status") == "concluded":
            await ask("job-dismiss", {"id": job})
            if found.get("error"):
                raise QemuRefused(str(found["error"]), code=OPERATION_FAILED)
            return
        state = repr((found.get("status"), found.get("current-progress")))
        if state != last:
            moved, last = time.monotonic(), state
        if time.monotonic() - moved > stall:
            raise DeadlineExceeded(f"QEMU's job '{job}' did not move for {stall:g} s")
        # A twentieth of the time that it took so far: nobody waits much longer than the job takes.
        await asyncio.sleep(min(max((time.monotonic() - began) / 20, _FIRST_LOOK), _LOOKS_APART))
