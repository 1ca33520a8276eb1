"""How each piece of the guest's memory is held on the host, as QEMU objects.

Made by domain/options/memory from <memoryBacking> and <numatune>; it and the memory modules ask it for their objects.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from domicile.base.errors import Unsupported
from domicile.plan.capabilities import Capabilities
from domicile.plan.host import Host
from domicile.plan.need import Directory, Need
from domicile.plan.qemu import Item, Structured

_POLICIES = {"strict": "bind", "preferred": "preferred", "interleave": "interleave"}


@dataclass(frozen=True, slots=True)
class Pages:
    """Huge pages of one size in KiB, None for the host's usual size, for some of the guest's nodes or for all others."""

    kib: int | None
    nodes: frozenset[int] | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    """What one node of the guest says of its memory."""

    access: str | None = None
    discard: bool | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of memory: a node's, a module's, or all there is; `system` is what the machine type itself names.

    `lazy` memory is only handed out as the guest asks for it. What is None is decided by the domain.
    """

    name: str
    size: int
    node: int | None = None
    system: bool = False
    page_kib: int | None = None
    path: str | None = None
    host_nodes: tuple[int, ...] | None = None
    access: str | None = None
    discard: bool | None = None
    fill: bool | None = None
    lazy: bool = False
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Backing:
    """What a domain says of all its memory; `confined` where QEMU's threads may not run on all CPUs of the host."""

    source: str | None = None
    access: str | None = None
    discard: bool | None = None
    immediate: bool = False
    threads: int | None = None
    pages: Sequence[Pages] = ()
    cells: Mapping[int, Cell] = field(default_factory=dict)
    mode: str | None = None
    host_nodes: tuple[int, ...] | None = None
    node_modes: Mapping[int, str] = field(default_factory=dict)
    node_hosts: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    confined: bool = False

    def plain(self, piece: Piece, host: Host) -> bool:
        """Say whether nothing at all is asked of this piece, so that QEMU may allot it by itself."""
        return not (
            self._page_kib(piece, host)
            or piece.path
            or piece.host_nodes
            or self._access(piece)
            or self.source in ("file", "memfd")
            or (piece.node is not None and piece.node in self.node_hosts)
        )

    def objects(
        self, piece: Piece, caps: Capabilities, host: Host, short_name: str, origin: str
    ) -> Iterator[Item | Need]:
        """Ask for the object of a piece, after what it needs."""
        props, directory, filled = self._kind(piece, host, short_name)
        if directory is not None:
            yield Directory(directory, origin=origin)
        discard = next((d for d in (piece.discard, self._cell(piece).discard, self.discard) if d is not None), None)
        if props["qom-type"] == "memory-backend-file":
            props["discard-data"] = discard
        access = self._access(piece)
        if access is not None:
            props["share"] = access == "shared"
        if piece.system and props["qom-type"] != "memory-backend-ram":
            props["x-use-canonical-path-for-ramblock-id"] = False
        if piece.lazy:
            props["reserve"] = False
        fill = filled and not piece.lazy
        if fill:
            props |= {"prealloc": True, "prealloc-threads": self.threads}
        props |= {"size": piece.size, **piece.more}
        nodes, mode = self._nodes(piece)
        if nodes and mode != "restrictive":
            props |= {"host-nodes": list(nodes), "policy": _POLICIES[mode]}
            if fill and not self.confined and caps.has_object("thread-context"):
                helper = f"tc-{piece.name}"
                yield Structured(
                    "object",
                    {"qom-type": "thread-context", "id": helper, "node-affinity": list(nodes)},
                    origin=origin,
                )
                props["prealloc-context"] = helper
        yield Structured("object", props, origin=origin)

    def filled(self, piece: Piece, host: Host, short_name: str) -> bool:
        """Say whether all of a piece is handed out at once."""
        return self._kind(piece, host, short_name)[2]

    def _kind(self, piece: Piece, host: Host, short_name: str) -> tuple[dict[str, Any], str | None, bool]:
        """Say which object it is, which directory it needs, and whether it is handed out at once."""
        pages = self._page_kib(piece, host)
        props: dict[str, Any] = {"qom-type": "memory-backend-ram", "id": piece.name}
        fill, directory = self.immediate, None
        if self.source == "memfd" and piece.path is None:
            props["qom-type"] = "memory-backend-memfd"
            if pages:
                props |= {"hugetlb": True, "hugetlbsize": pages * 1024}
                fill = True
        elif piece.path is not None:
            props |= {"qom-type": "memory-backend-file", "mem-path": piece.path}
        elif pages:
            mount = host.hugepages.get(pages)
            if mount is None:
                there = ", ".join(f"{kib} KiB" for kib in sorted(host.hugepages)) or "no huge pages at all"
                raise Unsupported(f"<hugepages> of {pages} KiB: this host has {there} mounted (hugetlbfs)")
            directory = f"{mount}/{short_name}"
            props |= {"qom-type": "memory-backend-file", "mem-path": directory}
            fill = True
        elif self._access(piece) is not None or self.source == "file":
            directory = f"{host.directories.ram}/{short_name}"
            props |= {"qom-type": "memory-backend-file", "mem-path": f"{directory}/{piece.name}"}
        return props, directory, fill if piece.fill is None else piece.fill

    def _cell(self, piece: Piece) -> Cell:
        return self.cells.get(-1 if piece.node is None else piece.node, Cell())

    def _access(self, piece: Piece) -> str | None:
        return piece.access or self._cell(piece).access or self.access

    def _page_kib(self, piece: Piece, host: Host) -> int | None:
        """Say which huge pages hold a piece; pages of the usual size are none."""
        size = piece.page_kib
        if not size:
            own = [p for p in self.pages if p.nodes is not None and piece.node is not None and piece.node in p.nodes]
            found = next(iter([*own, *[p for p in self.pages if p.nodes is None]]), None)
            if found is None:
                return None
            size = found.kib or host.hugepage_kib
        return None if size == host.page_kib else size

    def _nodes(self, piece: Piece) -> tuple[tuple[int, ...] | None, str]:
        """Say which nodes of the host a piece comes from, and how firmly."""
        node = -1 if piece.node is None else piece.node
        mode = self.node_modes.get(node) or self.mode or "strict"
        return piece.host_nodes or self.node_hosts.get(node) or self.host_nodes, mode
