"""A disk's layers as QEMU's block nodes, the lowest first. Used by this slice's plan."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, replace
from typing import Any

from domicile.devices.disk.model import Disk, DiskDriver
from domicile.devices.disk.protocol import secret_object, storage
from domicile.devices.disk.secret import Encryption
from domicile.devices.disk.source import BackingStore, DataStore, DiskSource, MetadataCache, Reservations
from domicile.plan.facts import Planning
from domicile.plan.need import FdGroup, File, Need, OpenDevice
from domicile.plan.qemu import NULL, Item, Keyed, Structured

# cache mode → (direct, no-flush, the guest's write cache)
# Source: QEMU's documentation of -drive cache=, table of cache modes.
CACHE = {
    "none": (True, False, True),
    "writethrough": (False, False, False),
    "writeback": (False, False, True),
    "directsync": (True, False, False),
    "unsafe": (False, True, True),
}
_FORMATS = {"vhd": "vhdx", "iso": "raw", "fat": "raw", "dir": "raw", "ploop": "parallels"}
_LAYERED = ("qcow", "qcow2", "qed", "vmdk")
MANAGED_RESERVATIONS = "pr-helper0"


def cache_mode(disk: Disk) -> str | None:
    """Say how the host caches: what other machines may have at the same time bypasses the host's cache unless told."""
    mode = disk.driver.cache if disk.driver is not None else None
    if mode is None and disk.shareable and not disk.readonly:
        return "none"
    return mode


@dataclass(slots=True)
class Layer:
    """One layer of a chain and what was said of it; `below` is the node under it, `ends` that nothing may be there."""

    kind: str
    source: DiskSource
    format: str
    name: str
    readonly: bool
    top: bool = False
    below: str | None = None
    ends: bool = False
    encryption: Encryption | None = None
    tables: MetadataCache | None = None


def located(kind: str, source: DiskSource, p: Planning) -> tuple[str, DiskSource]:
    """Say where a volume of a storage pool is; any other source is where it says."""
    found = p.host.volumes.get((source.pool or "", source.volume or "")) if kind == "volume" else None
    if found is None:
        return kind, source
    made = copy(source)
    made.file, made.dev, made.dir = (found.path if found.kind == each else None for each in ("file", "block", "dir"))
    return found.kind, made


@dataclass(slots=True)
class Chain:
    """Makes the nodes of one disk."""

    disk: Disk
    driver: DiskDriver
    p: Planning
    origin: str
    items: list[Item | Need]

    def nodes(self) -> str:
        """Make all nodes; the name of the top one is returned."""
        disk, driver = self.disk, self.driver
        target = disk.target.dev if disk.target is not None and disk.target.dev else "disk"
        stack, ends = _layers(disk)
        below: str | None = None
        for number, item in reversed(list(enumerate(stack, 1))):
            kind, source = located(item.type or "file", item.source or DiskSource(), self.p)
            shape = item.format
            made = Layer(
                kind, source, shape.type if shape is not None and shape.type else "raw", f"{target}-{number}", True
            )
            made.below, made.ends, made.encryption = below, ends and below is None, source.encryption
            made.tables = shape.metadata_cache if shape is not None else None
            below = self.layer(made)
        source = disk.source or DiskSource()
        if disk.auth is not None and source.auth is None:
            source = copy(source)
            source.auth = disk.auth
        kind, source = located(disk.type or "file", source, self.p)
        made = Layer(kind, source, driver.type or "raw", target, disk.readonly, top=True)
        made.below, made.ends = below, ends and below is None
        made.encryption, made.tables = source.encryption or disk.encryption, driver.metadata_cache
        node = self.layer(made)
        if driver.copy_on_read:
            reader = {"driver": "copy-on-read", "node-name": f"{target}-cor", "file": node, "discard": "unmap"}
            self._add(reader)
            node = f"{target}-cor"
        groups = disk.throttlefilters.throttlefilter if disk.throttlefilters is not None else []
        for number, group in enumerate(groups):
            name = f"{target}-filter{number}"
            self._add(
                {"driver": "throttle", "node-name": name, "throttle-group": f"throttle-{group.group}", "file": node}
            )
            node = name
        return node

    def _add(self, props: dict[str, Any]) -> None:
        self.items.append(Structured("blockdev", props, origin=self.origin))

    def layer(self, layer: Layer) -> str:
        """Make the nodes of one layer: its data file's, the storage, a slice of it, the format; return the top one."""
        driver, source = self.driver, layer.source
        data = self._data(layer)
        mode = cache_mode(self.disk)
        cache = None
        if mode in CACHE:
            direct, no_flush, _ = CACHE[mode]
            cache = {"direct": direct, "no-flush": no_flush}
        elif layer.kind == "vhostvdpa":
            cache = {"direct": True, "no-flush": False}
        # Secrets are called by the layer's number, as libvirt calls them.
        number = f"libvirt-{source.index}" if source.index is not None else layer.name
        floppy = self.disk.device == "floppy"
        lowest = storage(layer.kind, source, f"{number}-storage", layer.readonly, floppy, self.p, self.origin)
        self._needs(layer)
        file = lowest.props
        if layer.kind == "vhostvdpa" and layer.source.dev:
            file["path"] = self._handed_over(f"{number}-vdpa", OpenDevice(f"{number}-vdpa", layer.source.dev))
        if layer.kind == "file" and layer.source.fdgroup is not None:
            group = layer.source.fdgroup
            if not layer.readonly:  # QEMU opens an image for reading first, by a descriptor that is for that alone
                pairs = (("set", f"{{fd:fdgroup-{group}}}"), ("fd", f"{{fd:fdgroup-{group}-reading}}"))
                self.items.append(Keyed("-add-fd", pairs, origin=self.origin))
            file["filename"] = self._handed_over(
                f"fdgroup-{group}", FdGroup(f"fdgroup-{group}", group, not layer.readonly)
            )
        if layer.kind in ("file", "block"):
            file["aio"] = driver.io
        if source.reservations is not None and layer.top:
            file["pr-manager"] = self._reservations(source.reservations, f"{number}-storage")
        discards = {"discard": driver.discard, "detect-zeroes": zeroes(driver) if layer.top else None}
        own = (layer.readonly, discards, cache)
        shaped = self._shaped(layer, number)
        sliced = source.slices.slice if source.slices is not None else []
        node = f"{layer.name}-storage"
        only = shaped is None
        self.items += lowest.objects
        self._add({**file, "node-name": node, **(_owned(own) if only and not sliced else _inner(own))})
        if sliced:
            cut = {"driver": "raw", "file": node, "offset": sliced[0].offset, "size": sliced[0].size}
            node = f"{layer.name}-slice-sto"
            self._add({**cut, "node-name": node, **(_owned(own) if only else _inner(own))})
        if shaped is None:
            return node
        props = {"node-name": f"{layer.name}-format", **_owned(own), **shaped, "data-file": data, "file": node}
        if layer.below is not None:
            props["backing"] = layer.below
        elif layer.ends and layer.format in _LAYERED:
            props["backing"] = NULL
        self._add(props)
        return f"{layer.name}-format"

    def _shaped(self, layer: Layer, number: str) -> dict[str, Any] | None:
        """Say the format's own properties; None where the storage is the image as it stands."""
        fmt, encryption = layer.format, layer.encryption
        key = None
        if encryption is not None and encryption.engine != "librbd" and encryption.secret:
            key = f"{number}-format-encryption-secret0"
            self.items.append(secret_object(key, encryption.secret[0], self.origin))
        # A raw layer's storage alone does where QEMU's block jobs can record a format with a protocol's name (QEMU 9.0).
        alone = self.p.caps.has_schema("block-commit/arg-type/backing-mask-protocol")
        if fmt == "raw" and key is None and layer.kind != "dir" and alone:
            return None
        if key is not None and fmt in ("raw", "luks"):
            return {"driver": "luks", "key-secret": key}
        props: dict[str, Any] = {"driver": _FORMATS.get(fmt, fmt)}
        if fmt == "qcow2":
            if layer.top:
                props["discard-no-unref"] = self.driver.discard_no_unref
            if layer.tables is not None and layer.tables.max_size is not None:
                props["cache-size"] = layer.tables.max_size.count()
        if key is not None:
            props["encrypt"] = {"format": "aes" if fmt == "qcow" else "luks", "key-secret": key}
        return props

    def _data(self, layer: Layer) -> str | None:
        store = layer.source.dataStore
        if not isinstance(store, DataStore) or store.source is None:
            return None
        fmt = store.format.type if store.format is not None and store.format.type else "raw"
        return self.layer(Layer(store.type or "file", store.source, fmt, f"{layer.name}-data", layer.readonly))

    def _handed_over(self, token: str, need: Need) -> str:
        """Have something opened by the daemon; QEMU finds it as a set of descriptors of that number."""
        self.items.append(replace(need, origin=self.origin))
        pairs = (("set", f"{{fd:{token}}}"), ("fd", f"{{fd:{token}}}"))
        self.items.append(Keyed("-add-fd", pairs, origin=self.origin))
        return f"/dev/fdset/{{fd:{token}}}"

    def _needs(self, layer: Layer) -> None:
        if layer.source.fdgroup is not None:
            return
        path = {"file": layer.source.file, "block": layer.source.dev}.get(layer.kind)
        if path:
            self.items.append(File(path, writable=not layer.readonly, origin=self.origin))

    def _reservations(self, wanted: Reservations, storage: str) -> str:
        if wanted.managed:
            name, state = MANAGED_RESERVATIONS, self.p.host.directories.state
            path: str | None = f"{state}/domain-{self.p.short_name}/{name}.sock"
        else:
            name = f"pr-helper-{storage}"
            path = wanted.source.path if wanted.source is not None else None
        self.items.append(
            Structured("object", {"qom-type": "pr-manager-helper", "id": name, "path": path}, origin=self.origin)
        )
        return name


_Own = tuple[bool, dict[str, Any], dict[str, Any] | None]


def _owned(own: _Own) -> dict[str, Any]:
    readonly, discards, cache = own
    return {"read-only": readonly, **discards, "cache": cache}


def _inner(own: _Own) -> dict[str, Any]:
    return {"auto-read-only": True, "discard": "unmap", "cache": own[2]}


def _layers(disk: Disk) -> tuple[list[BackingStore], bool]:
    """List the layers below the top, from the top on, and say whether the chain is known to end there."""
    stack: list[BackingStore] = []
    layer = disk.backingStore
    while layer is not None:
        if layer.source is None:
            return stack, True
        stack.append(layer)
        layer = layer.backingStore
    return stack, False


def zeroes(driver: DiskDriver) -> str | None:
    """Say what becomes of zeroes: they can only be freed where freeing is allowed."""
    if driver.detect_zeroes == "unmap" and driver.discard != "unmap":
        return "on"
    return driver.detect_zeroes
