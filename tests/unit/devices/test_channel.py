from __future__ import annotations

from typing import Any

import pytest

from domicile.devices.channel import FAMILY
from domicile.plan.need import Directory
from domicile.plan.place import WantVirtioSerial

AGENT = "<target type='virtio' name='org.qemu.guest_agent.0'/>"
PORT = "<address type='virtio-serial' controller='0' bus='0' port='1'/>"


@pytest.mark.parametrize(
    "source",
    [
        "",
        "<source mode='bind'/>",
        "<source path='/var/lib/libvirt/qemu/channel/target/domain-3-x/org.qemu.guest_agent.0'/>",
        "<source path='/run/libvirt/qemu/channel/3-x/org.qemu.guest_agent.0'/>",
        "<source mode='bind' path='/run/domicile/channel/7-vm/org.qemu.guest_agent.0'/>",
    ],
)
def test_a_generated_socket_is_not_part_of_the_definition(bench: Any, words: Any, source: str) -> None:
    pc = bench(FAMILY)
    xml = f"<channel type='unix'>{source}{AGENT}{PORT}</channel>"
    assert pc.kept(xml) == f"<channel type='unix'>\n  {AGENT}\n  {PORT}\n</channel>"
    items = pc.planned(xml)
    directory = f"{pc.host.directories.channels}/1-vm"
    assert items[0] == Directory(directory)
    socket = f"socket,id=charchannel0,path={directory}/org.qemu.guest_agent.0,server=on,wait=off"
    assert words(items, "-chardev") == socket


@pytest.mark.parametrize("name", ["", "a/../../b", ".."])
def test_a_name_that_is_no_file_name_is_not_used_as_one(bench: Any, name: str) -> None:
    named = f" name='{name}'" if name else ""
    items = bench(FAMILY).planned(f"<channel type='unix'><target type='virtio'{named}/>{PORT}</channel>")
    assert dict(items[1].pairs)["path"].endswith("/1-vm/vioser-00-00-01.sock")


def test_a_socket_of_ones_own_is_kept(bench: Any, words: Any) -> None:
    xml = f"<channel type='unix'><source mode='connect' path='/tmp/x'/>{AGENT}{PORT}</channel>"
    assert "<source mode='connect' path='/tmp/x'/>" in bench(FAMILY).kept(xml)
    assert words(bench(FAMILY).planned(xml), "-chardev") == "socket,id=charchannel0,path=/tmp/x"


def test_spice_agent(bench: Any, words: Any) -> None:
    pc = bench(FAMILY)
    xml = f"<channel type='spicevmc'><target type='virtio' state='connected'/>{PORT}</channel>"
    assert "<target type='virtio'/>" in pc.kept(xml)
    assert words(pc.planned(xml), "-chardev") == "spicevmc,id=charchannel0,name=vdagent"
    assert pc.props(xml) == [
        {
            "driver": "virtserialport",
            "bus": "virtio-serial0.0",
            "nr": 1,
            "chardev": "charchannel0",
            "id": "channel0",
            "name": "com.redhat.spice.0",
        }
    ]
    assert FAMILY.place(pc.completed(xml), pc.completion()) == WantVirtioSerial()


def test_guest_forwarding(bench: Any) -> None:
    xml = "<channel type='pty'><target type='guestfwd' address='10.0.2.1' port='80'/></channel>"
    forward = [{"str": "tcp:10.0.2.1:80-chardev:charchannel0"}]
    assert bench(FAMILY).props(xml) == [{"type": "user", "guestfwd": forward, "id": "channel0"}]


@pytest.mark.parametrize(
    ("xml", "culprit"),
    [
        ("<channel type='pty'/>", "<target>"),
        ("<channel type='pty'><target type='bogus'/></channel>", "'bogus'"),
        ("<channel type='pty'><target type='xen' name='x'/></channel>", "'xen'"),
        ("<channel type='pty'><target type='guestfwd' address='10.0.2.1'/></channel>", "'port'"),
        ("<channel type='pty'><target type='guestfwd' address='::1' port='5'/></channel>", "'::1'"),
        ("<channel type='spicevmc'><target type='virtio' name='x'/></channel>", "'x'"),
        (f"<channel type='pty'>{AGENT}<address type='usb' bus='0' port='1'/></channel>", "'usb'"),
    ],
)
def test_refusals(bench: Any, xml: str, culprit: str) -> None:
    assert any(culprit in problem for problem in bench(FAMILY).problems(xml))
