"""VLANs of a Linux bridge's port, and addresses of a tap that is on no bridge. Used by host/tap.

Source: bridge(8), "vlan_filtering": only a bridge that filters keeps its ports' VLANs apart.
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

from domicile.host.netlink import routed

_OWN = 1  # the VLAN that every port is on until it is told another
_UNTAGGED = 6  # a port's own VLAN, whose frames leave it without a tag. Source: linux/if_bridge.h.


def kept_apart(bridge: str) -> bool:
    """Say whether a bridge keeps VLANs apart."""
    try:
        return Path(f"/sys/class/net/{bridge}/bridge/vlan_filtering").read_text().strip() == "1"
    except OSError:
        return False


def put(name: str, vlans: tuple[tuple[int, bool], ...]) -> None:
    """Put a port on VLANs, each with whether frames without a tag are on it, and on no other. Raises: HostFailure."""

    def work(routes: Any) -> None:
        index = socket.if_nametoindex(name)
        routes.vlan_filter("del", index=index, vlan_info={"vid": _OWN})
        for number, untagged in vlans:
            flags = {"flags": _UNTAGGED} if untagged else {}
            routes.vlan_filter("add", index=index, vlan_info={"vid": number, **flags})

    routed(f"cannot put {name} on its VLANs", work)


def give_address(name: str, address: str) -> None:
    """Give the host an address on a device. Raises: HostFailure."""
    plain, _, prefix = address.partition("/")

    def work(routes: Any) -> None:
        routes.addr("add", index=socket.if_nametoindex(name), address=plain, prefixlen=int(prefix))

    routed(f"cannot give {name} the address {address}", work)
