from __future__ import annotations

from typing import Any

import pytest

from domicile.devices.input import FAMILY
from domicile.plan.place import WantPci, WantUsb


@pytest.mark.parametrize(
    ("arch", "kind", "bus"),
    [
        ("x86_64", "mouse", "ps2"),
        ("x86_64", "tablet", "usb"),
        ("x86_64", "passthrough", "virtio"),
        ("x86_64", "evdev", None),
        ("aarch64", "keyboard", "usb"),
        ("s390x", "keyboard", "virtio"),
    ],
)
def test_the_usual_bus(bench: Any, arch: str, kind: str, bus: str | None) -> None:
    assert bench(FAMILY, arch=arch, machine="virt").completed(f"<input type='{kind}'/>").bus == bus


def test_plans(bench: Any) -> None:
    pc = bench(FAMILY)
    assert pc.planned("<input type='mouse' bus='ps2'/>") == []
    assert pc.props("<input type='tablet' bus='usb'><address type='usb' bus='0' port='1'/></input>") == [
        {"driver": "usb-tablet", "id": "input0", "bus": "usb.0", "port": "1"}
    ]
    placed = "<address type='pci' domain='0' bus='0' slot='3' function='0'/>"
    assert pc.props(f"<input type='keyboard' bus='virtio'><driver ats='on'/>{placed}</input>") == [
        {"driver": "virtio-keyboard-pci", "ats": True, "id": "input0", "bus": "pci.0", "addr": "0x3"}
    ]
    evdev = "<source dev='/dev/input/event1' grab='all' grabToggle='ctrl-ctrl' repeat='on'/>"
    assert pc.props(f"<input type='evdev'>{evdev}</input>") == [
        {
            "qom-type": "input-linux",
            "id": "input0",
            "evdev": "/dev/input/event1",
            "repeat": True,
            "grab_all": True,
            "grab-toggle": "ctrl-ctrl",
        }
    ]


def test_places(bench: Any) -> None:
    pc = bench(FAMILY)
    assert isinstance(FAMILY.place(pc.completed("<input type='tablet'/>"), pc.completion()), WantUsb)
    assert isinstance(FAMILY.place(pc.completed("<input type='mouse' bus='virtio'/>"), pc.completion()), WantPci)
    assert FAMILY.place(pc.completed("<input type='mouse'/>"), pc.completion()) is None


@pytest.mark.parametrize(
    ("xml", "culprit"),
    [
        ("<input type='tablet' bus='ps2'/>", "'tablet'"),
        ("<input type='mouse' bus='xen'/>", "'xen'"),
        ("<input type='passthrough' bus='usb'><source evdev='/e'/></input>", "'passthrough'"),
        ("<input type='passthrough'/>", "evdev"),
        ("<input type='evdev' bus='virtio'><source dev='/e'/></input>", "'virtio'"),
        ("<input type='mouse' bus='usb' model='virtio'/>", "'virtio'"),
        ("<input type='mouse' bus='virtio' model='virtio-transitional'/>", "'virtio-transitional'"),
        ("<input type='mouse' bus='ps2'><address type='usb' bus='0' port='1'/></input>", "'ps2'"),
        ("<input/>", "'type'"),
    ],
)
def test_refusals(bench: Any, xml: str, culprit: str) -> None:
    assert any(culprit in problem for problem in bench(FAMILY).problems(xml))
