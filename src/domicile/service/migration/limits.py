"""How fast a machine may move and for how long it may stand still, set before a migration or during one.

The front doors call these. Source: observed with libvirt 9.0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from domicile.base.errors import INTERNAL_ERROR, InvalidRequest, QemuRefused, Unsupported, WrongState
from domicile.runtime import migration
from domicile.runtime.machine import Machine

if TYPE_CHECKING:
    from domicile.service.entry import Entry
    from domicile.service.service import Service
    from domicile.store.values import Author

_LONGEST_MS = 2_000_000
_MIB = 1024 * 1024


def speed(entry: Entry) -> int:
    """Give the most that a migration of it may send, in MiB a second."""
    machine = entry.machine
    return (machine.record().migration_speed if machine is not None else 0) or migration.UNLIMITED


async def set_speed(service: Service, entry: Entry, mib: int, author: Author, *, postcopy: bool) -> None:
    """Set the most that a migration of it may send, in MiB a second; one that is under way heeds it. Raises: InvalidRequest, WrongState."""
    if mib > migration.UNLIMITED:
        raise InvalidRequest(f"bandwidth must be less than {migration.UNLIMITED + 1}", code=8)
    machine = service.machines.running(entry)
    moving = service.departures.of(entry) is not None
    if postcopy:
        await machine.qmp("migrate-set-parameters", {"max-postcopy-bandwidth": mib * _MIB})
    else:
        machine.note(migration_speed=0 if mib == migration.UNLIMITED else mib)
        if moving:
            await machine.qmp("migrate-set-parameters", {"max-bandwidth": migration.speed(mib)})
    service.machines.done("migrate-setspeed", entry, author, mib=mib)


async def postcopy_speed(machine: Machine) -> int:
    """Give the most that the rest of a guest's memory may take, in MiB a second; 0 is no limit."""
    return int((await _parameters(machine)).get("max-postcopy-bandwidth") or 0) // _MIB


async def downtime(machine: Machine) -> int:
    """Give for how many milliseconds the guest may stand still."""
    return int((await _parameters(machine))["downtime-limit"])


async def set_downtime(service: Service, entry: Entry, milliseconds: int, author: Author) -> None:
    """Set for how many milliseconds the guest may stand still. Raises: WrongState, QemuRefused."""
    if milliseconds > _LONGEST_MS:
        raise QemuRefused(
            f"the guest may stand still for {_LONGEST_MS} ms at most, not for {milliseconds}", code=INTERNAL_ERROR
        )
    await service.machines.running(entry).qmp("migrate-set-parameters", {"downtime-limit": milliseconds})
    service.machines.done("migrate-setmaxdowntime", entry, author, milliseconds=milliseconds)


async def cache(machine: Machine) -> int:
    """Give the size of the cache that compresses pages by what changed in them, in bytes."""
    return int((await _parameters(machine))["xbzrle-cache-size"])


async def set_cache(service: Service, entry: Entry, size: int, author: Author) -> None:
    """Set the size of that cache, in bytes. Raises: WrongState, QemuRefused."""
    if size <= 0:
        raise InvalidRequest("the cache must have at least one page; a power of two is accepted")
    await service.machines.running(entry).qmp("migrate-set-parameters", {"xbzrle-cache-size": size})
    service.machines.done("migrate-compcache", entry, author, size=size)


async def _parameters(machine: Machine) -> dict[str, int]:
    found: dict[str, int] = await machine.qmp("query-migrate-parameters")
    return found


def stop_post_copy(service: Service, entry: Entry) -> None:
    """Refuse to break a post-copy migration off: the guest would be lost. Raises: Unsupported, WrongState."""
    if service.departures.of(entry) is None:
        raise WrongState("no job is active on the domain")
    raise Unsupported("a guest whose memory is in two places cannot be given up", code=84)
