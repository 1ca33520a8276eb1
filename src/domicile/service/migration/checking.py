"""The look before a migration: what each end finds, as one refusal with all reasons.

`leaving`, `arriving` and `domicile migrate --check` call it; the judgement itself is domain/preflight.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from domicile.base.errors import CONFIG_UNSUPPORTED, Conflict, DomicileError, InvalidDocument, Unsupported, WrongState
from domicile.base.problem import Problem
from domicile.domain import preflight
from domicile.domain.domain import Domain
from domicile.domain.preflight import Storage, Target
from domicile.host import inspect, sharing, tap
from domicile.service.disk_sources import disks
from domicile.service.migration import copies
from domicile.service.migration.cookie import Cookie
from domicile.service.migration.wish import How, Wish

if TYPE_CHECKING:
    from domicile.service.entry import Entry
    from domicile.service.service import Service


class CannotMove(Unsupported):
    """A machine cannot move; `problems` are all reasons."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = list(problems)
        codes = {problem.code for problem in self.problems if problem.code}
        code = codes.pop() if len(codes) == 1 and all(problem.code for problem in self.problems) else CONFIG_UNSUPPORTED
        super().__init__(
            "\n".join(_words(problem, alone=len(self.problems) == 1) for problem in self.problems), code=code
        )


def _words(problem: Problem, *, alone: bool) -> str:
    """Say a reason; a lone one about unsafe disks begins as libvirt's does, for programs look at that."""
    if alone and problem.code == preflight.UNSAFE:
        return problem.message
    return problem.sentence()


# The source.


async def leaving_problems(service: Service, entry: Entry, domain: Domain, wish: Wish) -> list[Problem]:
    """Find what keeps a machine here."""
    kept = len(service.snapshots.of(entry))
    copied = frozenset(copies.target_of(disk) for disk in copies.wanted(domain, wish))
    files = {disk.source.file for disk in disks(domain) if disk.source is not None and disk.source.file}
    kinds = await asyncio.to_thread(lambda: {path: sharing.kind_of(path) for path in files})
    storage = Storage(
        {path: sharing.is_shared(kind) for path, kind in kinds.items()},
        {path: sharing.is_coherent(kind) for path, kind in kinds.items()}, copied,
    )  # fmt: skip
    found = preflight.leaving(domain, storage, unsafe=bool(wish.how & How.UNSAFE))
    if kept:
        words = f"cannot migrate domain with {kept} snapshots: they would stay behind"
        found.append(Problem("", words, accepted="a domain without snapshots", code=preflight.BUSY))
    if entry.live is not None and entry.live.jobs:
        disks_at_work = ", ".join(sorted(entry.live.jobs))
        found.append(
            Problem("", f"a block job goes on with {disks_at_work}", accepted="a machine without", code=preflight.BUSY)
        )
    return found


async def leaving(service: Service, entry: Entry, domain: Domain, wish: Wish) -> None:
    """Refuse what cannot move. Raises: CannotMove."""
    found = await leaving_problems(service, entry, domain, wish)
    if found:
        raise CannotMove(found)


# The target.


async def complete_here(service: Service, xml: str, name: str | None) -> Domain:
    """Read and complete a machine's document on the host it would come to. Raises: InvalidDocument."""
    domain = (await service.definitions.complete(xml)).domain
    if name:
        domain.name = name
    return domain


async def arriving_problems(service: Service, domain: Domain, source: Cookie) -> list[Problem]:
    """Find why a machine cannot come up here."""
    copied = {disk.target: disk.used for disk in source.disks}
    await service.emulators.ensure_for(domain)
    paths = {copies.target_of(disk): copies.path_of(disk) for disk in disks(domain) if copies.path_of(disk)}
    missing, room = await asyncio.to_thread(_look, paths, copied)
    networks = {net.name for net in service.networks.all if net.active} | set(service.machines.networks)
    target = Target(
        service.emulators.find_for(domain), kvm=service.host.kvm, bridges=frozenset(tap.bridges()), networks=frozenset(networks),
        missing=missing, memory_kib=inspect.memory_free_kib(), room=room,
    )  # fmt: skip
    found = preflight.arriving(domain, target, copied=frozenset(copied))
    if service.fleet.drained:
        found.append(Problem("", "the target is drained: nothing comes there", accepted="another host"))
    try:
        service.registry.startable(domain.uuid or "", domain.name or "")
    except (Conflict, WrongState) as error:
        found.append(Problem("name", error.message, accepted="another name, by --dname"))
    return found


def _look(paths: dict[str, str], copied: dict[str, int]) -> tuple[frozenset[str], dict[str, int]]:
    """Look which files are not there, and which file systems have too little room for those that will be made."""
    missing = frozenset(path for path in paths.values() if not Path(path).exists())
    lacks: dict[str, int] = {}
    for target, size in copied.items():
        path = paths.get(target, "")
        if path not in missing:
            continue
        place = Path(path).parent
        while not place.exists():
            place = place.parent
        lacks[path] = size - shutil.disk_usage(place).free
    return missing, lacks


async def arriving(service: Service, domain: Domain, source: Cookie, *, offline: bool) -> None:
    """Refuse what cannot come up here. Raises: CannotMove; Conflict, WrongState where only its name is in the way."""
    if offline:
        return
    found = await arriving_problems(service, domain, source)
    if len(found) == 1 and found[0].path == "name":
        service.registry.startable(domain.uuid or "", domain.name or "")
    if found:
        raise CannotMove(found)


async def on_target(service: Service, xml: str, cookie: bytes, name: str | None) -> list[Problem]:
    """List all reasons why a machine could not come here, those of its document included."""
    try:
        domain = await complete_here(service, xml, name)
    except InvalidDocument as error:
        return list(error.problems)
    except DomicileError as error:
        return [Problem("", error.message)]
    return await arriving_problems(service, domain, Cookie.read(cookie))


def contacts(service: Service) -> list[str]:
    """Say under which URIs this daemon can be asked later what became of a machine."""
    own = service.host.settings.migration_uri
    return [*([own] if own else service.reachable), f"qemu+unix:///system?socket={service.paths.socket}"]
