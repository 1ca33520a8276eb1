from __future__ import annotations

from typing import Any

import pytest

from domicile.devices.serial import FAMILY, number
from domicile.plan.place import WantPci, WantUsb
from domicile.plan.qemu import Option


@pytest.mark.parametrize(
    ("arch", "machine", "kind", "chip"),
    [
        ("x86_64", "pc", "isa-serial", "isa-serial"),
        ("aarch64", "virt", "system-serial", "pl011"),
        ("riscv64", "virt", "system-serial", "16550a"),
        ("ppc64", "pseries", "spapr-vio-serial", "spapr-vty"),
        ("s390x", "s390-ccw-virtio", "sclp-serial", "sclpconsole"),
    ],
)
def test_each_machine_has_its_usual_port(bench: Any, arch: str, machine: str, kind: str, chip: str) -> None:
    port = bench(FAMILY, arch=arch, machine=machine)
    for given in ("<serial/>", "<serial type='pty'><target type='isa-serial'/></serial>"):
        target = port.completed(given).target
        assert (target.type, target.model.name) == (kind, chip)


def test_an_unknown_board_has_no_kind(bench: Any) -> None:
    board = bench(FAMILY, arch="ppc", machine="ppce500")
    assert board.kept("<serial type='pty'><target port='0'/></serial>") == (
        "<serial type='pty'>\n  <target port='0'/>\n</serial>"
    )
    assert board.planned("<serial/>")[1] == Option("-serial", "chardev:charserial0")


def test_devices(bench: Any) -> None:
    pc = bench(FAMILY)
    assert pc.props("<serial><target port='1'/><address type='isa' iobase='0x2f8' irq='3'/></serial>") == [
        {"driver": "isa-serial", "chardev": "charserial0", "id": "serial0", "index": 1, "iobase": 0x2F8, "irq": 3}
    ]
    assert pc.props("<serial><target type='isa-debug'/></serial>") == [
        {"driver": "isa-debugcon", "chardev": "charserial0", "id": "serial0"}
    ]


def test_places(bench: Any) -> None:
    pc = bench(FAMILY)

    def place(kind: str) -> Any:
        return FAMILY.place(pc.completed(f"<serial><target type='{kind}'/></serial>"), pc.completion())

    assert isinstance(place("usb-serial"), WantUsb)
    assert isinstance(place("pci-serial"), WantPci)
    assert place("isa-serial") is None


def test_ports_are_numbered_after_the_highest_that_was_given(bench: Any) -> None:
    pc = bench(FAMILY)
    ports = [pc.completed(f"<serial><target {given}/></serial>") for given in ("", "port='0'", "")]
    number(ports, pc.completion())
    assert [port.target.port for port in ports] == [1, 0, 2]


@pytest.mark.parametrize(
    ("xml", "culprits"),
    [
        ("<serial><target type='isa-serial'><model name='usb-serial'/></target></serial>", ["usb-serial"]),
        ("<serial><address type='usb' bus='0' port='1'/></serial>", ["isa-serial", "isa"]),
        ("<serial><target type='system-serial'/></serial>", ["system-serial"]),
        ("<serial><target type='sclp-serial'/></serial>", ["sclp-serial", "x86_64"]),
        ("<serial><target port='4'/></serial>", ["4"]),
    ],
)
def test_refusals(bench: Any, xml: str, culprits: list[str]) -> None:
    text = " ".join(bench(FAMILY).problems(xml))
    assert text
    assert all(f"'{word}'" in text for word in culprits)
