"""Which machines have which images, so that nobody pulls one away or writes beside the guest. Part of the service.

A machine takes its images when it starts and lets go of them when it ends; what an earlier daemon left running takes them
again when it is taken over. A work on a volume takes its image, too. All of it is in the database: it holds between all
daemons of one.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from domicile.base import ids
from domicile.base.errors import WrongState
from domicile.host import images as looking
from domicile.storage.failure import wrong_state
from domicile.store.images import ImageInUse
from domicile.store.values import ImageUse

if TYPE_CHECKING:
    from domicile.service.service import Service


@dataclass(frozen=True, slots=True)
class Use:
    """One image of a machine, by its path or, on a server, by its `identity`.

    It says whether the machine writes to it, and whether it lets others write beside it.
    """

    path: str
    written: bool
    shared: bool = False
    identity: str = ""


class ImagesInUse:
    """What is in use, as this daemon's machines and works take it and give it back."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._host_name = os.uname().nodename

    async def known(self, uuid: str, name: str, uses: Iterable[Use]) -> list[ImageUse]:
        """Say what a machine has in the words of the store."""
        return await asyncio.to_thread(self._known, uuid, name, "", list(uses))

    def _known(self, holder: str, name: str, work: str, uses: Iterable[Use]) -> list[ImageUse]:
        found: dict[str, ImageUse] = {}
        for use in uses:
            image = use.identity or looking.identity(use.path)
            before = found.get(image)
            found[image] = ImageUse(
                image, holder, self._service.machines.host, self._host_name, name, work, use.path,
                use.written or (before is not None and before.written), use.shared and (before is None or before.shared),
            )  # fmt: skip
        return list(found.values())

    async def take(self, uuid: str, name: str, uses: Iterable[Use]) -> None:
        """Take further images for a running machine. Raises: ImageInUse."""
        wanted = await self.known(uuid, name, uses)
        await self._service.in_store(self._service.store.take_images, wanted)

    async def release(self, holder: str) -> None:
        """Give back all that a machine had."""
        service = self._service
        await service.standing.owe("images given back", service.store.drop_images, holder, service.machines.host)

    async def sweep(self, running: Iterable[str]) -> None:
        """Give back what an earlier daemon had taken, but for the machines that run."""
        await self._service.in_store(self._service.store.sweep_images, self._service.machines.host, list(running))

    @asynccontextmanager
    async def work(self, verb: str, name: str, use: Use) -> AsyncIterator[None]:
        """Hold a volume's image alone while something is done to it. Raises: WrongState where somebody has it."""
        service, holder = self._service, ids.new_uuid()
        mine = await asyncio.to_thread(self._known, holder, name, verb, [use])
        try:
            await service.in_store(service.store.take_images, mine)
        except ImageInUse as fault:
            raise _busy(name, fault) from None
        try:
            yield
        finally:
            await asyncio.shield(self.release(holder))

    async def alone(self, name: str, use: Use, act: Callable[[], None]) -> None:
        """Do something brief to a volume that nobody has, while nobody can take it. Raises: WrongState where somebody has it."""
        service = self._service
        (mine,) = await asyncio.to_thread(self._known, ids.new_uuid(), name, "", [use])
        try:
            await service.in_store(service.store.while_unused, mine, act)
        except ImageInUse as fault:
            raise _busy(name, fault) from None


def _busy(name: str, fault: ImageInUse) -> WrongState:
    return wrong_state(f"volume '{name}' is still in use by {fault.by.who}{fault.elsewhere}")
