"""CPUs that can be unplugged are plugged in at the start; the others are there from the beginning."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from domicile.plan.qemu import Command

BODY = """<vcpu current='3'>8</vcpu><vcpus>
<vcpu id='0' enabled='yes' hotpluggable='no' order='1'/><vcpu id='1' enabled='no' hotpluggable='yes'/>
<vcpu id='2' enabled='yes' hotpluggable='yes' order='3'/><vcpu id='3' enabled='no' hotpluggable='yes'/>
<vcpu id='4' enabled='no' hotpluggable='yes'/><vcpu id='5' enabled='yes' hotpluggable='yes' order='2'/>
<vcpu id='6' enabled='no' hotpluggable='yes'/><vcpu id='7' enabled='no' hotpluggable='yes'/></vcpus>"""
TOPOLOGY = (
    "<cpu mode='custom'><model>Haswell-noTSX</model><topology sockets='2' dies='{}' cores='{}' threads='2'/></cpu>"
)


def plugged(core: Any, text: str) -> list[dict[str, Any]]:
    commands = [item for item in core.plan(text).items if isinstance(item, Command) and item.execute == "device_add"]
    return [dict(command.arguments) for command in commands]


def count(core: Any, text: str) -> str:
    return next(str(a.words[1]) for a in core.arguments(text) if a.words[0] == "-smp")


def test_a_cpu_of_s390_is_plugged_in_by_its_number(core: Any, sketch: Callable[..., str]) -> None:
    s390 = core.of("s390x")
    text = sketch(arch="s390x", machine="s390-ccw-virtio", body=BODY)
    assert count(s390, text).startswith("1,maxcpus=8,")
    assert plugged(s390, text) == [
        {"driver": "qemu-s390x-cpu", "id": "vcpu5", "core-id": 5},
        {"driver": "qemu-s390x-cpu", "id": "vcpu2", "core-id": 2},
    ]


@pytest.mark.parametrize(
    ("topology", "fifth"),
    [
        ("", {"socket-id": 5, "core-id": 0, "thread-id": 0}),
        (TOPOLOGY.format(1, 2), {"socket-id": 1, "core-id": 0, "thread-id": 1}),
        (TOPOLOGY.format(2, 1), {"socket-id": 1, "die-id": 0, "core-id": 0, "thread-id": 1}),
    ],
)
def test_a_cpu_of_a_pc_is_plugged_in_at_its_place(
    core: Any, sketch: Callable[..., str], topology: str, fifth: dict[str, int]
) -> None:
    text = sketch(body=BODY + topology)
    assert count(core, text).startswith("1,maxcpus=8,")
    driver = "Haswell-noTSX-x86_64-cpu" if topology else "qemu64-x86_64-cpu"
    assert plugged(core, text)[0] == {"driver": driver, "id": "vcpu5", **fifth}


def test_cpus_that_stay_are_there_from_the_start(core: Any, sketch: Callable[..., str]) -> None:
    text = sketch(body="<vcpu current='2'>4</vcpu>")
    assert count(core, text).startswith("2,maxcpus=4,")
    assert not plugged(core, text)
