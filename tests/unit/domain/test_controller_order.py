"""Where controllers that nobody wrote stand among the others: it decides about their addresses."""

from __future__ import annotations

import pytest

from domicile.devices.controller import Controller
from domicile.domain.rules.controllers import insert


def _kinds(controllers: list[Controller]) -> list[str]:
    return [f"{k.type}{k.index}" for k in controllers]


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        (("pci", 1), ["usb0", "pci0", "pci1", "pci2", "scsi0"]),
        (("pci", 3), ["usb0", "pci0", "pci2", "pci3", "scsi0"]),
        (("usb", 1), ["usb0", "usb1", "pci0", "pci2", "scsi0"]),
        (("ccid", 0), ["usb0", "pci0", "pci2", "scsi0", "ccid0"]),
    ],
)
def test_a_controller_joins_its_kind_by_its_index(new: tuple[str, int], expected: list[str]) -> None:
    present = [Controller(type=kind, index=index) for kind, index in (("usb", 0), ("pci", 0), ("pci", 2), ("scsi", 0))]
    insert(present, Controller(type=new[0], index=new[1]))
    assert _kinds(present) == expected
