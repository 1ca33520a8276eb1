"""Virtual CPUs one by one, how they and the threads are scheduled, and what may be said of the virtual CPU."""

from __future__ import annotations

from typing import Any

import pytest

from domicile.domain.document import write
from domicile.plan.qemu import Command


def document(more: str = "", vcpu: str = "<vcpu>4</vcpu>", cpu: str = "") -> str:
    return (
        f"<domain type='qemu'><name>n</name><memory unit='MiB'>64</memory>{vcpu}<iothreads>2</iothreads>"
        f"<os><type arch='x86_64' machine='q35'>hvm</type></os>{cpu}{more}</domain>"
    )


def tune(words: str) -> str:
    return document(f"<cputune>{words}</cputune>")


def listed(*states: str, current: str = "") -> str:
    return f"<vcpu{current}>4</vcpu><vcpus>{''.join(f'<vcpu {state}/>' for state in states)}</vcpus>"


FIRST = "id='0' enabled='yes' hotpluggable='no'"


@pytest.mark.parametrize(
    ("xml", "words"),
    [
        (tune("<shares>1</shares>"), "'shares'"),
        (tune("<period>999</period>"), "'999'"),
        (tune("<emulator_period>1000001</emulator_period>"), "'emulator_period'"),
        (tune("<global_quota>17592186044416</global_quota>"), "'global_quota'"),
        (tune("<vcpupin cpuset='0'/>"), "'vcpu'"),
        (tune("<vcpupin vcpu='0'/>"), "'cpuset'"),
        (tune("<vcpupin vcpu='0' cpuset='0'/><vcpupin vcpu='0' cpuset='1'/>"), "'vcpupin'"),
        (tune("<emulatorpin/>"), "'emulatorpin'"),
        (tune("<iothreadpin iothread='9' cpuset='0'/>"), "'9'"),
        (tune("<vcpusched vcpus='0' scheduler='rr'/>"), "'priority'"),
        (tune("<vcpusched vcpus='0'/>"), "'scheduler'"),
        (tune("<vcpusched scheduler='batch'/>"), "'vcpus'"),
        (tune("<vcpusched vcpus='0-1' scheduler='batch'/><vcpusched vcpus='1' scheduler='idle'/>"), "twice"),
        (tune("<vcpusched vcpus='3-9' scheduler='batch'/>"), "'4'"),
        (tune("<iothreadsched iothreads='7' scheduler='batch'/>"), "'7'"),
        (tune("<emulatorsched scheduler='fifo'/>"), "'priority'"),
        (tune("<cachetune vcpus='0'><cache id='0' level='3' type='both' size='3' unit='MiB'/></cachetune>"), "'kvm'"),
        (document("<memtune><min_guarantee>1</min_guarantee></memtune>"), "'min_guarantee'"),
        (document("<blkiotune><device><weight>500</weight></device></blkiotune>"), "<path>"),
        (document(vcpu="<vcpu placement='static'/>"), "'vcpu'"),
        (document(vcpu="<vcpu>256</vcpu>"), "'256'"),
        (document("<blkiotune><device><path>/a</path></device><device><path>/a</path></device></blkiotune>"), "'/a'"),
        (document(vcpu=listed(FIRST, "id='9' enabled='yes'")), "'9'"),
        (document(vcpu=listed("id='0' enabled='no'")), "'0'"),
        (document(vcpu=listed("id='0' enabled='yes' hotpluggable='yes'")), "'0'"),
        (document(vcpu=listed(FIRST, "id='1'")), "'enabled'"),
        (document(cpu="<cpu mode='host-model' migratable='off'/>"), "'migratable'"),
        (document(cpu="<cpu><feature name='aes'/></cpu>"), "<feature>"),
        (document(cpu="<cpu><vendor>Intel</vendor></cpu>"), "<vendor>"),
        (document(cpu="<cpu mode='maximum'><cache mode='emulate'/></cpu>"), "'emulate'"),
        (document(cpu="<cpu mode='host-model'><cache mode='passthrough'/></cpu>"), "'passthrough'"),
        (document(cpu="<cpu mode='maximum'><cache level='3' mode='disable'/></cpu>"), "'3'"),
        (document(cpu="<cpu mode='maximum'><maxphysaddr bits='42'/></cpu>"), "'mode'"),
        (document(cpu="<cpu mode='maximum'><maxphysaddr mode='passthrough' bits='42'/></cpu>"), "'42'"),
        (document(cpu="<cpu><numa><cell id='0' cpus='0-3'/></numa></cpu>"), "'memory'"),
        (
            document(
                cpu="<cpu><numa><cell id='0' cpus='0-1' memory='9000'/><cell id='2' cpus='2-3' memory='9000'/></numa></cpu>"
            ),
            "gap",
        ),
    ],
)
def test_refused(core: Any, xml: str, words: str) -> None:
    messages = [problem.message for problem in core.problems(xml)]
    assert any(words in message for message in messages), messages


@pytest.mark.parametrize(
    ("xml", "kept"),
    [
        (
            tune("<vcpusched vcpus='2-3' scheduler='idle'/><vcpusched vcpus='0' scheduler='rr' priority='3'/>"),
            "<vcpusched vcpus='0' scheduler='rr' priority='3'/>\n    <vcpusched vcpus='2' scheduler='idle'/>\n"
            "    <vcpusched vcpus='3' scheduler='idle'/>",
        ),
        (tune("<vcpusched vcpus='0' scheduler='batch' priority='3'/>"), "<vcpusched vcpus='0' scheduler='batch'/>"),
        (
            tune("<vcpupin vcpu='2' cpuset='0-1'/><vcpupin vcpu='9' cpuset='0'/><vcpupin vcpu='1' cpuset='0'/>"),
            "<vcpupin vcpu='1' cpuset='0'/>\n    <vcpupin vcpu='2' cpuset='0-1'/>\n  </cputune>",
        ),
        (document(vcpu=listed(FIRST, "id='1' enabled='yes'")), "<vcpu placement='static' current='2'>4</vcpu>"),
        (document(vcpu=listed(FIRST)), "<vcpu id='3' enabled='no' hotpluggable='yes'/>"),
        (document("<currentMemory unit='MiB'>128</currentMemory>"), "<currentMemory unit='KiB'>65536</currentMemory>"),
        (document(cpu="<cpu><model vendor_id='KVMKVMKVMKVM'/></cpu>"), "vendor_id='KVMKVMKVMKVM'>qemu64</model>"),
        (
            document(cpu="<cpu mode='host-model'><model fallback='forbid'/></cpu>"),
            "<cpu mode='host-model' check='partial'/>",
        ),
    ],
)
def test_settled(core: Any, xml: str, kept: str) -> None:
    assert kept in write(core.complete(xml).domain)


def test_no_period_is_no_limit(core: Any) -> None:
    assert "cputune" not in write(core.complete(tune("<period>0</period><quota>0</quota>")).domain)


def test_cpus_that_can_go_again_are_plugged_in_before_the_guest_runs(core: Any) -> None:
    states = (
        FIRST,
        "id='1' enabled='yes' hotpluggable='yes' order='2'",
        "id='3' enabled='yes' hotpluggable='yes' order='1'",
    )
    cpu = "<cpu><topology sockets='2' cores='2' threads='1'/></cpu>"
    xml = document(vcpu=listed(*states, current=" current='3'"), cpu=cpu)
    assert next(a.words[1] for a in core.arguments(xml) if a.words[0] == "-smp").startswith("1,maxcpus=4,")
    added = [
        item.arguments for item in core.plan(xml).items if isinstance(item, Command) and item.execute == "device_add"
    ]
    assert added == [
        {"driver": "qemu64-x86_64-cpu", "id": "vcpu3", "socket-id": 1, "core-id": 1, "thread-id": 0},
        {"driver": "qemu64-x86_64-cpu", "id": "vcpu1", "socket-id": 0, "core-id": 1, "thread-id": 0},
    ]
