"""A running machine's document in the form of a definition: equal to what it was started from, and what blocks moving it."""

from __future__ import annotations

from typing import Any

import pytest

from domicile.domain import document, live
from domicile.domain.blockers import blockers
from domicile.domain.compare import compare
from domicile.domain.running_form import definition

RICH = (
    "<disk type='file'><driver name='qemu' type='qcow2'/><source file='/a.qcow2'/><target dev='vda' bus='virtio'/></disk>"
    "<disk type='file' device='cdrom'><target dev='sda' bus='sata'/></disk>"
    "<interface type='bridge'><source bridge='br0'/><model type='virtio'/></interface>"
    "<serial type='pty'/><channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>"
    "<graphics type='vnc' autoport='yes'/><rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>"
)


@pytest.mark.parametrize("machine", ["pc", "q35"])
def test_a_machine_runs_what_it_was_started_from(core: Any, sketch: Any, machine: str) -> None:
    stored = core.complete(sketch(RICH, name="vm", machine=machine)).domain
    plan = core.plan(document.write(stored), number=3)
    running = live.document(
        plan, core.caps, core.host(), number=3, taps={"net0": "vnet0"}, ports={"vnc0": 5901},
        ptys={"charserial0": "/dev/pts/4"},
    )  # fmt: skip
    text = document.write(running)
    for given in ("vnet0", "5901", "/dev/pts/4", "virtio-disk0"):
        assert given in text
    stored = document.read_stored(document.write(stored))
    assert compare(definition(document.read_stored(text), stored), stored) == []


def test_what_stands_in_the_way(core: Any, sketch: Any) -> None:
    devices = (
        "<disk type='file'><driver name='qemu' type='raw'/><source file='/a'/><target dev='vda' bus='virtio'/></disk>"
        "<disk type='file'><driver name='qemu' type='raw'/><source file='/b'/><target dev='vdb' bus='virtio'/><readonly/></disk>"
        "<filesystem type='mount' accessmode='mapped'><source dir='/srv'/><target dir='srv'/></filesystem>"
        "<hostdev mode='subsystem' type='usb'><source><vendor id='0x1'/><product id='0x2'/></source></hostdev>"
    )
    body = "<cpu mode='custom'><model>qemu64</model><feature policy='require' name='invtsc'/></cpu>"
    found = [(b.path, b.what) for b in blockers(core.complete(sketch(devices, name="vm", body=body)).domain)]
    assert found == [
        ("cpu", "migration"),
        ("devices/disk[1]", "snapshot"),
        ("devices/filesystem", "migration"),
        ("devices/filesystem", "snapshot"),
        ("devices/hostdev", "migration"),
        ("devices/hostdev", "snapshot"),
    ]
    assert all(b.en and b.zh for b in blockers(core.complete(sketch(devices, name="vm")).domain))
    assert list(blockers(core.complete(sketch(RICH, name="vm")).domain)) == []
