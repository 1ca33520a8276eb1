"""Clusters of Virtuozzo's storage as pools of files. The service calls it through `drivers`.

Source: vstorage-mount(1).
"""

from __future__ import annotations

import re

from domicile.base.errors import NO_SUPPORT
from domicile.storage import programs
from domicile.storage.directory import Mounted, absolute
from domicile.storage.failure import broken, unsupported
from domicile.storage.pool import Pool

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\Z")


class Vstorage(Mounted):
    """Directories on which a cluster is mounted."""

    async def start(self, pool: Pool) -> None:
        """Mount it."""
        absolute(pool)
        name = (pool.source.name if pool.source is not None else None) or ""
        if not _NAME.match(name):
            raise broken(f"'{name}' cannot be the name of a cluster: letters, digits and _ . - are accepted")
        rights = pool.target.permissions if pool.target is not None else None
        words = ["vstorage-mount", "-c", name]
        if rights is not None:
            words += ["-m", f"{rights.mode:o}"] if rights.mode is not None else []
            words += ["-u", str(rights.owner)] if rights.owner is not None else []
            words += ["-g", str(rights.group)] if rights.group is not None else []
        await programs.run([*words, pool.path])

    async def sources(self, spec: str | None) -> str:
        """Refuse: clusters are not announced."""
        raise unsupported("pool type 'vstorage' does not support source discovery", NO_SUPPORT)
