"""The documents that were asked for last, compressed: reading one again costs a tenth of asking the database.

Kept by `service`; whatever is not here is in the store.
"""

from __future__ import annotations

from collections import OrderedDict

from domicile.store import document

# Enough for the documents of 10,000 ordinary guests.
_MOST = 24 * 1024 * 1024
_OVERHEAD = 256


class Texts:
    """Documents by the domain's uuid, each of one revision; the least recently used are let go."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._size = 0
        self._kept: OrderedDict[str, tuple[int, bytes]] = OrderedDict()

    def get(self, uuid: str, revision: int) -> str | None:
        """Give the document of that revision, None where it is not kept."""
        known = self._kept.get(uuid)
        if known is None or known[0] != revision:
            return None
        self._kept.move_to_end(uuid)
        return document.first_text(known[1])

    def put(self, uuid: str, revision: int, text: str) -> None:
        """Keep a document in place of what was kept of that domain."""
        self.put_packed(uuid, revision, document.text_pack(text))

    def put_packed(self, uuid: str, revision: int, packed: bytes) -> None:
        """Keep a document that is compressed already, as the store does it."""
        self.drop(uuid)
        self._kept[uuid] = revision, packed
        self._size += len(packed) + _OVERHEAD
        while self._size > self._most and len(self._kept) > 1:
            self.drop(next(iter(self._kept)))

    def drop(self, uuid: str) -> None:
        """Keep nothing of a domain."""
        known = self._kept.pop(uuid, None)
        if known is not None:
            self._size -= len(known[1]) + _OVERHEAD
