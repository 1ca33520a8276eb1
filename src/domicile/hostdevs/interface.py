"""Network interfaces of the host, in libvirt's documents, as its udev backend gives them: read-only. Called by the service.

Source: libvirt's "Network interfaces"; observed with libvirtd 9.0.
"""

from __future__ import annotations

import os
import re
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lxml import etree

from domicile.base.errors import NotFound
from domicile.hostdevs import sysfs
from domicile.hostdevs.describe import add
from domicile.hostdevs.links import link
from domicile.hostdevs.sysfs import SYS
from domicile.schema.write import verbatim

FROM_INTERFACE, NO_INTERFACE = 26, 57
_NET = SYS / "class/net"


@dataclass(frozen=True, slots=True)
class HostInterface:
    """One interface."""

    name: str
    mac: str
    active: bool


def every() -> list[HostInterface]:
    """List the interfaces by name: no taps, and none that belongs to a bridge or bond."""
    mine = {name for _, name in socket.if_nameindex()}
    return [
        HostInterface(name, sysfs.read(_NET / name / "address") or "", sysfs.read(_NET / name / "operstate") == "up")
        for name in sysfs.names(_NET)
        if name in mine and not (_NET / name / "tun_flags").exists() and not (_NET / name / "master").exists()
    ]


def document(name: str) -> str:
    """Write an interface's document. Raises: NotFound."""
    if name in ("", ".", "..") or "/" in name or not (_NET / name / "ifindex").exists():
        words = f"couldn't find interface named '{name}'"
        raise NotFound(words, code=NO_INTERFACE, domain=FROM_INTERFACE)
    root = etree.Element("interface")
    _fill(root, name, whole=True)
    text = "\n".join(verbatim(root, ""))
    # A bridge that has nothing on it is still written with an end of its own.
    return re.sub(r"(\n *)(<bridge [^>]*)/>", r"\1\2>\1</bridge>", text) + "\n"


def _fill(made: Any, name: str, *, whole: bool) -> None:
    path = _NET / name
    kind = _kind(path)
    made.set("type", kind)
    made.set("name", name)
    if whole:
        add(made, "mtu", size=sysfs.read(path / "mtu"))
    if kind == "bridge":
        bridge = path / "bridge"
        stp = {"0": "off", "1": "on", "2": "on"}.get(sysfs.read(bridge / "stp_state") or "0", "off")
        inside = add(made, "bridge", stp=stp, delay=sysfs.read(bridge / "forward_delay"))
        for port in sysfs.names(path / "brif"):
            _fill(add(inside, "interface"), port, whole=False)
    elif kind == "bond":
        _bond(made, path)
    elif kind == "vlan":
        link_of, tag = _vlan(name)
        add(add(made, "vlan", tag=tag), "interface", name=link_of)
    else:
        state = link(path)
        add(made, "link", speed=state.speed, state=state.state)
        add(made, "mac", address=sysfs.read(path / "address"))


def _kind(path: Path) -> str:
    told = sysfs.uevent(path).get("DEVTYPE")
    if told in ("bridge", "bond", "vlan"):
        return told
    return "bridge" if (path / "bridge").is_dir() else "bond" if (path / "bonding").is_dir() else "ethernet"


def _vlan(name: str) -> tuple[str, str]:
    """Give the device that a VLAN's frames go over, and its number."""
    text = sysfs.read(Path("/proc/net/vlan") / name) or ""
    number = re.search(r"VID: (\d+)", text)
    below = re.search(r"^Device: (\S+)", text, re.MULTILINE)
    return (below[1] if below else ""), (number[1] if number else "")


def _bond(made: Any, path: Path) -> None:
    bonding = path / "bonding"
    mode = (sysfs.read(bonding / "mode") or "").split(" ")[0]
    bond = add(made, "bond", mode=mode)
    interval = sysfs.number(bonding / "miimon") or 0
    if interval:
        carrier = "netif" if sysfs.read(bonding / "use_carrier") == "1" else "ioctl"
        down, up = (sysfs.number(bonding / name) for name in ("downdelay", "updelay"))
        add(bond, "miimon", freq=interval, downdelay=down, updelay=up, carrier=carrier)
    elif sysfs.number(bonding / "arp_interval"):
        validate = (sysfs.read(bonding / "arp_validate") or "").split(" ")[0]
        target = (sysfs.read(bonding / "arp_ip_target") or "").split(" ")[0]
        add(bond, "arpmon", interval=sysfs.number(bonding / "arp_interval"), target=target, validate=validate)
    for name in (sysfs.read(bonding / "slaves") or "").split():
        _fill(add(bond, "interface"), name, whole=False)


def by_mac(mac: str) -> HostInterface:
    """Find an interface by its MAC address. Raises: NotFound."""
    for one in every():
        if one.mac.lower() == mac.lower():
            return one
    words = f"couldn't find interface with MAC address '{mac}'"
    raise NotFound(words, code=NO_INTERFACE, domain=FROM_INTERFACE)


def by_name(name: str) -> HostInterface:
    """Find an interface by name, also one that is not listed. Raises: NotFound."""
    document(name)
    path = _NET / os.path.basename(name)  # noqa: PTH119
    return HostInterface(name, sysfs.read(path / "address") or "", sysfs.read(path / "operstate") == "up")
