"""The host's devices and network interfaces, looked at and lent. Part of the service."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import NoReturn

from domicile.base.errors import NotFound, Unsupported
from domicile.hostdevs import describe, pci
from domicile.hostdevs.node import Node, scan
from domicile.hostdevs.pci import FROM_NODEDEV

NO_NODE_DEVICE = 53
#: Seconds for which a look at all devices is as good as a new one: a client asks for each of them at once.
_FRESH = 1.0


class HostDevices:
    """The host's devices; the kernel is asked, nothing is kept."""

    def __init__(self) -> None:
        self._found: dict[str, Node] = {}
        self._looked = 0.0
        self._looking = asyncio.Lock()

    async def all(self) -> dict[str, Node]:
        """Find all devices, by name."""
        async with self._looking:
            if not self._found or time.monotonic() - self._looked > _FRESH:
                self._found = await asyncio.to_thread(scan)
                self._looked = time.monotonic()
            return self._found

    async def names(self, kind: str | None = None) -> list[str]:
        """Name all devices, or those of a kind."""
        found = await self.all()
        return [node.name for node in found.values() if kind is None or kind in node.kinds]

    async def find(self, name: str) -> Node:
        """Find a device. Raises: NotFound."""
        found = (await self.all()).get(name)
        if found is None or (found.path and not await asyncio.to_thread(Path(found.path).exists)):
            self._looked = 0.0
            found = (await self.all()).get(name)
        if found is None:
            words = f"no node device with matching name '{name}'"
            raise NotFound(words, code=NO_NODE_DEVICE, domain=FROM_NODEDEV)
        return found

    async def xml(self, name: str) -> str:
        """Write a device's document. Raises: NotFound."""
        return await asyncio.to_thread(describe.document, await self.find(name))

    async def by_wwn(self, node: str, port: str) -> Node:
        """Find a Fibre Channel host by its names. Raises: NotFound."""
        for found in (await self.all()).values():
            if "fc_host" in found.kinds and await asyncio.to_thread(describe.wwn, found) == (node, port):
                return found
        words = f"no node device with matching wwnn '{node}' wwpn '{port}'"
        raise NotFound(words, code=NO_NODE_DEVICE, domain=FROM_NODEDEV)

    # Drivers.

    async def detach(self, name: str, driver: str | None = None) -> None:
        """Take a PCI device from the host's driver, so that it can be lent.

        Raises:
            NotFound, InvalidRequest, Unsupported, HostFailure: it cannot be.
        """
        await asyncio.to_thread(pci.detach, (await self.find(name)).path, name, driver)
        self._looked = 0.0

    async def reattach(self, name: str) -> None:
        """Give a PCI device back to the host's driver. Raises: NotFound, InvalidRequest, HostFailure."""
        await asyncio.to_thread(pci.reattach, (await self.find(name)).path, name)
        self._looked = 0.0

    async def reset(self, name: str) -> None:
        """Reset a PCI device. Raises: NotFound, InvalidRequest, HostFailure."""
        await asyncio.to_thread(pci.reset, (await self.find(name)).path, name)

    async def refuse(self, name: str, what: str) -> NoReturn:
        """Say that devices are not made or removed. Raises: NotFound, Unsupported."""
        if name:
            await self.find(name)
        raise Unsupported(f"Unsupported device type: {what} is not possible here", domain=FROM_NODEDEV)
