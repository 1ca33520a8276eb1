"""Controllers: I/O threads of their queues, and what they may not be."""

from __future__ import annotations

from typing import Any

import pytest

from domicile.devices.controller import FAMILY

KNOWN = {"virtio-scsi-pci": frozenset({"iothread-vq-mapping"})}
MAPPED = """<controller type='scsi' index='0' model='virtio-scsi'><driver queues='2'><iothreads>
<iothread id='2'><queue id='1'/></iothread><iothread id='3'><queue id='0'/></iothread></iothreads></driver></controller>"""


def test_queues_are_mapped_to_threads(bench: Any) -> None:
    newer = bench(FAMILY, properties=KNOWN, types=("virtio-scsi-pci",))
    assert newer.problems(MAPPED) == []
    (device,) = newer.props(MAPPED)
    assert device["iothread-vq-mapping"] == [
        {"iothread": "iothread2", "vqs": [1]},
        {"iothread": "iothread3", "vqs": [0]},
    ]
    (plain,) = newer.props(MAPPED.replace("<queue id='1'/>", "").replace("<queue id='0'/>", ""))
    assert plain["iothread-vq-mapping"] == [
        {"iothread": "iothread2", "vqs": None},
        {"iothread": "iothread3", "vqs": None},
    ]
    assert "this QEMU" in bench(FAMILY).problems(MAPPED)[0]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("queue id='1'", "queue id='2'", "each queue"),
        ("queue id='1'", "queue id='0'", "each queue"),
        ("<queue id='1'/>", "", "some I/O threads"),
        (" queues='2'", "", "'queues'"),
        ("queues='2'", "queues='2' iothread='1'", "'iothread'"),
        ("iothread id='3'", "iothread id='2'", "twice"),
    ],
)
def test_mappings_that_cannot_be(bench: Any, old: str, new: str, words: str) -> None:
    newer = bench(FAMILY, properties=KNOWN, types=("virtio-scsi-pci",))
    assert words in newer.problems(MAPPED.replace(old, new))[0]


@pytest.mark.parametrize("what", ["type='virtio-serial'", "type='scsi' model='lsilogic'", "type='usb'"])
def test_only_virtio_scsi_has_io_threads(bench: Any, what: str) -> None:
    made = bench(FAMILY, types=("lsi53c895a",))
    (problem,) = made.problems(f"<controller {what} index='0'><driver iothread='2'/></controller>")
    assert "'iothread'" in problem


@pytest.mark.parametrize(
    ("xml", "words"),
    [
        ("<controller type='scsi' index='0' model='lsilogic'><driver queues='2'/></controller>", "'queues'"),
        ("<controller type='sata' index='0'><driver cmd_per_lun='2'/></controller>", "'cmd_per_lun'"),
        ("<controller type='usb' index='0'><driver iommu='on'/></controller>", "'iommu'"),
        ("<controller type='isa' index='0'/>", "'isa'"),
        ("<controller type='xenbus' index='0'/>", "'xenbus'"),
        ("<controller type='usb' model='qusb1' index='0'/>", "'qusb1'"),
        ("<controller type='scsi' model='buslogic' index='0'/>", "'buslogic'"),
        (
            "<controller type='pci' model='pci-root' index='0'><pcihole64 unit='acre'>1</pcihole64></controller>",
            "'acre'",
        ),
    ],
)
def test_what_a_controller_cannot_be(bench: Any, xml: str, words: str) -> None:
    assert words in bench(FAMILY).problems(xml)[0]


def test_sizes_and_what_is_left_out(bench: Any) -> None:
    board = bench(FAMILY)
    hole = "<controller type='pci' model='pci-root' index='0'><pcihole64 unit='TiB'>2</pcihole64></controller>"
    assert "<pcihole64 unit='KiB'>2147483648</pcihole64>" in board.kept(hole)
    assert (
        board.kept("<controller type='sata' index='0' ports='8' vectors='2'/>") == "<controller type='sata' index='0'/>"
    )
