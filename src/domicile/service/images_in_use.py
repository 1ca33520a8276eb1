"""Which running machines have which image files, so that nobody pulls one away or writes beside the guest. Part of the service.

A machine claims its images when it starts and lets go of them when it ends; what an earlier daemon left running is claimed
again when it is taken over.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

from domicile.base.errors import INTERNAL_ERROR, Conflict


@dataclass(frozen=True, slots=True)
class Use:
    """One image of a machine: its real path, and whether the machine writes to it, or lets others write beside it."""

    path: str
    written: bool
    shared: bool = False


class ImagesInUse:
    """The claims of all running machines."""

    def __init__(self) -> None:
        self._of: dict[str, tuple[str, dict[str, Use]]] = {}

    def claim(self, uuid: str, name: str, uses: Iterable[Use], *, check: bool = True) -> None:
        """Note a machine's images. Raises: Conflict, see `check`."""
        wanted = {os.path.realpath(use.path): use for use in uses}
        if check:
            self.check(uuid, wanted.values())
        self._of[uuid] = (name, wanted)

    def check(self, uuid: str, uses: Iterable[Use]) -> None:
        """Look whether a machine may have images. Raises: Conflict where another writes, or would be written beside."""
        wanted = {os.path.realpath(use.path): use for use in uses}
        for other, (theirs, held) in self._of.items():
            for path in wanted.keys() & held.keys() if other != uuid else ():
                one, two = wanted[path], held[path]
                if (one.written or two.written) and not (one.shared and two.shared):
                    words = f"the image '{path}' is in use by the running domain '{theirs}'; <shareable/> in both would be accepted"
                    raise Conflict(words, code=INTERNAL_ERROR)

    def release(self, uuid: str) -> None:
        """Forget a machine's images."""
        self._of.pop(uuid, None)

    def holders(self, path: str) -> list[str]:
        """Name the running machines that have an image."""
        real = os.path.realpath(path)
        return [name for name, held in self._of.values() if real in held]
