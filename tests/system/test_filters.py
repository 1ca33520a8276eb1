"""Network filters with real packets: between network namespaces on a bridge, and from a real guest.

lan     a daemon in a namespace of its own, with a bridge; two more namespaces are its ports `fa` and `fb`
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.system.conftest import PATIENCE, run, wait_until
from tests.system.test_networks import NAT, SCRIPT, Walled, pytestmark, say, walled  # noqa: F401

MACS = {"fa": "02:00:00:00:0f:0a", "fb": "02:00:00:00:0f:0b"}
ADDRESSES = {"fa": "10.77.0.1", "fb": "10.77.0.2"}
HOST = "10.77.0.254"
SERVE = """
import socket, sys
listening = socket.create_server(("", int(sys.argv[1])), reuse_port=True)
print("ready", flush=True)
while True:
    taken, _ = listening.accept()
    taken.sendall(b"hello")
    taken.close()
"""
CONNECT = """
import socket, sys
made = socket.socket()
made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
made.settimeout(1.5)
made.bind(("", int(sys.argv[3])))
try:
    made.connect((sys.argv[1], int(sys.argv[2])))
    print(made.recv(9).decode())
except ConnectionRefusedError:
    print("refused")
except TimeoutError:
    print("nothing")
"""
SEND = """
import socket, sys
sending = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
sending.bind(("e0", 0))
sending.send(bytes.fromhex(sys.argv[1]))
"""
SEEN = """
import socket, sys
seeing = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
seeing.bind(("e0", 3))
seeing.settimeout(float(sys.argv[2]))
print("ready", flush=True)
wanted = bytes.fromhex(sys.argv[1])[:42]
try:
    while seeing.recv(2000)[: len(wanted)] != wanted:
        pass
    print("seen")
except TimeoutError:
    print("nothing")
"""


@dataclass
class Lan:
    walled: Walled
    spaces: dict[str, str]

    def inside(self, port: str, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return run(["ip", "netns", "exec", self.spaces[port], *words], PATIENCE, check)

    def pings(self, port: str, target: str, *options: str) -> bool:
        return self.inside(port, "ping", "-c1", "-W1", *options, target, check=False).returncode == 0

    def serve(self, port: str, number: int) -> None:
        words = ["ip", "netns", "exec", self.spaces[port], sys.executable, "-c", SERVE, str(number)]
        started = subprocess.Popen(words, stdout=subprocess.PIPE)
        assert started.stdout is not None and started.stdout.readline() == b"ready\n"
        SERVING.append(started)

    def connects(self, port: str, target: str, number: int, source: int = 0) -> str:
        words = (sys.executable, "-c", CONNECT, target, str(number), str(source))
        return self.inside(port, *words).stdout.strip()

    def passes(self, sender: str, receiver: str, frame: str) -> bool:
        """Send a frame from one port, and say whether it comes to the other."""
        words = ["ip", "netns", "exec", self.spaces[receiver], sys.executable, "-c", SEEN, frame, "1"]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as seeing:
            assert seeing.stdout is not None and seeing.stdout.readline() == "ready\n"
            self.inside(sender, sys.executable, "-c", SEND, frame)
            return seeing.stdout.readline() == "seen\n"

    def define(self, xml: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.walled.virsh("nwfilter-define", "/dev/stdin", text_in=xml, check=check)

    def bind(self, port: str, name: str, check: bool = True, **parameters: str) -> subprocess.CompletedProcess[str]:
        rows = "".join(f"<parameter name='{n}' value='{v}'/>" for n, vs in parameters.items() for v in vs.split())
        xml = (
            "<filterbinding><owner><name>x</name><uuid>aaaaaaaa-0000-4000-8000-000000000001</uuid></owner>"
            f"<portdev name='{port}'/><mac address='{MACS[port]}'/><filterref filter='{name}'>{rows}</filterref></filterbinding>"
        )
        return self.walled.virsh("nwfilter-binding-create", "/dev/stdin", text_in=xml, check=check)

    def unbind(self, port: str) -> None:
        self.walled.virsh("nwfilter-binding-delete", port)


SERVING: list[subprocess.Popen[bytes]] = []


@pytest.fixture
def lan(walled: Walled) -> Iterator[Lan]:  # noqa: F811
    spaces = {port: f"dv{port}{os.getpid()}" for port in MACS}
    walled.inside("ip", "link", "add", "fbr0", "type", "bridge", "forward_delay", "0")
    walled.inside("ip", "link", "set", "fbr0", "up")
    walled.inside("ip", "addr", "add", f"{HOST}/24", "dev", "fbr0")
    for port, space in spaces.items():
        run(["ip", "netns", "add", space], PATIENCE, True)
        walled.inside(
            "ip", "link", "add", port, "type", "veth", "peer", "name", "e0", "address", MACS[port], "netns", space
        )
        walled.inside("ip", "link", "set", port, "master", "fbr0", "up")
        for words in ("link set lo up", "link set e0 up", f"addr add {ADDRESSES[port]}/24 dev e0"):
            run(["ip", "-n", space, *words.split()], PATIENCE, True)
    try:
        yield Lan(walled, spaces)
    finally:
        while SERVING:
            process = SERVING.pop()
            process.kill()
            process.communicate()
        for space in spaces.values():
            subprocess.run(["ip", "netns", "del", space], check=False)


def test_clean_traffic_lets_nobody_be_another(lan: Lan) -> None:
    assert lan.pings("fa", ADDRESSES["fb"]) and lan.pings("fa", HOST)
    lan.inside("fa", "ip", "addr", "add", "10.77.0.9/24", "dev", "e0")
    assert lan.pings("fa", ADDRESSES["fb"], "-I", "10.77.0.9"), "without a filter anybody may be anybody"
    lan.bind("fa", "clean-traffic", IP=ADDRESSES["fa"])
    assert lan.pings("fa", ADDRESSES["fb"]) and lan.pings("fa", HOST) and lan.pings("fb", ADDRESSES["fa"])
    assert not lan.pings("fa", ADDRESSES["fb"], "-I", "10.77.0.9")
    mine, other, broadcast = (text.replace(":", "") for text in (MACS["fa"], "020000000f99", "ff" * 6))

    def arp(link: str, says: str, address: str, target: str = "0a4d0002") -> str:
        return f"{broadcast}{link}08060001080006040001{says}{address}{'00' * 6}{target}".ljust(120, "0")

    assert lan.passes("fa", "fb", arp(mine, mine, "0a4d0001"))
    assert not lan.passes("fa", "fb", arp(mine, mine, "0a4d0009")), "another's address in ARP"
    assert not lan.passes("fa", "fb", arp(mine, other, "0a4d0001")), "another's MAC address in ARP"
    assert not lan.passes("fa", "fb", arp(other, mine, "0a4d0001")), "another's MAC address on the link"
    assert not lan.passes("fa", "fb", f"{broadcast}{mine}88b5".ljust(120, "0")), "another protocol"
    announced = f"{broadcast}{mine}80350001080006040003{mine}00000000{mine}00000000".ljust(120, "0")
    assert lan.passes("fa", "fb", announced), "QEMU tells so that it moved"
    assert not lan.passes("fa", "fb", announced.replace(f"0003{mine}", f"0003{other}"))
    lan.walled.virsh("nwfilter-binding-dumpxml", "fa")
    lan.unbind("fa")
    assert lan.passes("fa", "fb", arp(other, other, "0a4d0009"))
    assert not [name for name in lan.walled.tables() if "filters" in name]


RULES = """<filter name='rules'>
  <rule action='accept' direction='in' priority='100'><tcp dstportstart='22' dstportend='23'/></rule>
  <rule action='accept' direction='out' priority='100'><tcp dstportstart='80'/></rule>
  <rule action='accept' direction='out' priority='100' statematch='false'><tcp dstportstart='81'/></rule>
  <rule action='reject' direction='in' priority='100'><tcp dstportstart='99'/></rule>
  <rule action='reject' direction='out' priority='100'><tcp dstportstart='99'/></rule>
  <rule action='accept' direction='out' priority='100'><icmp type='8'/></rule>
  <rule action='accept' direction='in' priority='100'><icmp type='0'/></rule>
  <rule action='accept' direction='inout' priority='200'><udp srcipaddr='$PEERS' dstportstart='$PORTS[@1]'/></rule>
  <rule action='drop' direction='inout' priority='1000'><all/></rule>
</filter>"""


def test_rules_on_ip_know_connections(lan: Lan) -> None:
    lan.define(RULES)
    lan.bind("fa", "rules", PEERS="10.77.0.2 10.77.0.254", PORTS="53")
    for port in ("fa", "fb"):
        for number in (22, 24, 80, 81, 99):
            lan.serve(port, number)
    one, other = ADDRESSES["fa"], ADDRESSES["fb"]
    assert lan.connects("fb", one, 22) == "hello"
    assert lan.connects("fb", one, 24) == "nothing"
    assert lan.connects("fa", other, 80) == "hello"
    assert lan.connects("fa", other, 22) == "nothing"
    # From the port where answers come from, and yet no answer: it begins a connection.
    assert lan.connects("fa", other, 24, 22) == "nothing"
    assert lan.connects("fb", one, 24, 80) == "nothing"
    # Where states don't count, what looks like an answer passes.
    assert lan.connects("fa", other, 81) == "hello"
    assert lan.connects("fa", other, 99) == "refused" and lan.connects("fb", one, 99) == "refused"
    assert lan.pings("fa", other) and lan.pings("fa", HOST)
    assert not lan.pings("fb", one)
    # Rules hold for what the host itself sends and gets, too.
    host = [*lan.walled.prefix, sys.executable, "-c", CONNECT, one]
    assert run([*host, "22", "0"], PATIENCE, True).stdout.strip() == "hello"
    assert run([*host, "24", "0"], PATIENCE, True).stdout.strip() == "nothing"
    assert lan.passes("fb", "fa", udp("fb", "fa", 53)) and not lan.passes("fb", "fa", udp("fb", "fa", 54))
    lan.unbind("fa")
    assert lan.connects("fb", one, 24) == "hello"
    assert not [name for name in lan.walled.tables() if "filters" in name]


def udp(sender: str, receiver: str, port: int) -> str:
    """Make the frame of a UDP datagram."""
    packed = ["".join(f"{int(part):02x}" for part in ADDRESSES[end].split(".")) for end in (sender, receiver)]
    words = [0x4500, 32, 0, 0, 0x4011, 0, *(int(half, 16) for p in packed for half in (p[:4], p[4:]))]
    total = sum(words)
    words[5] = 0xFFFF - (total % 0xFFFF or 0xFFFF)
    head = "".join(f"{word:04x}" for word in words)
    macs = "".join(MACS[end].replace(":", "") for end in (receiver, sender))
    return f"{macs}0800{head}{1234:04x}{port:04x}000c000001020304".ljust(120, "0")


def test_a_filter_in_use_changes_for_all_or_not_at_all(lan: Lan) -> None:
    walled = lan.walled  # noqa: F811
    lan.define("<filter name='inner'><rule action='drop' direction='in'><icmp/></rule></filter>")
    lan.define("<filter name='outer'><filterref filter='inner'/></filter>")
    for port in MACS:
        lan.bind(port, "outer")
    assert not lan.pings("fa", ADDRESSES["fb"])
    assert "nwfilter is in use" in walled.virsh("nwfilter-undefine", "inner", check=False).stderr
    document = walled.virsh("nwfilter-dumpxml", "inner").stdout
    broken = document.replace("<icmp/>", "<icmp srcipaddr='$NOBODY'/>").replace("'drop'", "'accept'")
    refused = lan.define(broken, check=False)
    assert refused.returncode and "NOBODY" in refused.stderr
    unknown = document.replace("</filter>", "<filterref filter='nowhere'/></filter>")
    assert "nowhere" in lan.define(unknown, check=False).stderr
    loop = document.replace("</filter>", "<filterref filter='outer'/></filter>")
    assert "loop" in lan.define(loop, check=False).stderr
    assert walled.virsh("nwfilter-dumpxml", "inner").stdout == document
    assert not lan.pings("fa", ADDRESSES["fb"])
    lan.define(document.replace("'drop'", "'accept'"))
    assert lan.pings("fa", ADDRESSES["fb"])
    lan.define(document)
    assert not lan.pings("fb", ADDRESSES["fa"])
    for port in MACS:
        lan.unbind(port)
    assert lan.pings("fa", ADDRESSES["fb"])
    walled.virsh("nwfilter-undefine", "inner")
    assert "inner" in lan.bind("fa", "outer", check=False).stderr
    assert walled.virsh("nwfilter-binding-list", "--name", check=False).stdout.strip() in (
        "",
        walled.virsh("nwfilter-binding-list").stdout.strip(),
    )
    assert lan.pings("fa", ADDRESSES["fb"])


def test_the_next_daemon_finds_filters_as_they_stood(lan: Lan) -> None:
    walled = lan.walled  # noqa: F811
    lan.inside("fa", "ip", "addr", "add", "10.77.0.9/24", "dev", "e0")
    lan.bind("fa", "clean-traffic", IP=ADDRESSES["fa"])
    walled.kill9()
    assert not lan.pings("fa", ADDRESSES["fb"], "-I", "10.77.0.9"), "rules stand while no daemon is there"
    walled.inside("nft", "flush", "ruleset")
    walled.start()
    assert "clean-traffic" in walled.virsh("nwfilter-binding-list").stdout
    assert not lan.pings("fa", ADDRESSES["fb"], "-I", "10.77.0.9") and lan.pings("fa", ADDRESSES["fb"])
    lan.unbind("fa")
    assert lan.pings("fa", ADDRESSES["fb"], "-I", "10.77.0.9")
    walled.restart()
    assert "clean-traffic" not in walled.virsh("nwfilter-binding-list").stdout
    assert "clean-traffic" in walled.virsh("nwfilter-list").stdout


def test_an_address_is_learnt_from_the_first_packet(lan: Lan) -> None:
    lan.inside("fa", "ip", "addr", "add", "10.77.0.9/24", "dev", "e0")
    time.sleep(0.3)
    lan.bind("fa", "clean-traffic")
    assert lan.inside("fa", "ping", "-c3", "-W1", "-i0.3", ADDRESSES["fb"]).returncode == 0
    wait_until("the address to be known", lambda: not lan.pings("fa", ADDRESSES["fb"], "-I", "10.77.0.9"), 5)
    assert lan.pings("fa", ADDRESSES["fb"])
    lan.unbind("fa")
    refused = lan.bind("fa", "clean-traffic", check=False, CTRL_IP_LEARNING="none")
    assert "IP" in refused.stderr and lan.pings("fa", ADDRESSES["fb"], "-I", "10.77.0.9")
    assert "neither" in lan.bind("fa", "clean-traffic", check=False, CTRL_IP_LEARNING="neither").stderr


DOMAIN = """<domain type='qemu'><name>{name}</name><uuid>aaaaaaaa-0000-4000-8000-00000000000f</uuid><memory unit='MiB'>160</memory><os><type machine='pc'>hvm</type>
<kernel>{kernel}</kernel><initrd>{initrd}</initrd><cmdline>console=ttyS0 quiet</cmdline></os><features><acpi/></features><devices>
<interface type='network'><mac address='52:54:00:77:00:02'/><source network='default'/><model type='virtio'/>
<filterref filter='{filter}'><parameter name='CTRL_IP_LEARNING' value='dhcp'/></filterref></interface>
<serial type='pty'/></devices></domain>"""


def test_a_guest_behind_a_filter(walled: Walled, guest) -> None:  # noqa: F811
    walled.net(NAT)
    text = DOMAIN.format(name="first", kernel=guest.kernel, initrd=guest.initrd, filter="nowhere")
    walled.define(text)
    refused = walled.virsh("start", "first", check=False)
    assert refused.returncode and "nowhere" in refused.stderr
    assert not [name for name in walled.links() if name.startswith("vnet")]
    walled.define(text.replace("nowhere", "clean-traffic"))
    console = walled.start_listening("first")
    console.expect(guest.last_fact, 90)
    console.expect("guest# ")
    say(console, "mkdir -p /etc; " + SCRIPT)
    say(console, "chmod 755 /up; ip link set eth0 up; ip addr add 192.168.77.99/24 dev eth0")
    assert "status=1." in say(console, "ping -c 1 -W 2 192.168.77.1"), "only DHCP passes until an address is lent"
    assert "status=0." in say(console, "udhcpc -i eth0 -n -q -t 10 -s /up")
    ping = "ping -c 1 -W 2 -I 192.168.77.60 192.168.77.1"
    wait_until("the address to be known", lambda: "status=0." in say(console, ping), 20)
    assert "status=1." in say(console, "ping -c 1 -W 2 -I 192.168.77.99 192.168.77.1")
    walled.kill9()
    walled.start()
    console = walled.console("first")
    assert "status=1." in say(console, "ping -c 1 -W 2 -I 192.168.77.99 192.168.77.1")
    assert "clean-traffic" in walled.virsh("nwfilter-binding-list").stdout
    interface = (
        "<interface type='network'><mac address='52:54:00:77:00:02'/><source network='default'/><model type='virtio'/>"
        "{}</interface>"
    )
    for part, passes in (
        ("", "0"),
        ("<filterref filter='no-ip-multicast'/>", "0"),
        ("<filterref filter='no-other-l2-traffic'/>", "1"),
    ):
        walled.virsh("update-device", "first", "/dev/stdin", "--live", text_in=interface.format(part))
        assert f"status={passes}." in say(console, "ping -c 1 -W 2 -I 192.168.77.99 192.168.77.1"), part
    refused = walled.virsh(
        "update-device",
        "first",
        "/dev/stdin",
        "--live",
        text_in=interface.format("<filterref filter='nowhere'/>"),
        check=False,
    )
    assert refused.returncode and "status=1." in say(console, "ping -c 1 -W 2 -I 192.168.77.99 192.168.77.1")
    assert "no-other-l2-traffic" in walled.virsh("dumpxml", "first").stdout
    second = interface.format("<filterref filter='allow-ipv4'/>").replace("77:00:02", "77:00:03")
    walled.virsh("attach-device", "first", "/dev/stdin", "--live", text_in=second)
    assert walled.virsh("nwfilter-binding-list").stdout.count("vnet") == 2
    walled.virsh("detach-device", "first", "/dev/stdin", "--live", text_in=second)
    wait_until("the card to go", lambda: walled.virsh("nwfilter-binding-list").stdout.count("vnet") == 1)
    walled.virsh("destroy", "first")
    wait_until("the rules to go", lambda: not [name for name in walled.tables() if "filters" in name])
    assert "vnet" not in walled.virsh("nwfilter-binding-list").stdout
    assert json.loads(walled.inside("nft", "-j", "list", "tables"))
    assert not Path(walled.root / "run" / "filters").exists()
