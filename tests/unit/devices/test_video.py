from __future__ import annotations

from typing import Any

import pytest

from domicile.devices.video import FAMILY, arrange, check_together, default_model, special_slot

DRIVERS = (
    "VGA",
    "cirrus-vga",
    "qxl-vga",
    "qxl",
    "bochs-display",
    "ramfb",
    "virtio-gpu-pci",
    "virtio-vga",
    "vmware-svga",
)
GL = (*DRIVERS, "virtio-vga-gl", "virtio-gpu-gl-device")
VIRTIO = {"driver": "virtio-vga", "id": "video0", "max_outputs": 1}


@pytest.fixture
def card(bench: Any) -> Any:
    return bench(FAMILY, types=DRIVERS)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("<video/>", "<model type='cirrus' vram='16384' heads='1'/>"),
        ("<video><model type='qxl'/></video>", "<model type='qxl' ram='65536' vram='65536' vgamem='16384' heads='1'/>"),
        ("<video><model type='qxl' ram='60000' vram='10000' vram64='70000' heads='4'/></video>", "ram='65536' vram='16384' vram64='70000'"),
        ("<video><model type='virtio'/></video>", "<model type='virtio' heads='1'/>"),
        ("<video><model type='none' heads='1' vram='5'><resolution x='1' y='2'/></model></video>", "<model type='none'/>"),
        ("<video><driver name='qemu' vgaconf='on' packed='on'/></video>", "<driver packed='on' vgaconf='on' name='qemu'/>"),
    ],
)  # fmt: skip
def test_the_card_and_its_memory(card: Any, given: str, kept: str) -> None:
    assert kept in card.kept(given)


def test_the_usual_card_of_other_machines(bench: Any) -> None:
    assert default_model(bench(FAMILY, arch="ppc64", machine="pseries").completion()) == "vga"
    assert default_model(bench(FAMILY, arch="aarch64", machine="virt").completion()) == "virtio"
    assert default_model(bench(FAMILY, types=("VGA",)).completion()) == "vga"


@pytest.mark.parametrize(
    ("given", "culprit"),
    [
        ("<video><model type='xen'/></video>", "'xen'"),
        ("<video><model type='vga' heads='2'/></video>", "'heads'"),
        ("<video><model type='cirrus' ram='5'/></video>", "'ram'"),
        ("<video><model type='vga' vram='512'/></video>", "'512'"),
        ("<video><model type='qxl' vgamem='1500'/></video>", "'1500'"),
        ("<video><model type='cirrus'><resolution x='8' y='6'/></model></video>", "'resolution'"),
        ("<video><model type='vga'><acceleration accel3d='yes'/></model></video>", "3d"),
        ("<video><model type='virtio'><acceleration rendernode='/x'/></model></video>", "'rendernode'"),
        ("<video><driver name='vhostuser'/><model type='vga'/></video>", "'vhostuser'"),
        ("<video><driver iommu='on'/><model type='vga'/></video>", "'iommu'"),
        ("<video><model type='ramfb'/><address type='pci'/></video>", "'ramfb'"),
    ],
)
def test_what_cannot_be_is_named(card: Any, given: str, culprit: str) -> None:
    assert any(culprit in message for message in card.problems(given))


def test_the_primary_card_stands_first_and_is_marked_alone(card: Any) -> None:
    cards = [
        card.read("<video><model type='virtio' primary='no'/></video>"),
        card.read("<video><model type='qxl' primary='yes'/></video>"),
    ]
    c = card.completion()
    arrange(cards, c)
    assert [(each.kind, each.model.primary) for each in cards] == [("qxl", True), ("virtio", None)]
    arrange(cards, c)
    assert c.notes == []
    check_together(cards, c)
    assert c.found == []


def test_only_some_cards_can_be_further_ones(card: Any) -> None:
    c = card.completion()
    check_together(
        [card.read("<video><model type='qxl'/></video>"), card.read("<video><model type='bochs'/></video>")], c
    )
    check_together(
        [card.read("<video><model type='none'/></video>"), card.read("<video><model type='vga'/></video>")], c
    )
    assert ["'bochs'" in c.found[0][2].message, "'none'" in c.found[1][2].message] == [True, True]


@pytest.mark.parametrize(
    ("given", "props"),
    [
        ("<model type='vga' primary='yes'/>", {"driver": "VGA", "id": "video0", "vgamem_mb": 16}),
        ("<model type='bochs' primary='yes'/>", {"driver": "bochs-display", "id": "video0", "vgamem": 16777216}),
        ("<model type='ramfb'/>", {"driver": "ramfb", "id": "video0"}),
        ("<model type='virtio' primary='yes'/>", VIRTIO),
        ("<model type='virtio'/>", {**VIRTIO, "driver": "virtio-gpu-pci"}),
        ("<model type='virtio' primary='yes'><acceleration accel3d='yes'/></model>", {**VIRTIO, "driver": "virtio-vga-gl"}),
        ("<model type='virtio'><acceleration accel3d='yes'/></model>", {**VIRTIO, "driver": "virtio-gpu-gl-pci"}),
        (
            "<model type='qxl' heads='2'><resolution x='800' y='600'/></model>",
            {"driver": "qxl", "id": "video0", "max_outputs": 2, "ram_size": 67108864, "vram_size": 67108864}
            | {"vram64_size_mb": 0, "vgamem_mb": 16, "xres": 800, "yres": 600},
        ),
    ],
)  # fmt: skip
def test_the_device_qemu_is_asked_for(bench: Any, given: str, props: dict[str, Any]) -> None:
    assert bench(FAMILY, types=GL).props(f"<video>{given}</video>") == [props]


def test_the_chipsets_slot(bench: Any) -> None:
    primary = "<video><model type='vga' primary='yes'/></video>"
    for machine, slot in (("pc", 2), ("q35", 1)):
        machine_bench = bench(FAMILY, machine=machine, types=DRIVERS)
        wanted = special_slot(machine_bench.read(primary), machine_bench.completion())
        assert wanted is not None
        assert wanted.slot == slot
