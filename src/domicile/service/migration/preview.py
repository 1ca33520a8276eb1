"""What would come of a migration, without one: every reason against it, of both ends. For `domicile migrate --check`.

The front doors call this.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec

from domicile.base.errors import WrongState
from domicile.base.problem import Problem
from domicile.domain import document
from domicile.domain.complete import complete
from domicile.rpc.calls import domicile
from domicile.runtime.job import Job, Operation
from domicile.service.migration import checking
from domicile.service.migration.cookie import Cookie
from domicile.service.migration.copies import Mirrors
from domicile.service.migration.peer import ASK, Peer
from domicile.service.migration.wish import Wish

if TYPE_CHECKING:
    from domicile.service.entry import Entry
    from domicile.service.service import Service


async def both(service: Service, entry: Entry, uri: str, wish: Wish) -> dict[str, list[dict[str, str]]]:
    """Ask both ends. Raises: WrongState where the machine does not run; HostFailure where the target does not answer."""
    machine = service.machines.running(entry)
    if entry.live is None:
        raise WrongState("domain is not running")
    live = document.read_stored(entry.live.xml)
    mine = await checking.leaving_problems(service, entry, live, wish)
    mirrors = Mirrors(machine, live, wish, Job(Operation.MIGRATION_OUT))
    disks = await mirrors.look() if mirrors.disks else ()
    await service.emulators.ensure_for(live)
    xml = wish.text("destination_xml") or document.write(complete(live, service.host, service.emulators.find).domain)
    peer = await Peer.connect(uri)
    try:
        cookie = Cookie("check", service.machines.host, disks=disks).write()
        answer = await peer.call(ASK, domicile.migration_check_here, xml, cookie, wish.text("destination_name"))
    finally:
        peer.close()
    theirs: list[dict[str, str]] = msgspec.json.decode(answer)
    return {"source": _shown(mine), "target": theirs}


async def here(service: Service, xml: str, cookie: bytes, name: str | None) -> list[dict[str, Any]]:
    """Say what is against a machine's coming here."""
    return _shown(await checking.on_target(service, xml, cookie, name))


def _shown(problems: Iterable[Problem]) -> list[dict[str, str]]:
    return [{"path": p.path, "message": p.message, "accepted": p.accepted} for p in problems]
