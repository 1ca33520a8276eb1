"""A disk's layers in a document, and what becomes of them when a job ends. Pure.

`service/block_jobs` changes running and stored documents with it. Position 0 is the top, which the guest writes to.
"""

from __future__ import annotations

from dataclasses import dataclass

from domicile.base.errors import InvalidRequest
from domicile.devices.disk import Disk
from domicile.devices.disk.model import BackingStore, DiskDriver
from domicile.devices.disk.source import DiskSource, LayerFormat, Mirror
from domicile.domain.snapshot_plan import target
from domicile.schema import tree


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer: what kind of source it is, its format, its place and its number."""

    kind: str
    format: str
    source: DiskSource
    index: int | None

    @property
    def path(self) -> str:
        """Its file or device; empty where it is neither."""
        return self.source.file or self.source.dev or ""


def layers(disk: Disk) -> list[Layer]:
    """List a disk's layers as its document names them, the top first."""
    source = disk.source or DiskSource()
    format = (disk.driver.type if disk.driver is not None else None) or "raw"
    found = [Layer(disk.type or "file", format, source, source.index)]
    store = disk.backingStore
    while store is not None and store.source is not None:
        kind = (store.format.type if store.format is not None else None) or "raw"
        found.append(Layer(store.type or "file", kind, store.source, store.index))
        store = store.backingStore
    return found


def position(disk: Disk, name: str, *, first: int = 0) -> int:
    """Find a layer by ``vda[3]`` or by its path, from a position on. Raises: InvalidRequest."""
    chain, dev = layers(disk), target(disk)
    if name.startswith(f"{dev}[") and name.endswith("]"):
        number = name.removeprefix(f"{dev}[").removesuffix("]")
        for place, layer in enumerate(chain):
            if number.isdigit() and layer.index == int(number) and place >= first:
                return place
        raise InvalidRequest(f"could not find backing store index '{number}' in chain for '{dev}'")
    for place, layer in enumerate(chain):
        if place >= first and name == layer.path:
            return place
    raise InvalidRequest(f"could not find image '{name}' beneath '{chain[0].path}' in chain for '{dev}'")


def without(disk: Disk, first: int, last: int) -> None:
    """Take the layers from position `first` (1 at least) to `last` out of a chain; what was below them comes up."""
    store = disk.backingStore
    below: BackingStore | None = store
    for _ in range(last):
        below = below.backingStore if below is not None else None
    if below is None and last >= len(layers(disk)) - 1:
        below = BackingStore()
    if first == 1:
        disk.backingStore = below
        return
    for _ in range(first - 2):
        store = store.backingStore if store is not None else None
    if store is not None:
        store.backingStore = below


def become(disk: Disk, place: int) -> None:
    """Make the layer at a position the top, without those above it."""
    chain = layers(disk)
    chosen = chain[place]
    store = disk.backingStore
    for _ in range(place):
        store = store.backingStore if store is not None else None
    replace_top(disk, chosen.kind, chosen.format, chosen.source, chosen.index, store)


def replace_top(
    disk: Disk, kind: str, format: str, source: DiskSource, index: int | None, below: BackingStore | None
) -> None:
    """Give a disk another top, with what is below it."""
    disk.type, disk.source, disk.backingStore = kind, tree.copy(source), below
    disk.source.index = index
    disk.driver = disk.driver or DiskDriver(name="qemu")
    disk.driver.type = format


def mirror(layer: Layer, job: str, *, ends: bool) -> Mirror:
    """Make the element that shows where a job copies to; `ends` says that nothing is below the copy."""
    made = Mirror(type=layer.kind, job=job, format=LayerFormat(type=layer.format), source=tree.copy(layer.source))
    assert made.source is not None
    made.source.index = layer.index
    if job == "copy":
        made.file, made.format_name = layer.source.file, layer.format
        made.backingStore = BackingStore() if ends else None
    return made


def chained(disk: Disk, below: list[tuple[str, str, str]]) -> None:
    """Show the layers that images' headers name, (kind, path, format) each, below a disk that names none."""
    store = BackingStore()
    for kind, path, format in reversed(below):
        source = DiskSource(file=path) if kind == "file" else DiskSource(dev=path)
        store = BackingStore(type=kind, format=LayerFormat(type=format), source=source, backingStore=store)
    disk.backingStore = store


def hide(disk: Disk, detected: set[str]) -> None:
    """Leave out of a document the layers that only the images' headers name."""
    if disk.backingStore is not None and disk.backingStore.source is not None:
        source = disk.backingStore.source
        if (source.file or source.dev or "") in detected:
            disk.backingStore = None
            return
    store = disk.backingStore
    while store is not None and store.backingStore is not None:
        source = store.backingStore.source or DiskSource()
        if (source.file or source.dev or "") in detected:
            store.backingStore = None
        store = store.backingStore
