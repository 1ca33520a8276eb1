"""Which images are in use, by which machine or work on which host: a writer has an image alone, across the whole fleet.

Functions over a Connection; called by `store.Store`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, bindparam, delete, func, insert, select

from domicile.base.errors import INTERNAL_ERROR, Conflict
from domicile.store import clock
from domicile.store.tables import image_use
from domicile.store.values import ImageUse

_ASKED = 200  # identities in one question
_DROP = delete(image_use).where(
    image_use.c.holder == bindparam("holder_"), image_use.c.host == bindparam("host_"), image_use.c.image == bindparam("image_"),
)  # fmt: skip


class ImageInUse(Conflict):
    """Another holder has an image; `by` says who."""

    def __init__(self, wanted: ImageUse, by: ImageUse) -> None:
        where = f" on host '{by.host_name}'" if by.host != wanted.host else ""
        words = f"the image '{wanted.path}' is in use by {by.who}{where}; <shareable/> in both would be accepted"
        super().__init__(words, code=INTERNAL_ERROR)
        self.by, self.elsewhere = by, where


def take(connection: Connection, uses: Sequence[ImageUse]) -> None:
    """Note further images of one holder. Raises: ImageInUse where another writes, or would be written beside."""
    if not uses:
        return
    wanted = check(connection, uses)
    known = {use.image: use for use in of_holder(connection, uses[0].holder, uses[0].host)}
    # What it writes already it goes on writing, whatever it wants of that image now.
    merged = [_merged(use, known.get(use.image)) for use in wanted.values()]
    _write(connection, known, merged, keep=True)


def check(connection: Connection, uses: Sequence[ImageUse]) -> dict[str, ImageUse]:
    """Look whether a holder may have images, which nobody takes until this transaction ends. Raises: ImageInUse."""
    _alone(connection, uses)
    wanted = {use.image: use for use in uses}
    for other in of_images(connection, wanted):
        mine = wanted[other.image]
        if other.holder != mine.holder and (mine.written or other.written) and not (mine.shared and other.shared):
            raise ImageInUse(mine, other)
    return wanted


def put(connection: Connection, holder: str, host: str, uses: Sequence[ImageUse]) -> None:
    """Note all images of one holder in place of those it had, whoever else has them: it runs with them already."""
    known = {use.image: use for use in of_holder(connection, holder, host)}
    _write(connection, known, uses, keep=False)


def drop(connection: Connection, holder: str, host: str) -> None:
    """Forget all images of one holder."""
    connection.execute(delete(image_use).where(image_use.c.holder == holder, image_use.c.host == host))


def sweep(connection: Connection, host: str, keep: Iterable[str]) -> int:
    """Forget what a host's holders had but for those to be kept; return how many images that were."""
    kept = set(keep)
    gone = {row.holder for row in connection.execute(select(image_use.c.holder).where(image_use.c.host == host))} - kept
    count = 0
    for holder in sorted(gone):
        mine = delete(image_use).where(image_use.c.holder == holder, image_use.c.host == host)
        count += connection.execute(mine).rowcount
    return count


def of_images(connection: Connection, images: Iterable[str]) -> list[ImageUse]:
    """Say who has images, by what identifies them."""
    wanted, found = sorted(set(images)), []
    for start in range(0, len(wanted), _ASKED):
        part = select(image_use).where(image_use.c.image.in_(wanted[start : start + _ASKED]))
        found += [_use(row) for row in connection.execute(part.order_by(image_use.c.at, image_use.c.holder))]
    return found


def of_holder(connection: Connection, holder: str, host: str) -> list[ImageUse]:
    """List what a holder has."""
    mine = select(image_use).where(image_use.c.holder == holder, image_use.c.host == host)
    return [_use(row) for row in connection.execute(mine)]


def _use(row: object) -> ImageUse:
    return ImageUse(**{name: getattr(row, name) for name in ImageUse._fields})


def _merged(use: ImageUse, known: ImageUse | None) -> ImageUse:
    if known is None:
        return use
    return use._replace(written=use.written or known.written, shared=use.shared and known.shared)


def _write(connection: Connection, known: dict[str, ImageUse], uses: Sequence[ImageUse], *, keep: bool) -> None:
    """Write what is different, and nothing where nothing is."""
    wanted = {use.image: use for use in uses}
    changed = [use for image, use in wanted.items() if known.get(image) != use]
    gone = [use for image, use in known.items() if (image not in wanted and not keep) or wanted.get(image) in changed]
    if gone:
        connection.execute(_DROP, [{"holder_": u.holder, "host_": u.host, "image_": u.image} for u in gone])
    if changed:
        now = clock.now()
        connection.execute(insert(image_use), [{**use._asdict(), "at": now} for use in changed])


def _alone(connection: Connection, uses: Sequence[ImageUse]) -> None:
    """Keep other daemons from taking the same images until this transaction ends; SQLite has one writer anyway."""
    if connection.dialect.name != "postgresql":
        return
    for number in sorted({_number(use.image) for use in uses}):
        connection.execute(select(func.pg_advisory_xact_lock(number)))


def _number(image: str) -> int:
    return int.from_bytes(hashlib.sha256(f"image {image}".encode()).digest()[:8], "big", signed=True)
