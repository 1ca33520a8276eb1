"""A backup of a running machine as the daemon and its successors know it, and QEMU's commands for it. Called by `service/backups`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Part:
    """One disk's part: QEMU's job, the node that is read, the node that is written and its file, a bitmap made for it, its export.

    `made` says that the file was made for it; `total` is the disk's size in bytes.
    """

    disk: str
    job: str
    node: str
    target: str
    path: str
    made: bool
    total: int = 0
    bitmap: str = ""
    export: str = ""


@dataclass(slots=True)
class Backup:
    """A backup under way; `xml` is its document, `begun` seconds since the epoch."""

    xml: str
    pull: bool
    begun: float
    parts: list[Part] = field(default_factory=list)
    #: Whether a server was started for it.
    serves: bool = False


def remembered(part: Part, layers: Sequence[str], since: str) -> list[dict[str, Any]]:
    """List the transaction's actions that gather in one bitmap what changed since a checkpoint in any of a disk's layers."""
    made = {"node": part.node, "name": part.bitmap, "persistent": False, "disabled": True}
    merged = {"node": part.node, "target": part.bitmap, "bitmaps": [{"node": node, "name": since} for node in layers]}
    return [{"type": "block-dirty-bitmap-add", "data": made}, {"type": "block-dirty-bitmap-merge", "data": merged}]


def job_action(part: Part, *, pull: bool) -> dict[str, Any]:
    """Give the transaction's action that begins one disk's part."""
    data: dict[str, Any] = {
        "job-id": part.job, "device": part.node, "target": part.target, "auto-finalize": True, "auto-dismiss": False,
        "sync": "none" if pull else "incremental" if part.bitmap else "full",
    }  # fmt: skip
    if part.bitmap and not pull:
        data["bitmap"] = part.bitmap
    return {"type": "blockdev-backup", "data": data}


def export(part: Part, name: str) -> dict[str, Any]:
    """Give the arguments that offer one disk's contents of that moment to clients."""
    wish: dict[str, Any] = {
        "type": "nbd", "id": part.export, "node-name": part.target, "name": name, "writable": False,
    }  # fmt: skip
    if part.bitmap:
        wish["bitmaps"] = [part.bitmap]
    return wish


def amounts(jobs: Mapping[str, Mapping[str, Any]], backup: Backup, used: int) -> dict[str, int]:
    """Say by libvirt's names how far a backup is; `used` are the bytes that scratch files take."""
    if backup.pull:
        return {"disk_temp_used": used, "disk_temp_total": sum(part.total for part in backup.parts)}
    total = done = 0
    for part in backup.parts:
        seen = jobs.get(part.job)
        if seen is not None:
            total += int(seen.get("total-progress", 0))
            done += int(seen.get("current-progress", 0))
    if not total:
        return {}
    return {"disk_total": total, "disk_processed": done, "disk_remaining": total - done}
