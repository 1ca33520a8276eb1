from __future__ import annotations

from typing import Any

from domicile.devices.parallel import FAMILY


def test_a_parallel_port(bench: Any, words: Any) -> None:
    pc = bench(FAMILY)
    xml = "<parallel type='dev'><source path='/dev/parport0'/></parallel>"
    assert words(pc.planned(xml), "-chardev") == "parallel,id=charparallel0,path=/dev/parport0"
    assert pc.props(xml) == [{"driver": "isa-parallel", "chardev": "charparallel0", "id": "parallel0"}]


def test_refusals(bench: Any) -> None:
    assert bench(FAMILY, arch="s390x", machine="s390-ccw-virtio").problems("<parallel type='pty'/>")
    assert bench(FAMILY).problems("<parallel type='pty'><target port='3'/></parallel>")
    assert not bench(FAMILY).problems("<parallel type='pty'/>")
