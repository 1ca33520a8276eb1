"""NUMA nodes: what is filled in, what is refused, what QEMU is told."""

from __future__ import annotations

from typing import Any

import pytest

from domicile.base.errors import Unsupported

DOMAIN = """
<domain type='qemu'>
  <name>n</name>
  <memory unit='MiB'>512</memory>{before}
  <vcpu>4</vcpu>{tune}
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
  <cpu><numa>{cells}</numa></cpu>
</domain>"""
TWO = "<cell cpus='0' memory='256' unit='MiB'/><cell cpus='1' memory='256' unit='MiB'/>"


def document(cells: str = TWO, tune: str = "", before: str = "") -> str:
    return DOMAIN.format(cells=cells, tune=tune, before=before)


def test_processors_of_no_node_go_to_the_first(core: Any) -> None:
    cells = core.complete(document()).domain.cpu.numa.cell
    assert [cell.cpus for cell in cells] == ["0,2-3", "1"]


def test_distances_are_the_same_back(core: Any) -> None:
    far = "<cell cpus='0-1' memory='1024'><distances><sibling id='1' value='21'/></distances></cell>"
    cells = core.complete(document(f"{far}<cell cpus='2-3' memory='1024'/>")).domain.cpu.numa.cell
    assert [[(s.id, s.value) for s in cell.distances.sibling] for cell in cells] == [
        [(0, 10), (1, 21)],
        [(0, 21), (1, 10)],
    ]


@pytest.mark.parametrize(
    ("cells", "tune", "word"),
    [
        ("<cell cpus='0-1' memory='1024'/><cell cpus='1-3' memory='1024'/>", "", "'1'"),
        ("<cell cpus='0-7' memory='1024'/>", "", "'7'"),
        (TWO, "<numatune><memnode cellid='5' nodeset='0'/></numatune>", "'5'"),
        ("", "<numatune><memnode cellid='0' nodeset='0'/></numatune>", "<memnode>"),
        (
            TWO,
            "<numatune><memory mode='restrictive' nodeset='0'/><memnode cellid='0' nodeset='0'/></numatune>",
            "restrictive",
        ),
        ("<cell id='0' cpus='0-3' memory='9007199254740991'/>", "", "'0'"),
    ],
)
def test_what_cannot_be_is_refused(core: Any, cells: str, tune: str, word: str) -> None:
    assert any(word in problem.message for problem in core.problems(document(cells, tune)))


def test_a_node_the_host_does_not_have_stops_the_start(core: Any) -> None:
    with pytest.raises(Unsupported, match="NUMA node 7"):
        core.plan(document(tune="<numatune><memory nodeset='7'/></numatune>"))


def test_huge_pages_without_a_mount_stop_the_start(core: Any) -> None:
    held = "<memoryBacking><hugepages><page size='1' unit='GiB'/></hugepages></memoryBacking>"
    with pytest.raises(Unsupported, match="1048576 KiB"):
        core.plan(document(before=held))
