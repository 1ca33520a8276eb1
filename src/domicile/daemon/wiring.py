"""Joins store, host, service and doors into one daemon. Called by `main`."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import structlog

from domicile.api.libvirt import doors
from domicile.api.libvirt.server import Server
from domicile.base.errors import DomicileError
from domicile.daemon import access, database
from domicile.daemon.config import Config
from domicile.host import firmware, helpers, inspect, kvm
from domicile.host.fulfil import Host as HostResources
from domicile.host.lending import Lending
from domicile.host.user import qemu_user
from domicile.plan.host import Directories, Host
from domicile.service.definitions import Keep
from domicile.service.emulators import Emulators
from domicile.service.paths import Paths
from domicile.service.service import Service
from domicile.store.values import Author

log = structlog.get_logger(__name__)
#: Seconds without calls and work for the database after which the index is brought up to date, and after which it is all the same.
_QUIET, _AT_LAST = 1.0, 10.0
DAEMON = Author("root" if os.geteuid() == 0 else str(os.geteuid()), "domiciled", "")


async def build(config: Config, paths: Paths) -> Service:
    """Open the store and make the service with everything it needs of the host."""
    opening = asyncio.to_thread(database.open_store, config.database, config.database_password_file, paths)
    # Both are waited for, also where one fails: a trial that is cancelled while it starts could hang.
    store, works = await asyncio.gather(opening, _kvm(paths.cache / "kvm.json"), return_exceptions=True)
    if isinstance(store, BaseException):
        raise store
    if isinstance(works, BaseException):
        raise works
    arch = os.uname().machine
    huge = inspect.huge_pages()
    release = tuple(int(part) for part in config.qemu.libvirt.split(".")[:2])
    host = Host(
        arch=arch, privileged=os.geteuid() == 0, kvm=works, settings=config.settings, libvirt=(release[0], release[1]),
        directories=Directories(
            state=str(paths.machines), channels=str(paths.channels), nvram=str(paths.state / "nvram"), ram=str(paths.state / "ram"),
            run=str(paths.run), tpm_state=str(paths.state / "tpm"),
        ),
        page_kib=inspect.page_size() // 1024, environment=dict(os.environ), firmwares=await asyncio.to_thread(firmware.read),
        vhost_net=os.access("/dev/vhost-net", os.R_OK | os.W_OK), render_node=inspect.render_node(), iommu_group=inspect.iommu_group,
        cannot_run=inspect.cannot_run, has_program=helpers.installed,
        hugepages=huge.mounts, hugepage_kib=huge.usual_kib, numa_nodes=frozenset(cell.id for cell in inspect.cells()),
    )  # fmt: skip
    emulators = Emulators(paths.cache, kvm=works)
    service = Service(store, host, HostResources(qemu_user(config.qemu.user or None), Lending(notes=paths.lent)), paths, emulators)
    service.machines.networks = dict(config.networks)
    if config.tls.listen:
        name = config.settings.migration_host or inspect.hostname()
        service.reachable.append(f"qemu+tls://{name}:{config.tls.port}/system")
    service.definitions.keep = cast(Keep, config.definitions.keep)
    return service


async def _kvm(kept: Path) -> bool:
    """Say whether virtual CPUs run here: tried once for each boot of the host."""
    known = await asyncio.to_thread(_kept_verdict, kept)
    if known is None:
        found = await kvm.check()
        await asyncio.to_thread(_keep_verdict, kept, found)
        known = found.works
    return known


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _kept_verdict(kept: Path) -> bool | None:
    try:
        known: Any = json.loads(kept.read_text())
        same = known["boot"] == _boot() and known["exists"] == Path("/dev/kvm").exists()
        return bool(known["works"]) if same else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _keep_verdict(kept: Path, found: kvm.Kvm) -> None:
    verdict = {"boot": _boot(), "exists": Path("/dev/kvm").exists(), "works": found.works, "reason": found.reason}
    kept.write_text(json.dumps(verdict))


async def serve(config: Config, paths: Paths, stop: asyncio.Event, ready: Callable[[], None]) -> None:
    """Run the daemon until it is told to stop; `ready` is called once the sockets listen."""
    service = await build(config, paths)
    await service.begin()
    _settle_memory()
    server = Server(doors.registry(), service, access.limits(config.sockets), access.users(config.sasl, paths))
    doors.publish(server)
    try:
        await access.open_doors(server, config.sockets, config.tcp, config.tls, paths)
    except DomicileError:
        await server.close(grace=0)
        await service.close()
        raise
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, access.renew, server, config.tls)
    ready()
    log.info("ready", socket=str(paths.socket), domains=len(service.registry))
    starting = asyncio.create_task(_autostart(service), name="autostart")
    indexing = asyncio.create_task(_index(service, server), name="indexing")
    watching = asyncio.create_task(service.standing.watch(), name="database")
    beating = asyncio.create_task(service.fleet.watch(), name="fleet")
    try:
        await stop.wait()
    finally:
        starting.cancel()
        indexing.cancel()
        watching.cancel()
        beating.cancel()
        await asyncio.gather(starting, indexing, watching, beating, return_exceptions=True)
        await server.close(grace=3)
        await service.close()
        log.info("stopped")


async def _autostart(service: Service) -> None:
    """Start what is to be started: pools first, for machines may have their disks in them."""
    await service.pools.autostart(DAEMON)
    await service.takeover.autostart(DAEMON)


def _settle_memory() -> None:
    """Let the collector leave alone what stays for the daemon's life, and look at the rest less often.

    A definition makes thousands of short-lived elements in no cycles; at the default the collector would walk over all
    domains several times for each.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    gc.enable()


async def _index(service: Service, server: Server[Service]) -> None:
    """Bring the index of all values up to date while nothing else is to be done, or a little of it every ten seconds.

    The thread that indexes holds the interpreter for milliseconds at a time: whoever calls meanwhile waits for it.
    """
    pause, waited = 2.0, 0.0
    while True:
        await asyncio.sleep(pause)
        waited += pause
        if min(service.quiet, server.quiet) < _QUIET and waited < _AT_LAST:
            continue
        try:
            more = await service.when_idle(service.store.catch_up, 20)
        except DomicileError as fault:
            log.debug("leaves not indexed", reason=fault.message)
            more = 0
        pause, waited = (0.2 if more else 2.0), 0.0
