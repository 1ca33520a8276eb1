"""Ports of networks over the host's devices and bridges: macvtaps with real guests' traffic, pools, isolation, limits, scripts."""

# ruff: noqa: F811 - fixtures are named like what they give

from __future__ import annotations

import json
import re
import shutil

import pytest
from tests.system.conftest import wait_until
from tests.system.test_networks import Walled, boot, pytestmark, say, walled  # noqa: F401

POOL = (
    "<network><name>pool</name><uuid>11111111-0000-4000-8000-00000000000c</uuid><forward mode='{mode}'>"
    "<interface dev='one0'/><interface dev='two0'/></forward></network>"
)
LIMITED = """<network><name>limited</name><uuid>11111111-0000-4000-8000-00000000000d</uuid><bridge name='dvbr3'/>
<bandwidth><inbound average='1000' peak='5000' burst='1024'/></bandwidth><port isolated='yes'/>
<ip address='192.168.79.1' netmask='255.255.255.0'/>
<portgroup name='slow' default='yes'><bandwidth><inbound average='500' burst='32'/></bandwidth></portgroup></network>"""
#: A machine of no use, that needs no guest: its devices are what counts.
STILL = (
    "<domain type='qemu'><name>{name}</name><memory unit='MiB'>32</memory><os><type machine='q35'>hvm</type></os>"
    "<devices>{devices}</devices></domain>"
)

ROOM = "<controller type='pci' index='0' model='pcie-root'/><controller type='pci' index='9' model='pcie-root-port'/>"


def still(walled: Walled, name: str, devices: str, check: bool = True) -> str:
    """Start a machine paused; return what virsh said."""
    xml = STILL.format(name=name, devices=devices)
    return walled.virsh("create", "--paused", "/dev/stdin", text_in=xml, check=check).stderr


def interfaces(walled: Walled, name: str) -> list[str]:
    """Give the interfaces of a running machine's document."""
    return re.findall(r"<interface.*?</interface>", walled.virsh("dumpxml", name).stdout, re.DOTALL)


def details(walled: Walled, device: str) -> dict:  # type: ignore[type-arg]
    """Say what the kernel knows of a device."""
    (found,) = json.loads(walled.inside("ip", "-j", "-d", "link", "show", device))
    return found  # type: ignore[no-any-return]


@pytest.fixture
def wired(walled: Walled) -> Walled:
    """Two devices of the host that networks may be over; the second ends in the other namespace."""
    walled.inside("ip", "link", "add", "one0", "type", "veth", "peer", "name", "one1")
    walled.inside("ip", "link", "add", "two0", "type", "veth", "peer", "name", "two1")
    for device in ("one0", "one1", "two0", "two1"):
        walled.inside("ip", "link", "set", device, "up")
    return walled


def test_guests_on_one_device_of_the_host_reach_each_other_and_what_is_behind_it(wired: Walled, guest) -> None:
    wired.inside("ip", "addr", "add", "192.168.80.1/24", "dev", "one1")
    wired.net(POOL.format(mode="bridge").replace("<interface dev='two0'/>", ""))
    first = boot(wired, guest, "first", "52:54:00:80:00:01", "pool")
    second = boot(wired, guest, "second", "52:54:00:80:00:02", "pool")
    for console, address in ((first, "192.168.80.11"), (second, "192.168.80.12")):
        say(console, f"ip addr add {address}/24 dev eth0")
    assert "status=0." in say(first, "ping -c 1 -W 5 192.168.80.12"), "macvtaps of mode bridge reach each other"
    assert "status=0." in say(first, "ping -c 1 -W 5 192.168.80.1"), "and the other end of the cable"
    assert re.search(r"macvtap0\s+direct\s+pool\s+virtio", wired.virsh("domiflist", "first").stdout)
    sent = wired.virsh("domifstat", "first", "macvtap0").stdout
    assert int(re.search(r"tx_packets (\d+)", sent)[1]) > 0  # type: ignore[index]
    wired.kill9()
    wired.start()
    assert "status=0." in say(first, "ping -c 1 -W 5 192.168.80.12")
    assert len(wired.virsh("net-port-list", "pool").stdout.split()) == 2
    assert "connections='2'" in wired.virsh("net-dumpxml", "pool").stdout
    wired.virsh("destroy", "first")
    assert {name for name in wired.links() if name.startswith("macvtap")} == {"macvtap1"}
    wired.virsh("destroy", "second")
    assert not [name for name in wired.links() if name.startswith("macvtap")]
    assert wired.virsh("net-port-list", "pool").stdout.split() == []


def test_private_guests_of_one_device_do_not_hear_each_other(wired: Walled, guest) -> None:
    wired.inside("ip", "addr", "add", "192.168.80.1/24", "dev", "one1")
    wired.net(POOL.format(mode="private").replace("<interface dev='two0'/>", ""))
    first = boot(wired, guest, "first", "52:54:00:80:00:01", "pool")
    second = boot(wired, guest, "second", "52:54:00:80:00:02", "pool")
    for console, address in ((first, "192.168.80.11"), (second, "192.168.80.12")):
        say(console, f"ip addr add {address}/24 dev eth0")
    assert "status=0." in say(first, "ping -c 1 -W 5 192.168.80.1")
    assert "status=0." in say(second, "ping -c 1 -W 5 192.168.80.1")
    assert "status=1." in say(first, "ping -c 1 -W 2 192.168.80.12")


def test_a_pool_spreads_machines_over_its_devices(wired: Walled) -> None:
    wired.net(POOL.format(mode="vepa"))
    source = "<interface type='network'><mac address='52:54:00:80:01:0{n}'/><source network='pool'/></interface>"
    still(wired, "two", source.format(n=1) + source.format(n=2))
    one, two = interfaces(wired, "two")
    assert "<interface type='direct'>" in one and "dev='one0' mode='vepa'" in one and "dev='two0'" in two
    assert (details(wired, "macvtap0")["linkinfo"]["info_data"]["mode"]) == "vepa"
    assert wired.virsh("net-dumpxml", "pool").stdout.count("connections='1'") == 2
    inactive = wired.virsh("dumpxml", "--inactive", "two").stdout
    assert "<source network='pool'/>" in inactive and "type='network'" in inactive
    ports = wired.virsh("net-port-list", "pool").stdout.split()
    documents = [wired.virsh("net-port-dumpxml", "pool", port).stdout for port in ports]
    (xml,) = [each for each in documents if "<plug type='direct' dev='one0' mode='vepa'/>" in each]
    assert "<name>two</name>" in xml
    wired.virsh("destroy", "two")
    assert "connections" not in wired.virsh("net-dumpxml", "pool").stdout


def test_a_device_passed_through_has_one_guest_and_gets_its_address_back(wired: Walled) -> None:
    before = details(wired, "one0")["address"]
    wired.net(POOL.format(mode="passthrough"))
    source = "<interface type='network'><mac address='52:54:00:80:01:0{n}'/><source network='pool'/></interface>"
    still(wired, "two", source.format(n=1) + source.format(n=2))
    assert details(wired, "one0")["address"] == "52:54:00:80:01:01"
    assert "requires exclusive access" in still(wired, "third", source.format(n=3), check=False)
    alone = "<interface type='direct'><source dev='one0' mode='passthrough'/></interface>"
    assert "error creating macvtap" in still(wired, "third", alone, check=False)
    wired.virsh("destroy", "two")
    assert details(wired, "one0")["address"] == before
    assert "Unable to get index" in still(wired, "third", alone.replace("one0", "nosuch"), check=False)


def test_an_interface_on_a_device_comes_and_goes_while_the_machine_runs(wired: Walled) -> None:
    wired.net(POOL.format(mode="bridge"))
    still(wired, "plugged", ROOM)
    for source in ("<interface type='network'><mac address='{}'/><source network='pool'/><model type='virtio'/></interface>",
                   "<interface type='direct'><mac address='{}'/><source dev='one0' mode='bridge'/><target dev='mine0'/>"
                   "<model type='virtio'/></interface>"):  # fmt: skip
        mac = "52:54:00:80:02:01"
        wired.virsh("attach-device", "plugged", "/dev/stdin", text_in=source.format(mac))
        (xml,) = interfaces(wired, "plugged")
        name = re.search("<target dev='(.*?)'/>", xml)[1]  # type: ignore[index]
        assert details(wired, name)["address"] == mac
        wired.kill9()
        wired.start()
        assert name in wired.links()
        wired.virsh("destroy", "plugged")
        assert name not in wired.links()
        still(wired, "plugged", ROOM)


def test_what_a_crash_in_a_start_left_is_removed(wired: Walled) -> None:
    found = next(wired.root.rglob("host-id")).read_text().strip()
    wired.kill9()
    for name, mark in (
        ("left0", f"domicile-machine:{found}:11111111-0000-4000-8000-0000000000ff"),
        ("other0", "somebody's"),
    ):
        wired.inside("ip", "link", "add", name, "link", "one0", "type", "macvtap", "mode", "bridge")
        wired.inside("ip", "link", "set", name, "alias", mark)
    wired.start()
    assert "left0" not in wired.links() and "other0" in wired.links()


def test_limits_floors_and_isolation_of_a_networks_ports(walled: Walled) -> None:
    walled.net(LIMITED)
    classes = walled.inside("tc", "class", "show", "dev", "dvbr3")
    assert "htb 1:1 root rate 8Mbit ceil 40Mbit" in classes and "htb 1:2 parent 1:1" in classes
    floor = (
        "<interface type='network'><mac address='52:54:00:80:03:02'/><source network='limited'/>"
        "<bandwidth><inbound average='300' peak='600' floor='200' burst='10'/></bandwidth></interface>"
    )
    plain = "<interface type='network'><mac address='52:54:00:80:03:01'/><source network='limited'/></interface>"
    still(walled, "held", plain + floor)
    first, second = interfaces(walled, "held")
    assert "<inbound average='500' burst='32'/>" in first and "<port isolated='yes'/>" in first
    assert (
        re.search("<source network='limited' portid='[0-9a-f-]{36}' bridge='dvbr3'/>", first)
        and "floor='200'" in second
    )
    assert walled.inside("cat", "/sys/class/net/vnet0/brport/isolated").strip() == "1"
    assert "rate 4Mbit" in walled.inside("tc", "class", "show", "dev", "vnet0")
    assert "htb 1:3 parent 1:1" in walled.inside("tc", "class", "show", "dev", "dvbr3")
    assert "rate 1600Kbit" in walled.inside("tc", "class", "show", "dev", "dvbr3", "classid", "1:3")
    assert "rate 38400Kbit" in walled.inside("tc", "class", "show", "dev", "dvbr3", "classid", "1:2")
    assert "00800302/ffffffff at -12" in walled.inside("tc", "filter", "show", "dev", "dvbr3")
    ports = walled.virsh("net-port-list", "limited").stdout.split()
    assert any("classID='3'" in walled.virsh("net-port-dumpxml", "limited", port).stdout for port in ports)
    over = walled.virsh("domiftune", "held", "52:54:00:80:03:02", "--inbound", "300,600,10,5001", check=False)
    assert "overcommit" in over.stderr
    walled.virsh("domiftune", "held", "52:54:00:80:03:02", "--inbound", "400,800,20")
    assert "1:3" not in walled.inside("tc", "class", "show", "dev", "dvbr3")
    walled.virsh("domiftune", "held", "52:54:00:80:03:02", "--inbound", "400,800,20,100")
    walled.kill9()
    walled.start()
    assert "rate 800Kbit" in walled.inside("tc", "class", "show", "dev", "dvbr3", "classid", "1:3")
    walled.virsh("destroy", "held")
    wait_until("the class to go", lambda: "1:3" not in walled.inside("tc", "class", "show", "dev", "dvbr3"))


def test_clients_make_ports_of_their_own(walled: Walled) -> None:
    walled.net(LIMITED)
    uuid = "11111111-2222-4000-8000-0000000000aa"
    xml = (
        f"<networkport><uuid>{uuid}</uuid><owner><name>foo</name><uuid>11111111-0000-4000-8000-0000000000aa</uuid></owner>"
        "<mac address='52:54:00:aa:00:01'/></networkport>"
    )
    walled.virsh("net-port-create", "limited", "/dev/stdin", text_in=xml)
    assert "exists already" in walled.virsh("net-port-create", "limited", "/dev/stdin", text_in=xml, check=False).stderr
    walled.kill9()
    walled.start()
    assert walled.virsh("net-port-list", "limited").stdout.split() == [uuid]
    shown = walled.virsh("net-port-dumpxml", "limited", uuid).stdout
    assert "<plug type='network' bridge='dvbr3'/>" in shown and "<inbound average='500' burst='32'/>" in shown
    walled.virsh("net-port-delete", "limited", uuid)
    assert "failed to get network port" in walled.virsh("net-port-dumpxml", "limited", uuid, check=False).stderr
    plugged = xml.replace("</networkport>", "<plug type='network' bridge='other'/></networkport>")
    assert "reclaim" in walled.virsh("net-port-create", "limited", "/dev/stdin", text_in=plugged, check=False).stderr


def test_a_running_card_moves_to_another_network(walled: Walled) -> None:
    walled.net(LIMITED)
    walled.net(
        LIMITED.replace("limited", "other").replace("000d<", "000e<").replace("dvbr3", "dvbr4").replace(".79.", ".81.")
    )
    card = "<interface type='network'><mac address='52:54:00:80:04:01'/><source network='{}'/><model type='rtl8139'/></interface>"
    still(walled, "moved", card.format("limited"))
    walled.virsh("update-device", "moved", "/dev/stdin", "--live", text_in=card.format("other"))
    (xml,) = interfaces(walled, "moved")
    assert "network='other'" in xml and "bridge='dvbr4'" in xml
    assert details(walled, "vnet0")["master"] == "dvbr4"
    assert walled.inside("cat", "/sys/class/net/vnet0/brport/isolated").strip() == "1"
    counts = [len(walled.virsh("net-port-list", name).stdout.split()) for name in ("limited", "other")]
    assert counts == [0, 1]
    walled.virsh("domif-setlink", "moved", "vnet0", "down")
    assert "down" in walled.virsh("domif-getlink", "moved", "vnet0").stdout
    walled.virsh("update-device", "moved", "/dev/stdin", "--live", text_in=card.format("other"))
    assert "<link" not in interfaces(walled, "moved")[0]


def test_a_card_of_its_own_runs_scripts_and_gathers_packets(walled: Walled) -> None:
    told = walled.root / "told"
    script = walled.root / "script"
    script.write_text(f'#!/bin/sh\necho "$0 $@" >> {told}\n')
    script.chmod(0o755)
    card = (
        f"<interface type='ethernet'><source><ip address='192.168.82.1' prefix='24'/></source><script path='{script}'/>"
        f"<downscript path='{script}'/><target dev='mine0'/><mtu size='1400'/>"
        "<coalesce><rx><frames max='7'/></rx></coalesce></interface>"
    )
    still(walled, "scripted", card)
    assert told.read_text() == f"{script} mine0\n"
    assert "192.168.82.1/24" in walled.inside("ip", "addr", "show", "mine0")
    assert details(walled, "mine0")["mtu"] == 1400
    walled.kill9()
    walled.start()
    walled.virsh("destroy", "scripted")
    wait_until("the second run of the script", lambda: told.read_text().count("mine0") == 2)
    script.write_text("#!/bin/sh\nexit 3\n")
    assert "ended with status 3" in still(walled, "scripted", card, check=False)
    assert "mine0" not in walled.links()


def test_vlans_and_switches_that_are_not_there_are_refused(walled: Walled) -> None:
    walled.inside("ip", "link", "add", "plain0", "type", "bridge")
    card = "<interface type='bridge'><source bridge='plain0'/>{}</interface>"
    assert "vlan tag not supported" in still(walled, "no", card.format("<vlan><tag id='42'/></vlan>"), check=False)
    if shutil.which("ovs-vsctl") is None:
        refused = still(walled, "no", card.format("<virtualport type='openvswitch'/>"), check=False)
        assert "to OVS bridge plain0" in refused and "not installed" in refused
    still(walled, "yes", card.format("<port isolated='yes'/>"))
    assert walled.inside("cat", "/sys/class/net/vnet0/brport/isolated").strip() == "1"
