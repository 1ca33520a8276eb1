"""A disk's layers in a document, and what becomes of them."""

from __future__ import annotations

import pytest

from domicile.base.errors import InvalidRequest
from domicile.devices.disk import Disk
from domicile.domain import block_chain, document

XML = """<domain type='qemu'><name>d</name><devices><disk type='file' device='disk'><driver name='qemu' type='qcow2'/>
<source file='/i/top' index='5'/><backingStore type='file' index='4'><format type='qcow2'/><source file='/i/mid'/>
<backingStore type='file' index='3'><format type='qcow2'/><source file='/i/low'/><backingStore type='block' index='1'>
<format type='raw'/><source dev='/dev/base'/>{end}</backingStore></backingStore></backingStore><target dev='vda' bus='virtio'/>
</disk></devices></domain>"""


def disk(end: str = "<backingStore/>") -> Disk:
    domain = document.read_stored(XML.format(end=end))
    assert domain.devices is not None
    return domain.devices.of(Disk)[0]


def paths(made: Disk) -> list[str]:
    return [layer.path for layer in block_chain.layers(made)]


def test_layers_are_found_by_number_and_path() -> None:
    made = disk()
    assert paths(made) == ["/i/top", "/i/mid", "/i/low", "/dev/base"]
    assert [(layer.kind, layer.format, layer.index) for layer in block_chain.layers(made)][::3] == [
        ("file", "qcow2", 5), ("block", "raw", 1),
    ]  # fmt: skip
    assert block_chain.position(made, "vda[3]") == 2 and block_chain.position(made, "/i/mid") == 1
    for name, words in (
        ("vda[9]", "index '9'"),
        ("/i/none", "'/i/none' beneath '/i/top'"),
        ("vdb[3]", "could not find image"),
    ):
        with pytest.raises(InvalidRequest, match=words):
            block_chain.position(made, name)
    with pytest.raises(InvalidRequest):
        block_chain.position(made, "vda[4]", first=2)


@pytest.mark.parametrize(
    ("first", "last", "left"),
    [
        (1, 1, ["/i/top", "/i/low", "/dev/base"]),
        (2, 2, ["/i/top", "/i/mid", "/dev/base"]),
        (1, 2, ["/i/top", "/dev/base"]),
        (1, 3, ["/i/top"]),
        (3, 3, ["/i/top", "/i/mid", "/i/low"]),
    ],
)
@pytest.mark.parametrize("end", ["<backingStore/>", ""])
def test_layers_go(first: int, last: int, left: list[str], end: str) -> None:
    made = disk(end)
    block_chain.without(made, first, last)
    assert paths(made) == left


def test_a_lower_layer_becomes_the_top() -> None:
    made = disk()
    block_chain.become(made, 3)
    assert paths(made) == ["/dev/base"] and made.type == "block"
    assert made.driver is not None and made.driver.type == "raw" and made.source is not None and made.source.index == 1
    made = disk()
    block_chain.become(made, 1)
    assert paths(made) == ["/i/mid", "/i/low", "/dev/base"]


def test_what_only_headers_name_is_hidden() -> None:
    made = disk()
    block_chain.hide(made, {"/i/low", "/dev/base"})
    assert paths(made) == ["/i/top", "/i/mid"]
    made = disk()
    block_chain.hide(made, {"/i/mid", "/i/low", "/dev/base"})
    assert paths(made) == ["/i/top"] and made.backingStore is None
    block_chain.chained(made, [("file", "/i/mid", "qcow2"), ("block", "/dev/x", "raw")])
    assert paths(made) == ["/i/top", "/i/mid", "/dev/x"]
