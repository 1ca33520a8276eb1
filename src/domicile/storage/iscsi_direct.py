"""iSCSI targets as pools without the kernel: libiscsi's programs look, QEMU opens. The service calls it through `drivers`.

Source: iscsi-ls(1), iscsi-readcapacity16(1) of libiscsi 1.19; names as libvirt documents them for this type.
"""

from __future__ import annotations

import re

from domicile.base.errors import DomicileError
from domicile.storage import exports, programs
from domicile.storage.auth import Passwords
from domicile.storage.driver import Fixed, View
from domicile.storage.failure import broken
from domicile.storage.iscsi import initiator_of, portal_of, target_of, written
from domicile.storage.parts import bytes_of
from domicile.storage.pool import Pool
from domicile.storage.volume import Volume, VolumeTarget

_SECONDS = 30
_TARGET = re.compile(r"Target:(\S+) Portal:")
_UNIT = re.compile(r"Lun:(\d+)\s+Type:DIRECT_ACCESS\b")
_SIZE = re.compile(r"Total size:\s*(\d+)")


class IscsiDirect(Fixed):
    """Targets that are asked over the network at each look."""

    type = "iscsi-direct"

    def __init__(self, passwords: Passwords) -> None:
        self._passwords = passwords

    async def _environment(self, pool: Pool) -> dict[str, str]:
        """Say who logs in, where no command line shows it."""
        auth = pool.source.auth if pool.source is not None else None
        if auth is None:
            return {}
        password = (await self._passwords.of(auth)).decode(errors="surrogateescape")
        return {"LIBISCSI_CHAP_USERNAME": auth.username or "", "LIBISCSI_CHAP_PASSWORD": password}

    async def _ask(self, pool: Pool, program: str, *words: str) -> str:
        initiator = initiator_of(pool)
        named = ["-i", initiator] if initiator is not None else []
        return await programs.run(
            [program, *named, *words], deadline=_SECONDS, env=await self._environment(pool)
        )  # fmt: skip

    async def start(self, pool: Pool) -> None:
        """Nothing needs doing: looking through it tells whether the target answers."""
        target_of(pool)

    async def look(self, pool: Pool, *, sweep: bool) -> View:
        """List the target's units."""
        portal, target = written(*portal_of(pool)), target_of(pool)
        said = await self._ask(pool, "iscsi-ls", "-s", f"iscsi://{portal}")
        numbers = units(said, target)
        if numbers is None:
            raise broken(f"the server at {portal} has no iSCSI target '{target}'")
        view = View()
        for number in numbers:
            told = await self._ask(pool, "iscsi-readcapacity16", f"iscsi://{portal}/{target}/{number}")
            size = _SIZE.search(told)
            if size is None:
                raise broken(f"iscsi-readcapacity16 said of unit {number} no size: {told.strip()[:200]}")
            volume = _volume(portal, target, number, int(size[1]))
            view.volumes[volume.name or ""] = volume
            view.capacity += int(size[1])
            view.allocation += int(size[1])
        return view

    async def sources(self, spec: str | None) -> str:
        """Ask a server for its targets."""
        portal = exports.portal_of(spec)
        try:
            said = await programs.run(["iscsi-ls", f"iscsi://{portal}"], deadline=_SECONDS)
        except DomicileError as error:
            raise broken(f"no iSCSI targets were found at {portal}: {error.message}") from None
        host, _, port = portal.rpartition(":")
        return exports.targets(host.strip("[]"), port, list(dict.fromkeys(_TARGET.findall(said))))


def units(said: str, target: str) -> list[int] | None:
    """Pick a target's disks from what iscsi-ls said; None where it did not speak of the target."""
    found: list[int] | None = None
    mine = False
    for line in said.splitlines():
        named = _TARGET.match(line)
        if named is not None:
            mine = named[1] == target
            found = found if not mine else found or []
        elif mine and found is not None:
            unit = _UNIT.match(line)
            if unit is not None and int(unit[1]) not in found:
                found.append(int(unit[1]))
    return found


def _volume(portal: str, target: str, number: int, size: int) -> Volume:
    path = f"ip-{portal}-iscsi-{target}-lun-{number}"
    return Volume(
        type="network", name=f"unit:0:0:{number}", key=path, capacity=bytes_of(size), allocation=bytes_of(size),
        physical=bytes_of(size), target=VolumeTarget(path=path),
    )  # fmt: skip
