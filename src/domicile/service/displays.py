"""Handing a viewer's connection to a running machine's display, so that nobody need listen on a port.

Called by api/libvirt/domain_files.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import stat
from typing import TYPE_CHECKING

from domicile.base.errors import FROM_DOMAIN, INTERNAL_ERROR, InvalidRequest, QemuRefused, WrongState
from domicile.devices.graphics.model import Graphics

if TYPE_CHECKING:
    from domicile.service.entry import Entry
    from domicile.service.service import Service

# Source: QEMU's QMP reference, add_client: the name of the protocol for each kind of display that takes connections.
_names = itertools.count(1)
PROTOCOLS = {"vnc": "vnc", "spice": "spice", "dbus": "@dbus-display"}


async def hand_over(service: Service, entry: Entry, index: int, fd: int, *, skip_auth: bool) -> None:
    """Let the display with that number serve the viewer at the other end of a socket; `fd` stays the caller's.

    Raises: WrongState, InvalidRequest, QemuRefused
    """
    protocol = _protocol(service, entry, index)
    if not stat.S_ISSOCK(os.fstat(fd).st_mode):
        raise InvalidRequest(f"the descriptor for display {index} is no socket", domain=FROM_DOMAIN)
    machine = entry.machine
    if machine is None:
        raise WrongState("domain is not running", domain=FROM_DOMAIN)
    name = f"viewer{next(_names)}"
    await machine.pass_descriptor(name, fd)
    try:
        await machine.qmp("add_client", {"protocol": protocol, "fdname": name, "skipauth": skip_auth})
    except QemuRefused:
        with contextlib.suppress(QemuRefused):  # mostly QEMU has let go of it already
            await machine.qmp("closefd", {"fdname": name})
        raise


async def connect(service: Service, entry: Entry, index: int, *, skip_auth: bool) -> int:
    """Connect to the display with that number; the descriptor is the caller's.

    Raises: WrongState, QemuRefused
    """
    ours, theirs = socket.socketpair()
    with ours, theirs:
        await hand_over(service, entry, index, theirs.fileno(), skip_auth=skip_auth)
        return ours.detach()


def _protocol(service: Service, entry: Entry, index: int) -> str:
    if entry.machine is None:
        raise WrongState("domain is not running", domain=FROM_DOMAIN)
    devices = service.domain(entry).devices
    displays = list(devices.of(Graphics)) if devices is not None else []
    if index >= len(displays):
        raise WrongState(f"No graphics backend with index {index}", code=INTERNAL_ERROR)
    kind = displays[index].type or ""
    if kind not in PROTOCOLS:
        known = ", ".join(PROTOCOLS)
        raise WrongState(
            f"display {index} is of type {kind}, which takes no viewers; accepted: {known}", code=INTERNAL_ERROR
        )
    return PROTOCOLS[kind]
