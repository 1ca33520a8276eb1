from __future__ import annotations

from typing import Any

from domicile.devices.console import FAMILY, mirrors, number
from domicile.plan.place import WantVirtioSerial


def test_a_console_is_the_serial_port_unless_told_otherwise(bench: Any) -> None:
    pc = bench(FAMILY)
    xml = "<console type='pty' tty='/dev/pts/1'><source path='/dev/pts/1'/></console>"
    assert pc.kept(xml) == "<console type='pty'>\n  <target type='serial'/>\n</console>"
    assert mirrors(pc.completed(xml))
    assert pc.planned(xml) == []


def test_a_virtio_console(bench: Any) -> None:
    pc = bench(FAMILY)
    xml = "<console type='pty'><target type='virtio'/></console>"
    assert pc.props(xml) == [{"driver": "virtconsole", "chardev": "charconsole0", "id": "console0"}]
    assert FAMILY.place(pc.completed(xml), pc.completion()) is None
    begun = "<console type='pty'><target type='virtio'/><address type='virtio-serial'/></console>"
    assert FAMILY.place(pc.completed(begun), pc.completion()) == WantVirtioSerial(console=True)
    placed = begun.replace("serial'/>", "serial' controller='1' bus='0' port='0'/>")
    assert pc.props(placed)[0] | {"bus": "virtio-serial1.0", "nr": 0} == pc.props(placed)[0]


def test_numbers(bench: Any) -> None:
    pc = bench(FAMILY)
    consoles = [pc.completed("<console type='pty'><target type='virtio'/></console>") for _ in range(2)]
    number(consoles, pc.completion())
    assert [console.target.port for console in consoles] == [0, 1]


def test_refusals(bench: Any) -> None:
    pc = bench(FAMILY)
    assert "'xen'" in pc.problems("<console type='pty'><target type='xen'/></console>")[0]
    assert "'sclpconsole'" in pc.problems("<console type='pty'><target type='sclp'/></console>")[0]
    assert "'bogus'" in pc.problems("<console type='pty'><target type='bogus'/></console>")[0]
