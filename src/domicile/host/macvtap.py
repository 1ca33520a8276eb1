"""Macvtaps: a second face of a network device of the host, with an address of its own, as a descriptor for QEMU.

`host/fulfil` makes them for the Macvtap needs of a machine. Unlike taps they outlive their descriptors: each carries a mark,
and is removed when its machine ends or, by that mark, when a later daemon finds that nobody has it.
"""

from __future__ import annotations

import errno
import functools
import os
import socket
import stat
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

import structlog

from domicile.base.errors import HostFailure, Unsupported
from domicile.host.netlink import NetlinkRefused, routed
from domicile.host.tap import OpenTap, attach
from domicile.plan.need import Macvtap, Tap

log = structlog.get_logger(__name__)
_NET = Path("/sys/class/net")
_NAME = "macvtap{}"
# Source: linux/if_link.h, IFLA_MACVLAN_MODE as pyroute2 names it.
_MODES = {"private": "private", "vepa": "vepa", "bridge": "bridge", "passthrough": "passthru"}
_RACES, _LONGEST = 100, 15


def check(need: Macvtap) -> None:
    """Say before anything is done what stands in the way. Raises: HostFailure, Unsupported."""
    if "/" in need.device or not (_NET / need.device).exists():
        raise HostFailure(f"Unable to get index for interface {need.device}: No such device")
    if need.vlans:
        what = f"interface {need.mac} - vlan tag not supported for this connection type"
        raise Unsupported(f"{what}: a macvtap has none; a bridge that filters VLANs or Open vSwitch would be accepted")
    if need.mode not in _MODES:
        raise HostFailure(f"a macvtap has no mode '{need.mode}'; {', '.join(_MODES)} are accepted")


def open_macvtap(need: Macvtap) -> OpenTap:
    """Make a macvtap on its device, open it for each queue and bring it up. Raises: HostFailure; nothing is left behind."""
    check(need)
    name = _make(need)
    fds: list[int] = []
    try:
        for _ in range(max(1, need.queues)):
            fds.append(_open(name))
            attach(fds[-1], name, need.queues > 1)
        if need.link_up:
            _bring_up(name)
    except BaseException as error:
        for fd in fds:
            os.close(fd)
        remove(name, need.mark)
        if isinstance(error, OSError):
            raise HostFailure(f"cannot open the macvtap {name}: {error.strerror}") from error
        raise
    return OpenTap(name, tuple(fds))


def open_given(need: Tap) -> OpenTap:
    """Open a macvtap that its owner made himself. Raises: HostFailure."""
    fds: list[int] = []
    try:
        for _ in range(max(1, need.queues)):
            fds.append(_open(need.name))
            attach(fds[-1], need.name, need.queues > 1)
    except OSError as error:
        for fd in fds:
            os.close(fd)
        raise HostFailure(f"cannot open the macvtap {need.name}: {error.strerror}") from error
    return OpenTap(need.name, tuple(fds))


def _make(need: Macvtap) -> str:
    """Make the device under the name that is wanted, or under the next free one."""
    for number in range(_RACES):
        name = need.name or _NAME.format(number)
        if len(name) > _LONGEST:
            raise HostFailure(f"'{name}' cannot be the name of a network device; at most {_LONGEST} characters are accepted")
        if (_NET / name).exists() and not need.name:
            continue
        try:
            what = f"error creating macvtap interface {name}@{need.device} ({need.mac})"
            routed(what, functools.partial(_add, need, name))
        except NetlinkRefused as error:
            if error.number == errno.EEXIST and not need.name:
                continue
            remove(name, need.mark)
            raise
        return name
    raise HostFailure(f"no name is free for a macvtap on {need.device}")


def _add(need: Macvtap, name: str, routes: Any) -> None:
    routes.link(
        "add",
        ifname=name,
        kind="macvtap",
        link=socket.if_nametoindex(need.device),
        macvtap_mode=_MODES[need.mode],
        # One that is passed through takes its device's address; changing it then changes the device's for as long.
        **({} if need.mode == "passthrough" else {"address": need.mac}),
    )
    index = socket.if_nametoindex(name)
    routes.link("set", index=index, ifalias=need.mark)
    if need.mode == "passthrough":
        routes.link("set", index=index, address=need.mac)


def _open(name: str) -> int:
    """Open a macvtap's node; where /dev has none for it, by a node of our own that is gone at once."""
    index = socket.if_nametoindex(name)
    major, minor = (int(n) for n in (_NET / name / "macvtap" / f"tap{index}" / "dev").read_text().split(":"))
    device = os.makedev(major, minor)
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK
    usual = Path(f"/dev/tap{index}")
    try:
        found = usual.stat()
        if stat.S_ISCHR(found.st_mode) and found.st_rdev == device:
            return os.open(usual, flags)
    except FileNotFoundError:
        pass
    with tempfile.TemporaryDirectory(prefix="macvtap-", dir="/dev" if os.access("/dev", os.W_OK) else None) as folder:
        node = Path(folder) / "tap"
        os.mknod(node, stat.S_IFCHR | 0o600, device)
        return os.open(node, flags)


def _bring_up(name: str) -> None:
    routed(f"cannot bring up {name}", lambda routes: routes.link("set", index=socket.if_nametoindex(name), state="up"))


def remove(name: str, mark: str) -> None:
    """Remove a macvtap that carries this mark; what is gone already, or is another's, is left alone."""
    if not mark or mark_of(name) != mark:
        return
    try:
        routed(f"cannot remove {name}", lambda routes: routes.link("del", index=socket.if_nametoindex(name)))
    except HostFailure as error:
        log.warning("a macvtap was not removed", device=name, reason=error.message)


def mark_of(name: str) -> str:
    """Read the mark of a network device; empty where it has none."""
    try:
        return (_NET / name / "ifalias").read_text().strip()
    except OSError:
        return ""


def sweep(mark: str, keep: Collection[str]) -> list[str]:
    """Remove the macvtaps whose mark begins so, but for those to keep; a daemon that was killed in a start leaves them."""
    gone = []
    for path in sorted(_NET.glob("*/macvtap")):
        name = path.parent.name
        if name not in keep and mark_of(name).startswith(mark):
            remove(name, mark_of(name))
            gone.append(name)
    return gone
