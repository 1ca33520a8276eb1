"""A domain as the daemon knows it in memory: enough for every list and every state, without database or QEMU.

`service/registry` keeps them; the front doors read them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec

from domicile.base.errors import DeadlineExceeded
from domicile.plan.capabilities import Capabilities
from domicile.runtime.backup import Backup
from domicile.runtime.block_job import BlockJob
from domicile.runtime.job import Job
from domicile.runtime.machine import Machine

SHUTOFF, RUNNING = 5, 1
#: Seconds a change waits for another of the same domain.
PATIENCE = 30.0
_decode = msgspec.json.Decoder(dict[str, Any]).decode


@dataclass(slots=True)
class Live:
    """What belongs to the running machine: its own document, what it was started with, and from which revision.

    `definition` is the completed document of a machine that was never stored; `open_ports` holds the aliases of channels
    that a program of the guest has open; `leaving` are those who wait for devices to go, `numbers` is the greatest number
    that a disk's layer was given since the daemon began. `detected` are the layers that only images' headers name, `jobs` the block
    jobs under way, by the disks' targets; `failures` are the reasons why jobs failed that somebody waits for.
    `waiting` is what the stored definition has that this machine has not,
    with the revision and the document for which that was found out.
    """

    xml: str
    revision: int
    summary: Mapping[str, Any]
    arguments: list[tuple[list[str], str]]
    caps: Capabilities | None = None
    definition: str = ""
    open_ports: set[str] = field(default_factory=set)
    numbers: int = 0
    leaving: dict[str, asyncio.Future[bool]] = field(default_factory=dict)
    waiting: tuple[int, str, list[dict[str, Any]]] | None = None
    detected: set[str] = field(default_factory=set)
    jobs: dict[str, BlockJob] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    backup: Backup | None = None

    def kept(self) -> dict[str, Any]:
        """Give what a later daemon must know beside the document."""
        return {
            "arguments": self.arguments, "definition": self.definition, "detected": sorted(self.detected),
            "jobs": msgspec.to_builtins(list(self.jobs.values())), "backup": msgspec.to_builtins(self.backup),
        }  # fmt: skip

    def remember(self, facts: Mapping[str, Any]) -> None:
        """Take in what an earlier daemon kept."""
        self.definition = str(facts.get("definition") or "")
        self.detected = set(facts.get("detected") or ())
        self.jobs = {job.disk: job for job in msgspec.convert(facts.get("jobs") or [], list[BlockJob])}
        self.backup = msgspec.convert(facts.get("backup"), Backup | None)


@dataclass(slots=True)
class Entry:
    """One domain. `head` is the stored revision's number, 0 for one that only runs; `id` is -1 while it does not run.

    `state` and `reason` are libvirt's numbers, `since` seconds since the epoch. `saved` says that a managed image of it waits for its next start. `ref` is for the
    front door's own use.
    """

    uuid: str
    name: str
    head: int = 0
    autostart: bool = False
    autostart_once: bool = False
    id: int = -1
    state: int = SHUTOFF
    reason: int = 0
    since: float = field(default_factory=time.time)
    machine: Machine | None = None
    live: Live | None = None
    ref: Any = None
    stored: Mapping[str, Any] | str | None = None
    lock: asyncio.Lock | None = None
    ending: asyncio.Task[Any] | None = None
    saved: bool = False
    snapshots: int = 0
    checkpoints: int = 0
    reverting: bool = False
    last_job: Job | None = None

    @property
    def persistent(self) -> bool:
        """Whether it stays when it stops."""
        return self.head > 0

    @property
    def active(self) -> bool:
        """Whether it runs (or is paused)."""
        return self.id >= 0

    @property
    def pending(self) -> bool:
        """Whether the stored definition is another than the one that runs."""
        return self.live is not None and self.persistent and self.live.revision != self.head

    @property
    def waiting(self) -> int | None:
        """How many differences of the stored definition wait for the next start; None where that was not looked at since."""
        found = self.live.waiting if self.live is not None else None
        if found is None or self.live is None or found[0] != self.head or found[1] is not self.live.xml:
            return None
        return len(found[2])

    @property
    def summary(self) -> Mapping[str, Any]:
        """What lists show: of the running machine where it runs, else of the definition."""
        if self.live is not None:
            return self.live.summary
        return self.stored_summary

    @property
    def stored_summary(self) -> Mapping[str, Any]:
        """What lists show of the stored definition."""
        if isinstance(self.stored, str):
            self.stored = _decode(self.stored)
        return self.stored or {}

    @asynccontextmanager
    async def changes(self, patience: float = PATIENCE) -> AsyncIterator[None]:
        """Hold the domain for a change, after others have ended. Raises: DeadlineExceeded where they do not."""
        lock = self.changing()
        try:
            async with asyncio.timeout(patience):
                await lock.acquire()
        except TimeoutError:
            raise DeadlineExceeded(
                f"domain '{self.name}': cannot acquire state change lock; another change is under way"
            ) from None
        try:
            yield
        finally:
            lock.release()

    def changing(self) -> asyncio.Lock:
        """Return the lock that changes of this domain take, one after another."""
        if self.lock is None:
            self.lock = asyncio.Lock()
        return self.lock
