"""A job that QEMU does with one disk's images, as the daemon and its successors know it. Kept by the service, stored with the machine."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum


class JobType(IntEnum):
    """What is being done. Source: virDomainBlockJobType."""

    UNKNOWN = 0
    PULL = 1
    COPY = 2
    COMMIT = 3
    ACTIVE_COMMIT = 4
    BACKUP = 5


class JobStatus(IntEnum):
    """How it is or was. Source: virConnectDomainEventBlockJobStatus."""

    COMPLETED = 0
    FAILED = 1
    CANCELED = 2
    READY = 3


@dataclass(slots=True)
class BlockJob:
    """One job. Layers are given by their paths: `top` is the uppermost that goes, `base` what stays below it.

    `nodes` are QEMU's block nodes that nobody needs once it has ended, `undone` those if it was given up. `wish` is what was
    asked of it meanwhile: ``pivot`` or ``abort``. `delete` has the files that went removed.
    """

    name: str
    disk: str
    type: int
    top: str = ""
    base: str = ""
    nodes: list[str] = field(default_factory=list)
    undone: list[str] = field(default_factory=list)
    wish: str = ""
    ready: bool = False
    shallow: bool = False
    delete: bool = False
    #: Somebody waits for it and will see to its end.
    waited: bool = False
