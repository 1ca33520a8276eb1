"""The table of machine kinds: each machine is of one kind, and what is said of it holds together."""

from __future__ import annotations

import pytest

from domicile.plan.boards import BOARDS, board


@pytest.mark.parametrize(
    ("arch", "machine", "name"),
    [
        ("x86_64", "q35", "q35"),
        ("x86_64", "pc-q35-9.1", "q35"),
        ("i686", "pc", "i440fx"),
        ("x86_64", "pc-i440fx-rhel7.6.0", "i440fx"),
        ("x86_64", "rhel6.6.0", "i440fx"),
        ("x86_64", "microvm", "microvm"),
        ("x86_64", "isapc", "isapc"),
        ("s390x", "s390-ccw-virtio", "s390-ccw"),
        ("s390x", "s390-ccw-virtio-4.2", "s390-ccw"),
        ("s390x", "none", "s390"),
        ("ppc64", "pseries-8.0", "pseries"),
        ("ppc64", "powernv9", "ppc64"),
        ("aarch64", "virt-8.2", "arm-virt"),
        ("armv7l", "versatilepb", "versatilepb32"),
        ("aarch64", "realview-pbx-a9", "aarch64"),
        ("armv7l", "vexpress-a9", "vexpress32"),
        ("armv7l", "virt", "arm32-virt"),
        ("ppc", "mac99", "ppc"),
        ("riscv64", "virt", "riscv-virt"),
        ("loongarch64", "virt", "loongarch-virt"),
        ("sparc", "SS-5", "sun4m"),
        ("sparc", "leon3_generic", "sparc"),
        ("avr", "uno", "other"),
    ],
)
def test_every_machine_is_of_one_kind(arch: str, machine: str, name: str) -> None:
    assert board(arch, machine).name == name


def test_what_is_said_of_a_kind_holds_together() -> None:
    assert len({line.name for line in BOARDS}) == len(BOARDS)
    for line in BOARDS:
        assert not line.pci_needs or line.pci_root
        assert not line.panic_added or line.panic
        assert not line.serial_chip or line.serial == "system-serial"
        assert all(name for name in line.machines)
    assert not BOARDS[-1].archs and not BOARDS[-1].machines
