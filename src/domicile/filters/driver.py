"""Filters on the host: each interface's rules put in place, replaced and removed as one, and bridges asked for connections.

Plain functions that block; the service calls them from threads. Nothing but this daemon's own two tables is ever touched.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from domicile.base.errors import HostFailure
from domicile.filters import ruleset
from domicile.filters.ruleset import Built
from domicile.host import nftables

_PATIENCE = 10.0
_PROC = Path("/proc/sys/net/bridge")


@dataclass(frozen=True, slots=True)
class Placed:
    """The rules of one interface as they stand, and the bridge that it is on."""

    built: Built
    bridge: str


class Rules:
    """The tables of one daemon. `mark` is a file that is there while they may be."""

    def __init__(self, table: str, mark: Path) -> None:
        self.table, self._mark = table, mark
        self._placed: dict[str, Placed] = {}
        self._ours: set[str] = set()
        self._made = False
        self._lock = threading.Lock()
        self._generation = 0

    def prefix(self, device: str) -> str:
        """Give the beginning of the names of an interface's next chains, which nothing has yet."""
        with self._lock:
            self._generation += 1
            return f"{device}.{self._generation}"

    def change(self, wanted: Mapping[str, Placed | None]) -> None:
        """Put interfaces' rules in place of what they had (None: nothing); all of it, or nothing changes.

        Raises:
            HostFailure: the host refused.
        """
        with self._lock:
            after = {**self._placed, **{name: one for name, one in wanted.items() if one is not None}}
            for name, one in wanted.items():
                if one is None:
                    after.pop(name, None)
            self._prepare(one for one in wanted.values() if one is not None)
            commands = [] if self._made else [*ruleset.removal(self.table), *ruleset.setting(self.table)]
            for name, one in wanted.items():
                if name in self._placed:
                    commands += ruleset.dropping(self.table, name, self._placed[name].built)
                if one is not None:
                    commands += ruleset.adding(self.table, name, one.built)
            before, now = _noted(self._placed), _noted(after)
            commands += ruleset.bridges(self.table, "add", now - before)
            commands += ruleset.bridges(self.table, "delete", before - now)
            if not after:
                commands = ruleset.removal(self.table) if self._made else []
            self._load(commands, bool(after))
            self._placed = after
            self._leave(now)

    def reset(self, wanted: Mapping[str, Placed]) -> None:
        """Put these interfaces' rules in place of all that an earlier daemon left. Raises: HostFailure."""
        with self._lock:
            self._prepare(wanted.values())
            if wanted:
                commands = [*ruleset.removal(self.table), *ruleset.setting(self.table)]
                for name, one in wanted.items():
                    commands += ruleset.adding(self.table, name, one.built)
                commands += ruleset.bridges(self.table, "add", _noted(wanted))
            else:
                commands = ruleset.removal(self.table) if self._mark.exists() else []
            self._load(commands, bool(wanted))
            self._placed = dict(wanted)

    def bridge(self, device: str) -> str:
        """Name the bridge that an interface was on when its rules were put in place, else where it is now."""
        placed = self._placed.get(device)
        return placed.bridge if placed is not None and placed.bridge else bridge_of(device)

    def _load(self, commands: list[dict[str, Any]], remain: bool) -> None:
        if not commands:
            return
        if remain:
            self._mark.touch()
        nftables.load(ruleset.text(commands))
        self._made = remain
        if not remain:
            self._mark.unlink(missing_ok=True)

    def _prepare(self, wanted: Iterable[Placed]) -> None:
        """Let the bridges of interfaces whose rules ask for connections hand their packets to IP's rules. Raises: HostFailure."""
        for bridge in {one.bridge for one in wanted if one.built.connections} - self._ours:
            if not bridge:
                raise HostFailure("rules on connections need an interface that is on a bridge")
            if _ask(bridge, on=True):
                self._ours.add(bridge)

    def _leave(self, needed: set[str]) -> None:
        for bridge in self._ours - needed:
            _ask(bridge, on=False)
        self._ours &= needed


def _noted(placed: Mapping[str, Placed]) -> set[str]:
    return {one.bridge for one in placed.values() if one.built.connections and one.bridge}


def _ask(bridge: str, *, on: bool) -> bool:
    """Say whether a bridge's packets pass IP's rules, too; return whether that is a change. Raises: HostFailure."""
    from pyroute2 import IPRoute  # a tenth of a second that only filters need
    from pyroute2.netlink.exceptions import NetlinkError

    if on and not _PROC.exists():
        _module()
    try:
        with IPRoute() as routes:
            found = routes.link_lookup(ifname=bridge)
            if not found:
                if on:
                    raise HostFailure(f"the bridge {bridge} does not exist on this host")
                return False
            (link,) = routes.get_links(found[0])
            data = link.get_nested("IFLA_LINKINFO", "IFLA_INFO_DATA")
            flags = ("NF_CALL_IPTABLES", "NF_CALL_IP6TABLES")
            if on and data is not None and all(data.get_attr(f"IFLA_BR_{flag}") for flag in flags):
                return False
            wanted = {f"br_{flag.lower()}": int(on) for flag in flags}
            routes.link("set", index=found[0], kind="bridge", **wanted)
    except (NetlinkError, OSError) as error:
        if not on:
            return False
        raise HostFailure(f"the bridge {bridge} cannot hand its packets to the rules on IP: {error}") from error
    return True


def _module() -> None:
    """Load the kernel's module that lets bridges ask IP's rules. Raises: HostFailure."""
    tool = shutil.which("modprobe", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if tool is not None:
        subprocess.run([tool, "br_netfilter"], capture_output=True, timeout=_PATIENCE, check=False)
    if not _PROC.exists():
        raise HostFailure("rules on connections need the kernel's module br_netfilter, which is not there")


def bridge_of(device: str) -> str:
    """Name the bridge that a device is on now; nothing where there is none."""
    from pyroute2 import IPRoute
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        socket.if_nametoindex(device)
        with IPRoute() as routes:
            (link,) = routes.get_links(routes.link_lookup(ifname=device)[0])
            master = link.get_attr("IFLA_MASTER")
            return socket.if_indextoname(master) if master else ""
    except (NetlinkError, OSError, IndexError):
        return ""
