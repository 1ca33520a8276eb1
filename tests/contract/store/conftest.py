"""The subjects of the store's contract: SQLite, and a PostgreSQL of our own where one is installed.

Used by every test in this folder through `url`, `store` and `make`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from domicile.store.store import Store
from domicile.store.values import Author, Draft, Fact

AUTHOR = Author("alice", "virsh 9.0", "define vm.xml")
XML = """<domain type='kvm'>
  <name>{name}</name>
  <uuid>{uuid}</uuid>
  <memory unit='KiB'>{memory}</memory>
  <features><acpi/></features>
  <devices>
    <disk type='file'><source file='/images/{name}.img'/><target dev='hda'/></disk>
    <disk type='file'><target dev='hdb'/></disk>
    <interface type='bridge'><mac address='{mac}'/><source bridge='br0'/></interface>
  </devices>
</domain>
"""
Make = Callable[..., Draft]


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/domicile.db"
    return str(request.getfixturevalue("postgres").fresh_url())


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = Store.open(url)
    yield opened
    opened.close()


@pytest.fixture
def author() -> Author:
    return AUTHOR


@pytest.fixture
def make() -> Make:
    """Make the nth draft: its name, uuid and MAC follow from n, unless they are given."""

    def draft(n: int, *, name: str = "", uuid: str = "", memory: int = 524288, mac: str = "") -> Draft:
        name, uuid = name or f"vm{n}", uuid or f"00000000-0000-4000-8000-{n:012x}"
        mac = mac or f"52:54:00:00:{n >> 8:02x}:{n & 255:02x}"
        text = XML.format(name=name, uuid=uuid, memory=memory, mac=mac)
        facts = [
            Fact("mac", mac, "devices/interface/mac/@address"),
            Fact("disk", f"/images/{name}.img", "devices/disk[1]/source/@file"),
            Fact("bridge", "br0", "devices/interface/source/@bridge"),
        ]
        return Draft(uuid, name, f"<!-- mine -->{text}", text, '{"defaulted": []}', {"memory_kib": memory}, facts)

    return draft
