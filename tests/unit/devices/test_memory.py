from __future__ import annotations

from typing import Any

import pytest

from domicile.devices.memory import FAMILY, aligned_kib, assign_slots, check_together

TYPES = ("pc-dimm", "nvdimm", "virtio-mem-pci", "virtio-pmem-pci")
DIMM = "<memory model='dimm'><target><size unit='MiB'>512</size><node>0</node></target>{}</memory>"
BLOCKS = (
    "<memory model='virtio-mem'><target><size unit='KiB'>1048576</size><node>0</node><block unit='KiB'>{}</block>"
    "<requested unit='KiB'>{}</requested></target></memory>"
)


@pytest.fixture
def module(bench: Any) -> Any:
    return bench(FAMILY, types=TYPES)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (DIMM.format(""), "<size unit='KiB'>524288</size>"),
        ("<memory model='dimm'><target><size>524287</size></target></memory>", "<size unit='KiB'>524287</size>"),
        ("<memory model='dimm'><source><path>/x</path></source><target><size>1</size></target></memory>", "<memory model='dimm'>\n  <target>"),
    ],
)  # fmt: skip
def test_sizes_are_kept_in_kib(module: Any, given: str, kept: str) -> None:
    assert kept in module.kept(given)


@pytest.mark.parametrize(
    ("given", "culprit"),
    [
        ("<memory/>", "'model'"),
        ("<memory model='dimm'/>", "'size'"),
        ("<memory model='sgx-epc'><target><size>65536</size></target></memory>", "'sgx-epc'"),
        ("<memory model='nvdimm'><target><size>524288</size></target></memory>", "'path'"),
        ("<memory model='virtio-pmem' access='private'><source><path>/x</path></source><target><size>1</size></target></memory>", "'private'"),
        (BLOCKS.format(1000, 0), "'block'"),
        (BLOCKS.format(2048, 2097152), "'requested'"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_named(module: Any, given: str, culprit: str) -> None:
    assert any(culprit in message for message in module.problems(given))


def test_modules_get_the_lowest_free_slots(module: Any) -> None:
    modules = [module.read(DIMM.format(tail)) for tail in ("", "<address type='dimm' slot='0'/>", "")]
    c = module.completion()
    assign_slots(modules, c)
    assert [each.address.slot for each in modules] == [1, 0, 2]
    before = len(c.notes)
    assign_slots(modules, c)
    assert len(c.notes) == before


def test_modules_may_not_lie_over_one_another(module: Any) -> None:
    places = ("0x140000000", "0x150000000", "0x180000000")
    modules = [module.completed(DIMM.format(f"<address type='dimm' slot='0' base='{base}'/>")) for base in places]
    c = module.completion()
    check_together(modules, c)
    assert ["0x150000000" in problem.message for _, _, problem in c.found] == [True]


def test_sizes_are_rounded_to_what_the_bus_takes(module: Any, bench: Any) -> None:
    small = module.completed("<memory model='dimm'><target><size>523264</size></target></memory>")
    assert aligned_kib(small, module.completion()) == 524288
    xml = (
        "<memory model='nvdimm'><source><path>/x</path></source>"
        "<target><size>550000</size><label><size>128</size></label></target></memory>"
    )
    pseries = bench(FAMILY, arch="ppc64", machine="pseries", types=TYPES)
    assert (
        aligned_kib(module.completed(xml.replace("<size>128", "<size unit='KiB'>128")), pseries.completion()) == 524416
    )


def test_the_memory_and_the_module(module: Any) -> None:
    backend, dimm = module.props(DIMM.format("<address type='dimm' slot='2' base='0x150000000'/>"))
    assert backend == {"qom-type": "memory-backend-ram", "id": "memdimm2", "size": 536870912}
    assert dimm == {"driver": "pc-dimm", "node": 0, "memdev": "memdimm2", "id": "dimm2", "slot": 2, "addr": 0x150000000}
    backend, virtio = module.props(BLOCKS.format(2048, 524288))
    assert backend["reserve"] is False
    assert (virtio["driver"], virtio["block-size"], virtio["requested-size"]) == ("virtio-mem-pci", 2097152, 536870912)
