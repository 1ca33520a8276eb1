"""A disk that is an SD card: part of the board, so that QEMU takes it by an older option. Used by `plan` of this slice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from domicile.devices.disk.chain import Chain
from domicile.devices.disk.complete import index_of
from domicile.devices.disk.model import Disk, DiskDriver
from domicile.plan.facts import Planning
from domicile.plan.need import Need
from domicile.plan.qemu import Item, Keyed, Structured

_PLAIN = ("file", "host_device")


def card(disk: Disk, driver: DiskDriver, p: Planning, origin: str) -> Iterator[Item | Need]:
    """Ask for the card; layers below its image are found by QEMU itself."""
    chain = Chain(disk, driver, p, origin, [])
    chain.nodes()
    dev = disk.target.dev if disk.target is not None else None
    storage: dict[str, Any] = {}
    for item in chain.items:
        if isinstance(item, Structured) and item.flag == "blockdev":
            if item.props["node-name"] == f"{dev}-storage":
                storage = dict(item.props)
        else:
            yield item
    pairs = [("file", storage.get("filename"))]
    if storage.get("driver") not in _PLAIN:
        own = {
            k: v
            for k, v in storage.items()
            if k not in ("node-name", "read-only", "auto-read-only", "discard", "cache")
        }
        pairs = list(_flat(own, "file."))
    pairs += [
        ("format", driver.type or "raw"), ("if", "sd"), ("index", index_of(dev or "")), ("readonly", disk.readonly or None),
        ("cache", driver.cache), ("discard", driver.discard), ("detect-zeroes", driver.detect_zeroes), ("aio", driver.io),
    ]  # fmt: skip
    yield Keyed("-drive", tuple(pairs), origin=origin)


def _flat(props: dict[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in props.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
