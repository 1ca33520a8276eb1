from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from domicile.api.libvirt.connect_list import GROUPS, matching
from domicile.service.entry import Entry

DOMAINS = [
    Entry("1", "running", head=1, id=1, state=1),
    Entry("2", "paused", head=1, id=2, state=3),
    Entry("3", "off", head=1),
    Entry("4", "auto", head=1, autostart=True),
    Entry("5", "passing", head=0, id=5, state=1),
    Entry("6", "crashed", head=1, id=6, state=6),
]
CONNECTION = cast(Any, SimpleNamespace(context=SimpleNamespace(entries=lambda: iter(DOMAINS))))


def names(flags: int) -> list[str]:
    return [entry.name for entry in matching(CONNECTION, flags)]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (0, ["running", "paused", "off", "auto", "passing", "crashed"]),
        (1, ["running", "paused", "passing", "crashed"]),
        (2, ["off", "auto"]),
        (3, ["running", "paused", "off", "auto", "passing", "crashed"]),
        (8, ["passing"]),
        (16, ["running", "passing"]),
        (16 | 32, ["running", "paused", "passing"]),
        (128, ["crashed"]),
        (1024, ["auto"]),
        (2048 | 2, ["off"]),
        (1 | 4 | 16, ["running"]),
        (256, []),
        (4096 | 16384, []),
        (512 | 8192 | 32768, ["running", "paused", "off", "auto", "passing", "crashed"]),
    ],
)
def test_filters(flags: int, expected: list[str]) -> None:
    assert names(flags) == expected


def test_every_flag_is_in_one_group() -> None:
    flags = [flag for group in GROUPS for flag, _ in group]
    assert flags == [1 << bit for bit in range(16)]
