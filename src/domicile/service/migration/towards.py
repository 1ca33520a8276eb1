"""A migration from daemon to daemon: the source's calls the target's, the client only waits.

Part of the service; the front doors call `migrate` for libvirt's peer-to-peer migration and for Domicile's own command.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING, TypeVar

import structlog

from domicile.base.errors import DomicileError, OutcomeUnknown
from domicile.rpc.calls import domain_migrate as calls
from domicile.runtime.save import Aborted
from domicile.runtime.states import State
from domicile.service.migration.cookie import Cookie
from domicile.service.migration.leaving import Departure
from domicile.service.migration.peer import WORK, Peer, typed
from domicile.service.migration.wish import How, Wish

if TYPE_CHECKING:
    from domicile.service.entry import Entry
    from domicile.service.service import Service
    from domicile.store.values import Author

log = structlog.get_logger(__name__)
R = TypeVar("R")
#: What concerns the source alone.
_MINE = How.ABORT_ON_ERROR | How.AUTO_CONVERGE | How.PEER2PEER | How.UNDEFINE_SOURCE | How.CHANGE_PROTECTION


async def migrate(service: Service, entry: Entry, uri: str, wish: Wish, author: Author) -> None:
    """Take a machine to the host whose daemon a URI names.

    Raises:
        CannotMove: with all reasons of the end that refuses.
        Aborted, QemuRefused, DeadlineExceeded, HostFailure: it failed, and the guest goes on here.
        OutcomeUnknown: the target does not answer any more; the guest stands still here until it does.
    """
    departures = service.departures
    if entry.machine is not None and entry.machine.state is State.PAUSED:
        wish = Wish(wish.how | How.PAUSED, wish.given)
    peer = await Peer.connect(uri)
    try:
        await peer.able()
        mine, xml, _ = await departures.begin(entry, wish, author)
        departure = departures.of(entry)
        if departure is not None:
            departure.contacts = (uri,)
        try:
            theirs, way = await _prepare(peer, departure, entry, wish, mine, xml)
            wish_uri = wish.text("migrate_uri") or ""
            if departure is not None:
                peer.keep_alive(departure.lost)
            last = await departures.perform(entry, wish, theirs, way or wish_uri)
        except BaseException:
            await departures.confirm(entry, wish, b"", author, cancelled=True)
            raise
        peer.quiet()
        await _finish(service, peer, departure, entry, wish, last, author)
    finally:
        peer.close()


async def _prepare(
    peer: Peer, departure: Departure | None, entry: Entry, wish: Wish, mine: Cookie, xml: str
) -> tuple[bytes, str | None]:
    given = {**wish.given, "destination_xml": xml}
    if not wish.text("destination_name"):
        given["destination_name"] = entry.name
    call = peer.call(WORK, calls.domain_migrate_prepare3_params, typed(given), mine.write(), int(wish.how & ~_MINE))
    return await _unless_cancelled(departure, call)


async def _unless_cancelled(departure: Departure | None, call: Awaitable[R]) -> R:
    """Wait for an answer, or for the owner's wish to end it all."""
    if departure is None:
        return await call
    waiting = asyncio.ensure_future(call)
    wish = asyncio.ensure_future(departure.job.cancelled.wait())
    try:
        await asyncio.wait({waiting, wish}, return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            raise Aborted("operation aborted: migration out: canceled by client")
        return waiting.result()
    finally:
        wish.cancel()
        waiting.cancel()


async def _finish(
    service: Service, peer: Peer, departure: Departure | None, entry: Entry, wish: Wish, last: Cookie, author: Author
) -> None:
    """Let the target take over, and end the machine here; where the answer fails, find out who has it."""
    departures = service.departures
    given = {"destination_name": wish.text("destination_name") or entry.name}
    if wish.text("persistent_xml"):
        given["persistent_xml"] = wish.text("persistent_xml") or ""
    call = peer.call(
        WORK, calls.domain_migrate_finish3_params, typed(given), last.write(), int(wish.how & ~_MINE), 0
    )  # fmt: skip
    try:
        _, cookie = await _unless_cancelled(departure, call)
    except DomicileError as error:
        peer.close()
        if departure is None:
            raise
        if await departures.confirm(entry, wish, b"", author, cancelled=True):
            log.warning(
                "the target has the machine, although its answer was lost", domain=entry.name, reason=error.message
            )
            return
        note = departure.machine.record().leaving if not departure.machine.over else None
        if note is not None:
            raise OutcomeUnknown(
                f"the target does not answer any more ({error.message}); '{entry.name}' stays paused here until it is certain where it runs"
            ) from error
        raise
    await departures.confirm(entry, wish, cookie, author, cancelled=False)
