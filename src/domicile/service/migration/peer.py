"""The target's daemon as the source's daemon calls it: one connection, kept alive, each call in a thread with a deadline.

`towards` opens one for a migration from daemon to daemon, `doubts` to ask what became of a machine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, ParamSpec, Self, TypeVar

import msgspec

from domicile.base.errors import DomicileError, HostFailure, OutcomeUnknown, Unsupported
from domicile.rpc.call import Stub
from domicile.rpc.calls import connect, domicile
from domicile.rpc.client import Client
from domicile.rpc.feature import Feature
from domicile.rpc.reach import open_uri
from domicile.rpc.types import TypedParam
from domicile.service.migration.wish import PARAMS

P = ParamSpec("P")
R = TypeVar("R")
#: Seconds to connect, to answer what only asks, to start or end a QEMU.
CONNECT, ASK, WORK = 10.0, 20.0, 180.0
_BEAT, _STRING, _ULLONG, _INT = 3.0, 7, 4, 1


class Peer:
    """A connection to another daemon; one call at a time."""

    def __init__(self, client: Client, uri: str) -> None:
        self._client, self.uri = client, uri
        self._lock = asyncio.Lock()
        self._beating: asyncio.Task[None] | None = None

    @classmethod
    async def connect(cls, uri: str) -> Self:
        """Connect to the daemon a URI names. Raises: HostFailure, InvalidRequest, Denied."""
        try:
            return cls(await asyncio.to_thread(open_uri, uri, CONNECT), uri)
        except (OSError, OutcomeUnknown) as error:
            raise HostFailure(f"failed to connect to remote libvirt URI {uri}: {error}") from error

    async def call(self, seconds: float, stub: Stub[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call, and wait so many seconds at most. Raises: DomicileError as the daemon raised it, or OutcomeUnknown."""
        async with self._lock:
            # A caller that no longer waits leaves the connection to its deadline; nothing else can be asked over it.
            return await asyncio.shield(
                asyncio.to_thread(lambda: self._client.call_within(seconds, stub, *args, **kwargs))
            )

    async def able(self) -> None:
        """Make sure that the daemon takes machines in. Raises: Unsupported."""
        for feature in (Feature.MIGRATION_V3, Feature.MIGRATION_PARAMS):
            if not await self.call(ASK, connect.connect_supports_feature, int(feature)):
                raise Unsupported(f"the daemon at {self.uri} does not take part in libvirt's migration protocol 3")
        await self.call(ASK, connect.connect_supports_feature, int(Feature.PROGRAM_KEEPALIVE))

    async def fate(self, uuid: str, token: str, *, abandon: bool) -> str:
        """Ask what became of a machine that was on its way there."""
        answer = await self.call(ASK + WORK, domicile.migration_fate, uuid, token, int(abandon))
        return str(msgspec.json.decode(answer)["fate"])

    def keep_alive(self, lost: asyncio.Event) -> None:
        """Ask again and again whether the daemon is there; `lost` is set once it is not."""

        async def beat() -> None:
            while True:
                await asyncio.sleep(_BEAT)
                try:
                    await self.call(ASK, connect.connect_get_lib_version)
                except DomicileError:
                    lost.set()
                    return

        self.quiet()
        self._beating = asyncio.get_running_loop().create_task(beat(), name=f"watch over {self.uri}")

    def quiet(self) -> None:
        """Ask no more by itself."""
        if self._beating is not None:
            self._beating.cancel()
            self._beating = None

    def close(self) -> None:
        """Close the connection; what waits for it at the other end is given up there."""
        self.quiet()
        with suppress(OSError):
            self._client.close()


def typed(given: Mapping[str, Any]) -> list[TypedParam]:
    """Write the parameters of a migration as they travel."""
    found = []
    for name, value in given.items():
        if PARAMS[name] is list:
            found += [TypedParam(name, _STRING, each) for each in value]
        elif PARAMS[name] is str:
            found.append(TypedParam(name, _STRING, str(value)))
        else:
            found.append(
                TypedParam(name, _ULLONG if name.startswith("bandwidth") or "cache" in name else _INT, int(value))
            )
    return found
