"""What devices may not be beside each other: on SCSI controllers, among watchdogs, TPMs, panic notifiers, displays."""

from __future__ import annotations

from typing import Any

import pytest

from domicile.base.errors import InvalidDocument

DISK = "<disk type='file' device='disk'><source file='/x'/><target dev='sda' bus='scsi'/>{}</disk>"
LENT = (
    "<hostdev mode='subsystem' type='scsi'><source><adapter name='scsi_host0'/><address bus='0' target='0' unit='{}'/>"
    "</source>{}</hostdev>"
)
PLACE = "<address type='drive' controller='0' bus='{}' target='{}' unit='{}'/>"
WIDE = "<controller type='scsi' index='0' model='virtio-scsi'/>"
NARROW = "<controller type='scsi' index='0' model='lsilogic'/>"
TPM = "<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>"


def document(inside: str, machine: str = "pc") -> str:
    kind = f"<os><type arch='x86_64' machine='{machine}'>hvm</type></os>"
    return f"<domain type='qemu'><name>v</name><memory>65536</memory>{kind}<devices>{inside}</devices></domain>"


@pytest.mark.parametrize(
    ("inside", "named"),
    [
        (WIDE + DISK.format(PLACE.format(0, 0, 1)) + LENT.format(0, PLACE.format(0, 0, 1)), ("'sda'", "unit='1'")),
        (WIDE + LENT.format(0, PLACE.format(0, 0, 1)) + LENT.format(1, PLACE.format(0, 0, 1)), ("another", "unit='1'")),
        (WIDE + DISK.format(PLACE.format(1, 0, 1)), ("'sda'", "bus")),
        (NARROW + DISK.format(PLACE.format(0, 2, 1)), ("'sda'", "target", "lsilogic")),
        (NARROW + LENT.format(0, PLACE.format(0, 0, 8)), ("unit", "lsilogic")),
        ("<watchdog model='ib700' action='reset'/><watchdog model='i6300esb' action='pause'/>", ("reset", "pause")),
        ("<panic model='isa'/><panic model='isa'/>", ("<panic>", "isa")),
        (TPM + TPM, ("TPMs",)),
        ("<graphics type='vnc'/><graphics type='vnc'/>", ("vnc",)),
        (DISK.format("<driver name='qemu' type='cow'/>"), ("'cow'",)),
        (DISK.format("<driver name='qemu' type='dir'/>"), ("'directory'", "'dir'")),
        (DISK.format("<driver name='qemu' type='fat'/>"), ("'fat'", "'dir'")),
        (LENT.format(0, "").replace("'scsi'>", "'pci'><driver name='kvm'/>"), ("'kvm'",)),
    ],
)
def test_refused(core: Any, inside: str, named: tuple[str, ...]) -> None:
    with pytest.raises(InvalidDocument) as refused:
        core.complete(document(inside))
    assert all(word in str(refused.value) for word in named), refused.value


@pytest.mark.parametrize(
    "inside",
    [
        WIDE + DISK.format(PLACE.format(0, 3, 100)) + LENT.format(0, PLACE.format(0, 0, 1)),
        "<watchdog model='ib700' action='reset'/><watchdog model='i6300esb' action='reset'/>",
        "<panic model='isa'/><panic model='hyperv'/>",
        "<graphics type='vnc'/><graphics type='sdl'/>",
    ],
)
def test_accepted(core: Any, inside: str) -> None:
    core.complete(document(inside))
