"""The host's figures, read from this very host."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import UUID

import pytest

from domicile.base.errors import HostFailure
from domicile.service import node, stats


def test_versions_as_numbers() -> None:
    assert node.version_number((9, 0)) == 9_000_000
    assert node.version_number((7, 2, 22)) == 7_002_022


def test_memory() -> None:
    whole, cell = node.memory_stats(-1), node.memory_stats(0)
    assert whole["total"] >= whole["free"] > 0
    assert set(whole) == {"total", "free", "buffers", "cached"} and set(cell) == {"total", "free"}
    assert node.free_pages(0, 4) > 0
    with pytest.raises(HostFailure):
        node.free_pages(0, 12345)


def test_processors() -> None:
    bits, online, present = node.cpu_map()
    assert 0 < online <= present
    assert sum(byte.bit_count() for byte in bits) == online
    assert set(node.cpu_stats(-1) or ()) == {"kernel", "user", "idle", "iowait"}
    assert node.cpu_stats(0) is not None and node.cpu_stats(99_999) is None
    assert node.max_vcpus(kvm=False) == 16


def test_the_host_has_one_identity() -> None:
    assert str(UUID(node.host_uuid())) == node.host_uuid()


def test_a_process() -> None:
    seen = stats.process(f"/proc/{os.getpid()}/stat")
    assert seen is not None and seen.user > 0 and seen.resident_kib > 1000 and seen.state in "RSD"
    assert stats.process("/proc/0/stat") is None
    assert stats.threads(os.getpid()) == {}


def test_the_counters_of_a_tap() -> None:
    assert stats.interface("no-such-tap") is None
    assert len(stats.interface("lo") or ()) == 8 or not Path("/sys/class/net/lo").exists()
