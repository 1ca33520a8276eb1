"""The host's memory as it is tuned: the kernel's page merging, huge pages kept free. Called by the front door."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from domicile.base.errors import OPERATION_FAILED, HostFailure, InvalidRequest, Unsupported

_OPERATION_UNSUPPORTED = 84
_MERGING = Path("/sys/kernel/mm/ksm")
_NODES = Path("/sys/devices/system/node")
_SYSTEM = Path("/sys/kernel/mm/hugepages")
# libvirt's parameters that can be set, and the kernel's files.
_SETTINGS = {
    "shm_pages_to_scan": "pages_to_scan",
    "shm_sleep_millisecs": "sleep_millisecs",
    "shm_merge_across_nodes": "merge_across_nodes",
}


def tune(given: Mapping[str, object]) -> None:
    """Change the settings of page merging; those that this kernel lacks are left out. Raises: InvalidRequest, HostFailure."""
    for name in given:
        if name not in _SETTINGS:
            raise InvalidRequest(f"parameter '{name}' is not supported; {', '.join(_SETTINGS)} are")
    for name, value in given.items():
        place = _MERGING / _SETTINGS[name]
        if not place.exists():
            continue
        try:
            place.write_text(str(int(str(value))))
        except OSError as error:
            raise HostFailure(f"{place}: {error.strerror}") from error


def reserve(cell: int | None, size_kib: int, count: int, *, add: bool) -> None:
    """Keep huge pages free on a NUMA node, or on the whole host: so many, or so many more.

    Raises: HostFailure where the host has no pages of that size, or not enough of them.
    """
    if size_kib == os.sysconf("SC_PAGE_SIZE") // 1024:
        raise Unsupported("the number of the system's ordinary pages cannot be set", code=_OPERATION_UNSUPPORTED)
    base = _SYSTEM if cell is None else _NODES / f"node{cell}" / "hugepages"
    place = base / f"hugepages-{size_kib}kB" / "nr_hugepages"
    try:
        before = int(place.read_text())
        wanted = before + count if add else count
        place.write_text(str(wanted))
        now = int(place.read_text())
    except OSError as error:
        sizes = sorted(path.name.removeprefix("hugepages-") for path in base.glob("hugepages-*"))
        known = ", ".join(sizes) or "none"
        raise HostFailure(
            f"page size {size_kib} KiB cannot be reserved: {error.strerror}; the host has {known}",
            code=OPERATION_FAILED,
        ) from error
    if now < wanted:
        raise HostFailure(
            f"unable to allocate {wanted - before} pages of {size_kib} KiB: only {now - before} could be had",
            code=OPERATION_FAILED,
        )
