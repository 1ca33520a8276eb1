"""What may be said of PCI controllers: options of each model, and host bridges of pSeries."""

from __future__ import annotations

from typing import Any

import pytest

from domicile.devices import controller

PCI = "<controller type='pci' index='{index}' model='{model}'>{inside}</controller>"


@pytest.mark.parametrize(
    ("index", "inside", "words"),
    [
        (0, "<target index='1'/>", ("'0'", "'1'")),
        (1, "<target index='0'/>", ("'1'", "'0'")),
        (1, "<target index='31'/>", ("index '31'",)),
        (0, "<target index='0'><node>0</node></target>", ("NUMA node",)),
        (1, "<target chassisNr='3'/>", ("chassisNr", "'pci-root'")),
        (1, "<model name='pci-bridge'/>", ("'pci-bridge'",)),
    ],
)
def test_host_bridges_are_numbered(bench: Any, index: int, inside: str, words: tuple[str, ...]) -> None:
    power = bench(controller.FAMILY, arch="ppc64", machine="pseries")
    found = power.problems(PCI.format(index=index, model="pci-root", inside=inside))
    assert len(found) == 1
    assert all(word in found[0] for word in words), found


def test_a_host_bridge_may_belong_to_a_node(bench: Any) -> None:
    power = bench(controller.FAMILY, arch="ppc64", machine="pseries")
    xml = PCI.format(index=1, model="pci-root", inside="<target index='7'><node>1</node></target>")
    assert power.problems(xml) == []
    props = {"driver": "spapr-pci-host-bridge", "index": 7, "numa_node": 1}
    assert power.props(xml)[0].items() >= props.items()


@pytest.mark.parametrize(
    ("model", "inside"),
    [
        ("pci-bridge", "<target busNr='3'/>"),
        ("pcie-root-port", "<target chassisNr='3'/>"),
        ("pcie-root-port", "<target chassis='256'/>"),
        ("pcie-root-port", "<target index='3'/>"),
        ("pcie-root-port", "<target><node>0</node></target>"),
        ("pcie-root-port", "<model name='pxb-pcie'/>"),
        ("pcie-expander-bus", "<target busNr='255'/>"),
        ("pcie-expander-bus", "<target port='1'/>"),
    ],
)
def test_each_model_has_its_own_options(bench: Any, model: str, inside: str) -> None:
    found = bench(controller.FAMILY, machine="q35").problems(PCI.format(index=1, model=model, inside=inside))
    assert len(found) == 1
    assert f"'{model}'" in found[0]


def test_a_pc_has_one_root(bench: Any) -> None:
    assert "index" in bench(controller.FAMILY).problems(PCI.format(index=1, model="pcie-root", inside=""))[0]


def test_some_workstations_have_a_scsi_controller_built_in(bench: Any) -> None:
    sun, xml = bench(controller.FAMILY, arch="sparc", machine="SS-5"), "<controller type='scsi' index='0'/>"
    assert sun.kept(xml) == "<controller type='scsi' index='0' model='ncr53c90'/>"
    assert sun.planned(xml) == []
    assert "first" in sun.problems("<controller type='scsi' index='1' model='ncr53c90'/>")[0]
    assert "'ncr53c90'" in bench(controller.FAMILY).problems("<controller type='scsi' index='0' model='ncr53c90'/>")[0]
