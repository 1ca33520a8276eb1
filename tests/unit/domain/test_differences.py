"""What was found by giving the same changed documents to a real libvirtd 9.0: refusals and fillings that agree with it."""

from __future__ import annotations

from typing import Any

import pytest

from domicile.base.errors import InvalidDocument
from domicile.domain import document

HEAD = (
    "<domain type='qemu'><name>d</name><memory>262144</memory>{}<os><type arch='x86_64' machine='{}'>hvm</type>{}</os>"
)


def text(core: Any, devices: str = "", *, machine: str = "pc", before: str = "", os: str = "") -> str:
    xml = HEAD.format(before, machine, os) + f"<devices>{devices}</devices></domain>"
    return document.write(core.complete(xml).domain)


def refusal(core: Any, devices: str = "", **more: str) -> str:
    with pytest.raises(InvalidDocument) as refused:
        text(core, devices, **more)
    return refused.value.message


def test_an_attribute_without_which_an_element_means_nothing_is_missed(core: Any) -> None:
    assert "element 'boot' has no attribute 'dev'" in refusal(core, os="<boot/>")
    nic = "<interface type='user'><vlan><tag/></vlan></interface>"
    assert "element 'tag' has no attribute 'id'" in refusal(core, nic)


def test_a_controller_without_a_type_is_ide(core: Any) -> None:
    assert "<controller type='ide' index='0'>" in text(core, "<controller index='0'/>")


def test_a_card_without_a_model_is_the_usual_one(core: Any) -> None:
    assert "<model type='rtl8139'/>" in text(core, "<interface type='user'><model/></interface>")


@pytest.mark.parametrize("device", ["cdrom", "floppy"])
def test_an_empty_drive_is_a_file(core: Any, device: str) -> None:
    name = "hdc" if device == "cdrom" else "fda"
    assert f"<disk type='file' device='{device}'>" in text(
        core, f"<disk type='block' device='{device}'><target dev='{name}'/></disk>"
    )


def test_the_chipsets_own_places_are_taken(core: Any) -> None:
    video = "<video><model type='qxl'/>{}</video>"
    place = "<address type='pci' domain='0x0000' bus='0x00' slot='0x01' function='0x0'/>"
    assert "0000:00:01.0" in refusal(core, video.format("") + video.format(place))
    sata = "<controller type='sata' index='10'><address type='pci' domain='0' bus='0' slot='0x1f' function='0x2'/></controller>"
    assert "0000:00:1f.2" in refusal(core, sata, machine="q35")


def test_huge_pages_of_node_0_of_a_guest_without_nodes_are_of_all_of_it(core: Any) -> None:
    backing = "<memoryBacking><hugepages><page size='2048' unit='KiB' nodeset='0'/></hugepages></memoryBacking>"
    assert "<page size='2048' unit='KiB'/>" in text(core, before=backing)


def test_more_modules_than_slots_are_refused(core: Any) -> None:
    module = "<memory model='dimm'><target><size>262144</size><node>0</node></target></memory>"
    numa = "<maxMemory slots='1'>8388608</maxMemory><vcpu>1</vcpu><cpu><numa><cell id='0' cpus='0' memory='262144'/></numa></cpu>"
    assert "'2' memory modules" in refusal(core, module * 2, before=numa)
    assert "no amount" in refusal(core, before="<maxMemory slots='1'>0</maxMemory>")
