"""All declared procedures, one file an object kind; importing this fills every program's table.

The server, the client and the reference page come here.
"""

from domicile.rpc.calls import (
    connect,
    domain,
    domain_block,
    domain_device,
    domain_event,
    domain_guest,
    domain_migrate,
    domain_snapshot,
    domain_tune,
    domicile,
    interface,
    keepalive,
    network,
    node,
    nwfilter,
    qemu,
    secret,
    storage,
)
from domicile.rpc.calls.programs import PROGRAMS

__all__ = [
    "PROGRAMS",
    "connect",
    "domain",
    "domain_block",
    "domain_device",
    "domain_event",
    "domain_guest",
    "domain_migrate",
    "domain_snapshot",
    "domain_tune",
    "domicile",
    "interface",
    "keepalive",
    "network",
    "node",
    "nwfilter",
    "qemu",
    "secret",
    "storage",
]
