"""The bitmaps in which QEMU notes what a guest changes on its disks. Called by `service/checkpoints`, `backups` and `overlays`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from domicile.runtime.save import Speaker


async def known(ask: Speaker) -> dict[str, dict[str, Mapping[str, Any]]]:
    """List all bitmaps by their nodes and names."""
    found: dict[str, dict[str, Mapping[str, Any]]] = {}
    for each in await ask("query-named-block-nodes", {"flat": True}):
        names = {str(bitmap["name"]): bitmap for bitmap in each.get("dirty-bitmaps") or () if bitmap.get("name")}
        if names:
            found[str(each["node-name"])] = names
    return found


def add(node: str, name: str, granularity: int | None = None) -> dict[str, Any]:
    """Give the transaction's action that begins to note changes, in the image itself."""
    data: dict[str, Any] = {"node": node, "name": name, "persistent": True}
    if granularity:
        data["granularity"] = granularity
    return {"type": "block-dirty-bitmap-add", "data": data}


def usable(bitmap: Mapping[str, Any] | None) -> bool:
    """Whether a bitmap says all that changed."""
    return bitmap is not None and bool(bitmap.get("recording")) and not bitmap.get("inconsistent")


def unbroken(layers: Sequence[str], name: str, bitmaps: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[str]:
    """List the layers, from the top on, that noted changes under a name without a gap; the list is empty where the top did not."""
    found: list[str] = []
    for node in layers:
        bitmap = bitmaps.get(node, {}).get(name)
        if bitmap is None or bitmap.get("inconsistent"):
            break
        found.append(node)
    return found
