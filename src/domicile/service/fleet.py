"""The hosts that share one database: each says that it is there, how it is reached, and whether machines may come to it.

Part of the service. Who shares a database with nobody is a fleet of one.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from domicile.base.errors import DomicileError, WrongState
from domicile.host import inspect
from domicile.service.migration import checking

if TYPE_CHECKING:
    from domicile.service.service import Service

log = structlog.get_logger(__name__)
#: Seconds between two words of a host, and of silence after which nothing is sent there.
BEAT, SILENT = 5.0, 20.0


class Fleet:
    """The use-cases about hosts."""

    def __init__(self, service: Service) -> None:
        self._service = service

    @property
    def drained(self) -> bool:
        """Whether this host is being emptied: nothing starts here, and nothing comes here."""
        return self._mark.exists()

    @property
    def _mark(self) -> Path:
        return self._service.paths.state / "drained"

    def demand_open(self) -> None:
        """Refuse what would make a machine run here while the host is drained. Raises: WrongState."""
        if self.drained:
            raise WrongState("this host is drained: nothing starts here until `domicile host undrain`")

    async def drain(self, on: bool) -> None:
        """Close this host to machines, or open it again; what runs goes on until somebody moves it."""
        if on:
            self._mark.touch(mode=0o600)
        else:
            self._mark.unlink(missing_ok=True)
        await self.beat()

    async def beat(self) -> None:
        """Say that this host is there. Raises: HostFailure where the database does not answer."""
        service = self._service
        facts = {
            "hostname": inspect.hostname(),
            "uris": checking.contacts(service),
            "arch": service.host.arch,
            "kvm": service.host.kvm,
            "free_kib": inspect.memory_free_kib(),
            "machines": sum(entry.active for entry in service.registry),
            "drained": self.drained,
        }
        await service.work.aside(service.store.beat, service.machines.host, facts)

    async def watch(self) -> None:
        """Say again and again that this host is there. Runs until it is cancelled."""
        while True:
            try:
                await self.beat()
            except DomicileError as error:
                log.info("this host cannot say that it is there", reason=error.message)
            if not self._service.store.remote:
                return
            await asyncio.sleep(BEAT)

    async def hosts(self) -> list[dict[str, Any]]:
        """List all hosts, each with what it said last, how long ago, and whether machines may go there."""
        rows = await self._service.in_store(self._service.store.hosts)
        mine = self._service.machines.host
        return [
            {
                **row.facts, "id": row.name, "silent": round(row.silent, 1), "here": row.name == mine,
                "open": bool(row.facts.get("uris")) and row.silent < SILENT and not row.facts.get("drained"),
            }
            for row in rows
        ]  # fmt: skip
