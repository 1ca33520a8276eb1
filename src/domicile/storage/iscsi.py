"""iSCSI targets as pools, their units as volumes, by the kernel's initiator. The service calls it through `drivers`.

Source: iscsiadm(8); the kernel's scsi_transport_iscsi in /sys; arguments observed with libvirt 9.0.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from domicile.storage import devices, exports, programs, scsi
from domicile.storage.auth import Passwords
from domicile.storage.driver import Fixed, View
from domicile.storage.failure import broken, failed, invalid
from domicile.storage.pool import Pool

_RECORDS = Path("/etc/iscsi/nodes")
_PORT = 3260
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:_-]*\Z")
_HOST = re.compile(r"[A-Za-z0-9:][A-Za-z0-9.:_-]*\Z")
_NUMBER = re.compile(r"host(\d+)\Z")
_PASSWORD = "node.session.auth.password"  # noqa: S105  the name of a setting


def target_of(pool: Pool) -> str:
    """Name a pool's target. Raises: InvalidRequest."""
    paths = pool.device_paths
    if not paths or not _NAME.match(paths[0]):
        raise invalid(
            f"pool '{pool.name}' needs the name of an iSCSI target as its <device path=…>, such as iqn.2026-01.org.example:disks"
        )
    return paths[0]


def portal_of(pool: Pool) -> tuple[str, int]:
    """Say at which address and port a pool's target is. Raises: InvalidRequest."""
    host = pool.source.host[0] if pool.source is not None and pool.source.host else None
    if host is None or not host.name or not _HOST.match(host.name):
        raise invalid(f"pool '{pool.name}' needs the name or address of an iSCSI server")
    return host.name, host.port or _PORT


def written(host: str, port: int) -> str:
    """Write a portal."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def initiator_of(pool: Pool) -> str | None:
    """Say by which name the host introduces itself; None for its usual one. Raises: InvalidRequest."""
    initiator = pool.source.initiator if pool.source is not None else None
    name = initiator.iqn.name if initiator is not None and initiator.iqn is not None else None
    if name and not _NAME.match(name):
        raise invalid(f"'{name}' cannot be the name of an iSCSI initiator")
    return name or None


class Iscsi(Fixed):
    """Targets that the kernel logs in to."""

    type = "iscsi"

    def __init__(self, passwords: Passwords) -> None:
        self._passwords = passwords

    async def active(self, pool: Pool) -> bool:
        """Say whether the host is logged in."""
        return await asyncio.to_thread(lambda: any(sessions(devices.SYS, target_of(pool), initiator_of(pool))))

    async def start(self, pool: Pool) -> None:
        """Log in."""
        target, portal = target_of(pool), written(*portal_of(pool))
        interface = await self._interface(pool)
        node = ["--mode", "node", "--portal", portal, "--targetname", target]
        await _iscsiadm(*node, *interface, "--op", "new")
        await _iscsiadm(*node, *interface, "--op", "update", "--name", "node.startup", "--value", "manual")
        source = pool.source
        if source is not None and source.auth is not None:
            for name, value in (("authmethod", "CHAP"), ("username", source.auth.username or "")):
                words = ("--op", "update", "--name", f"node.session.auth.{name}", "--value", value)
                await _iscsiadm(*node, *interface, *words)
            password = await self._passwords.of(source.auth)
            await asyncio.to_thread(note_password, _RECORDS, target, portal_of(pool), password)
        await _iscsiadm(*node, *interface, "--login")

    async def _interface(self, pool: Pool) -> list[str]:
        """Make the initiator's face that has the name which the pool asks for."""
        initiator = initiator_of(pool)
        if initiator is None:
            return []
        name = f"domicile-{hashlib.sha256(initiator.encode()).hexdigest()[:8]}"
        known = ["--mode", "iface", "--interface", name]
        await programs.run(["iscsiadm", *known, "--op", "new"], accepted=(0, 15))  # 15: it is there already
        await _iscsiadm(*known, "--op", "update", "--name", "iface.initiatorname", "--value", initiator)
        return ["--interface", name]

    async def stop(self, pool: Pool) -> None:
        """Log out, and forget the target's record with its password."""
        target, portal = target_of(pool), written(*portal_of(pool))
        node = ["--mode", "node", "--portal", portal, "--targetname", target]
        if await self.active(pool):
            await _iscsiadm(*node, "--logout")
        await programs.run(["iscsiadm", *node, "--op", "delete"], accepted=(0, 21))  # 21: there is none

    async def look(self, pool: Pool, *, sweep: bool) -> View:
        """List the target's units."""
        found = await asyncio.to_thread(lambda: list(sessions(devices.SYS, target_of(pool), initiator_of(pool))))
        if not found:
            raise broken(f"the host is not logged in to the iSCSI target '{target_of(pool)}'")
        if sweep:
            await _iscsiadm("--mode", "session", "--sid", str(found[0][0]), "--rescan")
        return await asyncio.to_thread(scsi.disks, devices.SYS, found[0][1], pool.path)

    async def sources(self, spec: str | None) -> str:
        """Ask a server for its targets."""
        portal = exports.portal_of(spec)
        said = await _iscsiadm(
            "--mode", "discovery", "--type", "sendtargets", "--portal", portal, "--op", "nonpersistent"
        )
        host, _, port = portal.rpartition(":")
        names = [parts[1] for parts in (line.split() for line in said.splitlines()) if len(parts) == 2]
        return exports.targets(host.strip("[]"), port, list(dict.fromkeys(names)))


async def _iscsiadm(*words: str) -> str:
    return await programs.run(["iscsiadm", *words])


def sessions(sys: Path, target: str, initiator: str | None) -> Iterator[tuple[int, int]]:
    """List the sessions with a target: the number of each, and of its SCSI host."""
    for session in sorted(sys.glob("class/iscsi_session/session*")):
        try:
            if (session / "targetname").read_text().strip() != target:
                continue
            if initiator is not None and (session / "initiatorname").read_text().strip() != initiator:
                continue
        except OSError:
            continue  # it ended meanwhile
        for part in session.resolve().parts:
            found = _NUMBER.match(part)
            if found is not None:
                yield int(session.name.removeprefix("session")), int(found[1])
                break


def note_password(records: Path, target: str, portal: tuple[str, int], password: bytes) -> None:
    """Write a password into iscsiadm's records of a target: no command line ever has it. Raises: HostFailure."""
    places = [path for path in records.glob(f"{target}/{portal[0]},{portal[1]},*") if path.name]
    found = [file for place in places for file in ([place] if place.is_file() else sorted(place.iterdir()))]
    if not found:
        raise failed(f"iscsiadm has no record of the target '{target}' below {records}")
    value = password.decode(errors="strict") if password.isascii() else None
    if value is None or "\n" in value:
        raise invalid(f"the password for the target '{target}' has characters that CHAP cannot carry")
    for file in found:
        lines = [line for line in file.read_text().splitlines() if not line.startswith(f"{_PASSWORD} ")]
        end = lines.index("# END RECORD") if "# END RECORD" in lines else len(lines)
        lines.insert(end, f"{_PASSWORD} = {value}")
        fresh = file.with_name(f".{file.name}.new")
        fresh.unlink(missing_ok=True)
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "w") as out:
            out.write("\n".join(lines) + "\n")
        fresh.replace(file)
