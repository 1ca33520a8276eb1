"""The QEMU programs of this host with their capabilities: probed once, kept in memory and in the cache."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from domicile.base.errors import DomicileError
from domicile.domain.domain import Domain
from domicile.host import inspect
from domicile.plan.capabilities import Capabilities
from domicile.qemu import cache


class Emulators:
    """Finds capabilities: `ensure` may start a QEMU to ask it, `find` only looks."""

    def __init__(self, directory: Path, *, kvm: bool) -> None:
        self._directory = directory
        self._kvm = kvm
        self._known: dict[str, Capabilities] = {}
        self._lock = asyncio.Lock()
        self._usual: dict[str, Path] | None = None

    def usual(self) -> dict[str, Path]:
        """Name the QEMU of each architecture."""
        if self._usual is None:
            self._usual = inspect.emulators()
        return self._usual

    async def ensure(self, emulator: str | None, arch: str) -> None:
        """Get to know an emulator if it can be known and changed since it was last looked at."""
        path = emulator if emulator is not None else os.fspath(self.usual().get(arch, ""))
        if not path.startswith("/"):
            return
        known = self._known.get(path)
        try:
            if known is not None and known.mtime == os.stat(path).st_mtime:  # noqa: PTH116  asked for each definition
                return
            async with self._lock:
                self._known[path] = await cache.capabilities(Path(path), self._directory, kvm=self._kvm)
        except (DomicileError, OSError):
            self._known.pop(path, None)

    async def ensure_for(self, domain: Domain) -> None:
        """Get to know the emulator a document names."""
        await self.ensure(*_named(domain))

    def find_for(self, domain: Domain) -> Capabilities | None:
        """Give the capabilities of the emulator a document names; None where it is not known."""
        return self.find(*_named(domain))

    def find(self, emulator: str | None, arch: str) -> Capabilities | None:
        """Give the capabilities of an emulator, or of the usual one of an architecture; None where it is not known."""
        path = emulator if emulator is not None else os.fspath(self.usual().get(arch, ""))
        return self._known.get(path)


def _named(domain: Domain) -> tuple[str | None, str]:
    kind = domain.os.type if domain.os is not None else None
    emulator = domain.devices.emulator if domain.devices is not None else None
    return emulator, (kind.arch if kind is not None else None) or os.uname().machine
