"""Long operations of a machine as clients see them: which one it is, how far it has come, how it ended.

`runtime/save` and `runtime/dump` report here; the front doors read.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any


class Operation(IntEnum):
    """What is being done. Source: virDomainJobOperation."""

    UNKNOWN = 0
    START = 1
    SAVE = 2
    RESTORE = 3
    MIGRATION_IN = 4
    MIGRATION_OUT = 5
    SNAPSHOT = 6
    SNAPSHOT_REVERT = 7
    DUMP = 8
    BACKUP = 9


class Kind(IntEnum):
    """How a job is. Source: virDomainJobType."""

    NONE = 0
    BOUNDED = 1
    UNBOUNDED = 2
    COMPLETED = 3
    FAILED = 4
    CANCELLED = 5


@dataclass(slots=True)
class Job:
    """One long operation.

    `figures` is what QEMU last said of it; `cancelled` is set by whoever wants it to end; `outcome` is what clients are told of its end beside the figures;
    `told` are the amounts where the other end of a migration has measured them.
    """

    operation: Operation
    kind: Kind = Kind.UNBOUNDED
    began: float = field(default_factory=time.monotonic)
    took: float | None = None
    figures: Mapping[str, Any] = field(default_factory=dict)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    told: Mapping[str, int] | None = None
    outcome: Mapping[str, bool | str] = field(default_factory=dict)

    @property
    def elapsed_ms(self) -> int:
        """For how long it has been going on, or took."""
        return int(1000 * (self.took if self.took is not None else time.monotonic() - self.began))

    def end(self, kind: Kind) -> None:
        """Note how it ended."""
        self.kind, self.took = kind, time.monotonic() - self.began

    def amounts(self) -> dict[str, int]:
        """Give all figures by libvirt's names: times in milliseconds, amounts in bytes; left out is what is not known."""
        if self.told is not None:
            return dict(self.told)
        return {name: value for name, value in _amounts(self.figures).items() if value is not None}


def _amounts(figures: Mapping[str, Any]) -> dict[str, int | None]:
    """Translate what `query-migrate` or `query-dump` says."""
    if "amounts" in figures:
        return dict(figures["amounts"])
    ram: Mapping[str, Any] = figures.get("ram") or {}
    if not ram and "total" in figures:
        done, total = int(figures.get("completed", 0)), int(figures["total"])
        return {
            "data_total": total, "data_processed": done, "data_remaining": total - done,
            "memory_total": total, "memory_processed": done, "memory_remaining": total - done,
        }  # fmt: skip
    if not ram:
        return {}
    disk: Mapping[str, Any] = figures.get("disk") or {}
    mbps = float(ram.get("mbps") or 0)
    # Without a figure for pages of zeros there is one for those that were the same throughout.
    constant = ram.get("duplicate")
    found: dict[str, int | None] = {
        "downtime": figures.get("downtime", figures.get("expected-downtime")),
        "setup_time": figures.get("setup-time"),
        "data_total": ram["total"] + disk.get("total", 0),
        "data_processed": ram["transferred"] + disk.get("transferred", 0),
        "data_remaining": ram["remaining"] + disk.get("remaining", 0),
        "memory_total": ram["total"],
        "memory_processed": ram["transferred"],
        "memory_remaining": ram["remaining"],
        "memory_bps": int(mbps * 1_000_000 / 8),
        "memory_constant": constant,
        "memory_normal": ram.get("normal"),
        "memory_normal_bytes": ram.get("normal-bytes"),
        "memory_dirty_rate": ram.get("dirty-pages-rate", 0),
        "memory_iteration": ram.get("dirty-sync-count"),
        "memory_postcopy_requests": ram.get("postcopy-requests"),
        "memory_page_size": ram.get("page-size"),
    }
    if disk:
        found |= {
            "disk_total": disk["total"],
            "disk_processed": disk["transferred"],
            "disk_remaining": disk["remaining"],
        }
    return found
