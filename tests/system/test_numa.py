"""The installed QEMU takes what NUMA nodes, memory backing and system information are planned as."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from guests import QEMU

from domicile.base.errors import Unsupported
from domicile.domain.cpus import verify
from domicile.host.fulfil import Host
from domicile.plan.host import Directories
from domicile.qemu import render
from domicile.runtime.start import MachineSpec, start

pytestmark = [pytest.mark.system, pytest.mark.skipif(QEMU is None, reason="no QEMU here")]

DOMAIN = """
<domain type='qemu'>
  <name>nodes</name>
  <uuid>6f1c0000-0000-4000-8000-000000000092</uuid>
  <genid>43dc0cf8-809b-4adb-9bea-a9abb5f3d90e</genid>
  <maxMemory slots='4' unit='GiB'>1</maxMemory>
  <memoryBacking>
    <source type='{source}'/>
    <access mode='shared'/>
  </memoryBacking>
  <vcpu>4</vcpu>
  <iothreadids>
    <iothread id='2' thread_pool_min='2' thread_pool_max='8'><poll max='32768' grow='2' shrink='4'/></iothread>
  </iothreadids>
  <defaultiothread thread_pool_min='2' thread_pool_max='16'/>
  <numatune><memory mode='strict' nodeset='0'/></numatune>
  <sysinfo type='smbios'>
    <system><entry name='manufacturer'>Domicile, of test</entry></system>
    <oemStrings><entry>one</entry></oemStrings>
  </sysinfo>
  <sysinfo type='fwcfg'><entry name='opt/com.example/name'>value</entry></sysinfo>
  <os><type arch='x86_64' machine='q35'>hvm</type><smbios mode='sysinfo'/></os>
  <features><acpi/><vmcoreinfo/><pmu state='off'/></features>
  <cpu mode='maximum'>
    <cache mode='emulate' level='3'/>
    <maxphysaddr mode='emulate' bits='40'/>
    <numa>
      <cell cpus='0-1' memory='64' unit='MiB'>
        <distances><sibling id='1' value='21'/></distances>
        <cache level='1' associativity='direct' policy='writeback'>
          <size value='10' unit='KiB'/><line value='8' unit='B'/>
        </cache>
      </cell>
      <cell cpus='2-3' memory='64' unit='MiB' memAccess='private'/>
      <interconnects>
        <latency initiator='0' target='0' type='access' value='5'/>
        <latency initiator='0' target='0' cache='1' type='access' value='2'/>
        <bandwidth initiator='0' target='0' type='access' value='200' unit='MiB'/>
        <bandwidth initiator='0' target='0' cache='1' type='access' value='400' unit='MiB'/>
      </interconnects>
    </numa>
  </cpu>
  <clock offset='absolute' start='86400'/>
  <devices>
    <memory model='dimm'><target><size unit='MiB'>64</size><node>1</node></target></memory>
  </devices>
</domain>"""


@pytest.mark.parametrize("source", ["memfd", "file", "anonymous"])
def test_qemu_starts_a_guest_with_nodes(core: Any, tmp_path: Path, source: str) -> None:
    plan = core.plan(DOMAIN.format(source=source), directories=Directories(ram=str(tmp_path / "ram")))
    words = [str(QEMU)]
    for argument in render.command_line(plan.items, core.caps.version):
        words += argument.words

    async def script() -> None:
        log = tmp_path / "vm.log"
        spec = MachineSpec("u", "nodes", 1, words, tmp_path / "vm", log, list(plan.needs), paused=True)
        machine = await start(spec, Host(), lambda _event: None)
        try:
            pieces = {piece["id"]: piece for piece in await machine.qmp("query-memdev")}
            assert {name: piece["size"] >> 20 for name, piece in pieces.items()} == {
                "ram-node0": 64,
                "ram-node1": 64,
                "memdimm0": 64,
            }
            assert pieces["ram-node0"]["share"] is True
            assert pieces["ram-node1"]["share"] is False
            assert pieces["ram-node0"]["host-nodes"] == [0]
            nodes = [cpu["props"]["node-id"] for cpu in await machine.qmp("query-hotpluggable-cpus")]
            assert sorted(nodes) == [0, 0, 1, 1]
        finally:
            await machine.destroy()

    asyncio.run(script())


def test_cpus_that_may_go_again_are_there_at_start(core: Any, tmp_path: Path) -> None:
    xml = """<domain type='qemu'><name>cpus</name><memory unit='MiB'>64</memory><vcpu current='3'>4</vcpu>
      <vcpus><vcpu id='0' enabled='yes' hotpluggable='no'/><vcpu id='2' enabled='yes' hotpluggable='yes'/>
      <vcpu id='3' enabled='yes' hotpluggable='yes'/></vcpus>
      <os><type arch='x86_64' machine='q35'>hvm</type></os><cpu><topology sockets='1' dies='2' cores='2' threads='1'/></cpu>
    </domain>"""
    plan = core.plan(xml)
    words = [str(QEMU)]
    for argument in render.command_line(plan.items, core.caps.version):
        words += argument.words

    async def script() -> None:
        spec = MachineSpec(
            "u", "cpus", 1, words, tmp_path / "vm", tmp_path / "vm.log", list(plan.needs), paused=True,
            commands=render.commands(plan.items),
        )  # fmt: skip
        machine = await start(spec, Host(), lambda _event: None)
        try:
            there = {
                cpu["props"]["die-id"] * 2 + cpu["props"]["core-id"] for cpu in await machine.qmp("query-cpus-fast")
            }
            assert there == {0, 2, 3}
        finally:
            await machine.destroy()

    asyncio.run(script())


def test_a_cpu_that_is_checked_is_the_one_asked_for_or_the_start_fails(core: Any, tmp_path: Path) -> None:
    template = """<domain type='qemu'><name>cpu</name><memory unit='MiB'>64</memory>
      <os><type arch='x86_64' machine='q35'>hvm</type></os>
      <cpu mode='custom' check='full'><model>{model}</model>{features}</cpu></domain>"""

    def spec(model: str, **features: str) -> MachineSpec:
        listed = "".join(f"<feature name='{name}' policy='{policy}'/>" for name, policy in features.items())
        plan = core.plan(template.format(model=model, features=listed))
        words = [str(QEMU)]
        for argument in render.command_line(plan.items, core.caps.version):
            words += argument.words
        wanted = verify.expected(plan.domain.cpu, core.caps, kvm=False)
        return MachineSpec("u", "cpu", 1, words, tmp_path / model, tmp_path / "vm.log", paused=True, cpu=wanted)

    async def script() -> None:
        with pytest.raises(Unsupported, match=r"lacks .*pcid.* and has .*hypervisor.* besides"):
            await start(spec("Haswell-noTSX"), Host(), lambda _event: None)
        off = dict.fromkeys(("vme", "pcid", "invpcid", "x2apic"), "disable")
        spare = dict.fromkeys(("hypervisor", "arat", "xsaveopt", "abm", "f16c", "rdrand"), "require")
        machine = await start(
            spec("Haswell-noTSX", **{"tsc-deadline": "disable"}, **off, **spare), Host(), lambda _event: None
        )
        await machine.destroy()

    asyncio.run(script())
