"""MyVM's way to a command line, the names of its devices, and its document while it runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from domicile.base.errors import InvalidDocument, InvalidRequest
from domicile.domain import document, live, metadata
from domicile.domain.plan import plan_domain
from domicile.plan.need import File, Port, Tap

Sketch = Callable[..., str]
CASES = Path(__file__).resolve().parents[2] / "golden" / "libvirt-9.0"
MYVM = (CASES / "myvm-adapted" / "in.xml").read_text()


def words(core: Any, xml: str) -> list[tuple[str, str, str]]:
    return [(a.words[0], a.words[-1], a.origin) for a in core.arguments(xml)]


def test_each_argument_of_myvm_says_where_it_came_from(core: Any) -> None:
    found = words(core, MYVM)
    origins = {flag: origin for flag, _, origin in found}
    assert origins["-name"] == "name"
    assert origins["-machine"] == "os/type"
    assert origins["-m"] == "memory"
    assert origins["-smp"] == "vcpu"
    assert origins["-uuid"] == "uuid"
    tree = etree.fromstring(core.completed(MYVM).encode())
    for flag, value, origin in found:
        if flag in ("-device", "-blockdev", "-netdev", "-vnc"):
            assert origin.startswith("devices/"), (flag, value)
            assert tree.xpath(f"/domain/{origin}"), origin


def test_what_myvm_needs_of_the_host(core: Any) -> None:
    needs = core.plan(MYVM).needs
    (disk,) = [need for need in needs if isinstance(need, File)]
    assert (disk.path, disk.writable, disk.origin) == ("/data/image_file.img", True, "devices/disk[1]")
    ports = [need for need in needs if isinstance(need, Port)]
    assert [port.token for port in ports] == ["vnc0"]
    values = " ".join(value for _, value, _ in words(core, MYVM))
    for need in needs:
        if isinstance(need, Tap):
            assert f"{{fd:{need.token}}}" in values
        if isinstance(need, Port):
            assert f":{need.token}}}" in values


def test_planning_changes_nothing(core: Any) -> None:
    domain = core.complete(MYVM).domain
    text = document.write(domain)
    plan_domain(domain, core.caps, core.host(), number=3)
    assert document.write(domain) == text


def test_the_number_is_in_the_machines_own_paths(core: Any, sketch: Sketch) -> None:
    channel = "<channel type='unix'><target type='virtio' name='org.example.0'/></channel>"
    plan = core.plan(sketch(channel, name="n" * 60), number=7)
    assert any(f"7-{'n' * 20}" in repr(item) for item in plan.items)
    assert not any("n" * 21 in repr(item) for item in plan.items if "guest" not in repr(item))


def test_names_of_devices(core: Any, sketch: Sketch) -> None:
    xml = sketch(
        "<disk><source file='/a'/><target dev='vdc' bus='virtio'/></disk>"
        "<disk><source file='/b'/><target dev='sda' bus='sata'/></disk>"
        "<interface type='user'/><interface type='user'><alias name='ua-mine'/></interface><interface type='user'/>"
        "<serial type='pty'/><console type='pty'/><console type='pty'><target type='virtio'/></console>"
        "<channel type='pty'><target type='virtio' name='c'/></channel>"
        "<input type='tablet' bus='usb'/><graphics type='vnc'/>"
    )
    domain = core.plan(xml).domain
    names = {tag: [d.alias.name if d.alias else None for d in getattr(domain.devices, tag)] for tag in (
        "disk", "interface", "serial", "console", "channel", "video", "memballoon",
    )}  # fmt: skip
    assert names == {
        "disk": ["virtio-disk2", "sata0-0-0"],
        "interface": ["net0", "ua-mine", "net1"],
        "serial": ["serial0"],
        "console": ["serial0", "console1"],
        "channel": ["channel0"],
        "video": ["video0"],
        "memballoon": ["balloon0"],
    }


def test_a_name_that_is_taken_is_given_to_no_other(core: Any, sketch: Sketch) -> None:
    xml = sketch("<interface type='user'/><interface type='user'><alias name='net0'/></interface>")
    # A name that does not begin with ua- belongs to Domicile and is given anew.
    assert [d.alias.name for d in core.plan(xml).domain.devices.interface] == ["net0", "net1"]


def test_boot_order_from_kinds_and_from_devices(core: Any, sketch: Sketch) -> None:
    disks = (
        "<disk><source file='/a'/><target dev='vda'/></disk><disk><source file='/b'/><target dev='vdb'/></disk>"
        "<disk device='cdrom'><target dev='sda' bus='sata'/></disk><interface type='user'><model type='virtio'/>{}</interface>"
    )

    def order(xml: str) -> dict[str, int]:
        found = {}
        for flag, value, _ in words(core, xml):
            if flag == "-device" and "bootindex" in (device := json.loads(value)):
                found[device["id"]] = device["bootindex"]
        return found

    kinds = sketch(disks.format("")).replace("</os>", "<boot dev='network'/><boot dev='cdrom'/><boot dev='hd'/></os>")
    assert order(kinds) == {"net0": 1, "sata0-0-0": 2, "virtio-disk0": 3}
    assert order(sketch(disks.format("<boot order='4'/>"))) == {"net0": 4}
    assert order(sketch(disks.format(""))) == {"virtio-disk0": 1}


def test_the_document_while_it_runs(core: Any) -> None:
    host = core.host()
    plan = plan_domain(core.complete(MYVM).domain, core.caps, host, number=5)
    running = live.document(
        plan,
        core.caps,
        host,
        number=5,
        ptys={"charserial0": "/dev/pts/9"},
        ports={"vnc0": 5917},
        taps={"net0": "vnet3"},
    )
    text = document.write(running)
    tree = etree.fromstring(text.encode())
    assert tree.get("id") == "5"
    assert tree.xpath("string(devices/graphics/@port)") == "5917"
    assert tree.xpath("string(devices/serial/source/@path)") == "/dev/pts/9"
    assert tree.xpath("string(devices/console/@tty)") == "/dev/pts/9"
    assert tree.xpath("string(devices/interface/target/@dev)") == "vnet3"
    assert tree.xpath("string(devices/disk[1]/source/@index)") == "2"
    assert all(
        node.find("alias") is not None for node in tree.xpath("devices/interface | devices/disk | devices/controller")
    )
    assert "id=" not in document.write(plan.domain).splitlines()[0]
    assert "5917" not in document.write(plan.domain)


def test_passwords_never_stand_on_the_command_line(core: Any, sketch: Sketch) -> None:
    for kind in ("vnc", "spice"):
        plan = core.plan(sketch(f"<graphics type='{kind}' autoport='yes' passwd='hunter2'/>"))
        from domicile.qemu import render

        assert not any(
            "hunter2" in word for a in render.command_line(plan.items, core.caps.version) for word in a.words
        )
        assert any("hunter2" in str(command.arguments) for command in render.commands(plan.items))
        assert "hunter2" not in repr(render.commands(plan.items))
        assert "hunter2" not in document.write(plan.domain, secrets=False)


NOTES = "urn:example:notes"


def test_metadata_of_several_programs(core: Any, sketch: Sketch) -> None:
    domain = core.complete(sketch()).domain
    assert metadata.get(domain, NOTES) is None
    metadata.put(domain, NOTES, "my", "<note kind='a'><line>1 &lt; 2</line></note>")
    metadata.put(domain, "urn:other", "o", "<x/>")
    assert metadata.get(domain, NOTES) == '<note kind="a">\n  <line>1 &lt; 2</line>\n</note>'
    text = document.write(domain)
    assert 'xmlns:my="urn:example:notes"' in text
    assert "<my:line>1 &lt; 2</my:line>" in text
    again, problems = document.read(text)
    assert not problems
    assert metadata.get(again, NOTES) == metadata.get(domain, NOTES)
    metadata.put(domain, NOTES, "my", "<note/>")
    assert document.write(domain).count("<my:note") == 1
    metadata.put(domain, NOTES, None, None)
    assert metadata.get(domain, NOTES) is None
    assert metadata.get(domain, "urn:other") == "<x/>"
    metadata.put(domain, "urn:other", None, None)
    assert domain.metadata is None


def test_metadata_that_is_refused(core: Any, sketch: Sketch) -> None:
    domain = core.complete(sketch()).domain
    with pytest.raises(InvalidRequest):
        metadata.put(domain, NOTES, None, "<note/>")
    with pytest.raises(InvalidDocument):
        metadata.put(domain, NOTES, "my", "<note>")
    with pytest.raises(InvalidDocument):
        metadata.put(domain, NOTES, "my", "<!DOCTYPE a><note/>")
    with pytest.raises(InvalidRequest):
        metadata.put(domain, NOTES, "not a prefix", "<note/>")
    with pytest.raises(InvalidRequest):
        metadata.put(domain, "", "my", "<note/>")
    assert domain.metadata is None
