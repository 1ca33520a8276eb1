"""Passwords of pools whose server wants one, looked up when they are needed. The drivers ask, the service answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from domicile.storage.failure import invalid
from domicile.storage.pool import PoolAuth

Lookup = Callable[[str | None, str | None], Awaitable[bytes]]


class Passwords:
    """Looks a pool's password up by the secret that its document names."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    async def of(self, auth: PoolAuth) -> bytes:
        """Give the password. Raises: InvalidRequest, NotFound, HostFailure."""
        if auth.secret is None or not (auth.secret.uuid or auth.secret.usage):
            raise invalid("the <auth> of a pool names its password by <secret uuid=…> or <secret usage=…>")
        return await self._lookup(auth.secret.uuid, auth.secret.usage)
