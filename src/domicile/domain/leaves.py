"""What a domain is commonly looked up by: the words for it, and where in a definition each stands.

Used by the front doors' search and by `domicile find`; it imports nothing, so that a command starts quickly.
"""

from __future__ import annotations

#: A word for a thing, and the path pattern of its values: ``*`` stands for anything in a step.
PLACES: dict[str, str] = {
    "name": "name",
    "uuid": "uuid",
    "title": "title",
    "type": "@type",
    "arch": "os/type/@arch",
    "machine": "os/type/@machine",
    "firmware": "os/@firmware",
    "loader": "os/loader",
    "kernel": "os/kernel",
    "initrd": "os/initrd",
    "cpu": "cpu/model",
    "emulator": "devices/emulator",
    "disk": "devices/disk/source/@*",
    "target": "devices/disk/target/@dev",
    "serial": "devices/disk/serial",
    "wwn": "devices/disk/wwn",
    "mac": "devices/interface/mac/@address",
    "bridge": "devices/interface/source/@bridge",
    "network": "devices/interface/source/@network",
    "dev": "devices/interface/source/@dev",
    "nic": "devices/interface/target/@dev",
    "display": "devices/graphics/@type",
    "port": "devices/graphics/@port",
    "channel": "devices/channel/target/@name",
}
#: The kinds that have an index of their own in the database; the others are found by their place.
INDEXED = frozenset({"disk", "mac", "bridge", "network", "dev", "port"})
