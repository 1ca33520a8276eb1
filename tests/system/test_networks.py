"""Virtual networks with real bridges, rules, name servers and guests, in network namespaces of their own.

walled      a daemon in a namespace that nobody else's bridges and rules are in, with a way out to another one
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.system.conftest import PATIENCE, Console, Daemon, alive, open_directory, run, wait_until

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0
    or any(shutil.which(tool, path="/usr/sbin:/usr/bin:/sbin:/bin") is None for tool in ("ip", "nft", "dnsmasq")),
    reason="networks need root, iproute2, nftables and dnsmasq",
)
NAT = """<network><name>default</name><uuid>11111111-0000-4000-8000-00000000000a</uuid><forward mode='nat'/>
<bridge name='dvbr0'/><domain name='guests.test'/>
<ip address='192.168.77.1' netmask='255.255.255.0'><dhcp><range start='192.168.77.10' end='192.168.77.50'/>
<host mac='52:54:00:77:00:02' name='second' ip='192.168.77.60'/></dhcp></ip></network>"""
ISOLATED = """<network><name>alone</name><uuid>11111111-0000-4000-8000-00000000000b</uuid><bridge name='dvbr1'/>
<ip address='192.168.78.1' netmask='255.255.255.0'><dhcp><range start='192.168.78.10' end='192.168.78.50'/></dhcp></ip></network>"""
OUTSIDE = "203.0.113.2"
# What udhcpc does with an address it was given.
SCRIPT = (
    'printf \'#!/bin/sh\\n[ "$1" = bound ] || exit 0\\nip addr add $ip/$mask dev $interface\\n'
    '[ -n "$router" ] && ip route add default via $router\\n[ -n "$dns" ] && echo nameserver $dns > /etc/resolv.conf\\n\' > /up'
)


@dataclass
class Walled(Daemon):
    """A daemon in a network namespace of its own."""

    space: str = ""

    def __post_init__(self) -> None:
        self.prefix = ("ip", "netns", "exec", self.space)

    def inside(self, *words: str, check: bool = True) -> str:
        """Run a program in the daemon's namespace; return what it printed."""
        return run([*self.prefix, *words], PATIENCE, check).stdout

    def tables(self) -> list[str]:
        """Name the tables of nftables."""
        listed = json.loads(self.inside("nft", "-j", "list", "tables"))["nftables"]
        return [entry["table"]["name"] for entry in listed if "table" in entry]

    def links(self) -> set[str]:
        """Name the network devices."""
        return {link["ifname"] for link in json.loads(self.inside("ip", "-j", "link"))}

    def servers(self) -> list[int]:
        """List the name servers that serve below this daemon's root."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and alive(int(entry.name)):
                try:
                    words = (entry / "cmdline").read_bytes()
                except OSError:
                    continue
                if b"dnsmasq" in words and str(self.root).encode() in words:
                    found.append(int(entry.name))
        return found

    def net(self, xml: str, start: bool = True) -> str:
        """Define a network, start it, return its name."""
        path = self.root / "net.xml"
        path.write_text(xml)
        self.virsh("net-define", str(path))
        name = re.search("<name>(.*?)<", xml)
        assert name is not None
        if start:
            self.virsh("net-start", name[1])
        return name[1]


@pytest.fixture
def walled() -> Iterator[Walled]:
    mine, outside = f"dvt{os.getpid()}", f"dvo{os.getpid()}"
    for name in (mine, outside):
        run(["ip", "netns", "add", name], PATIENCE, True)
        run(["ip", "-n", name, "link", "set", "lo", "up"], PATIENCE, True)
    run(
        ["ip", "-n", mine, "link", "add", "way0", "type", "veth", "peer", "name", "way1", "netns", outside],
        PATIENCE,
        True,
    )
    for space, device, address in ((mine, "way0", "203.0.113.1"), (outside, "way1", OUTSIDE)):
        run(["ip", "-n", space, "addr", "add", f"{address}/24", "dev", device], PATIENCE, True)
        run(["ip", "-n", space, "link", "set", device, "up"], PATIENCE, True)
    run(["ip", "-n", mine, "route", "add", "default", "via", OUTSIDE], PATIENCE, True)
    daemon = Walled(open_directory("dom-"), space=mine)
    try:
        daemon.start()
        yield daemon
    finally:
        servers = daemon.servers()
        daemon.clean_up()
        for pid in servers:
            if alive(pid):
                os.kill(pid, signal.SIGKILL)
        for name in (mine, outside):
            subprocess.run(["ip", "netns", "del", name], check=False)


def boot(walled: Walled, guest, name: str, mac: str, network: str) -> Console:
    """Start a guest with one card, get its shell."""
    walled.define(
        f"<domain type='qemu'><name>{name}</name><memory unit='MiB'>160</memory><os><type machine='q35'>hvm</type>"
        f"<kernel>{guest.kernel}</kernel><initrd>{guest.initrd}</initrd><cmdline>console=ttyS0 quiet</cmdline></os>"
        f"<devices><interface type='network'><mac address='{mac}'/><source network='{network}'/><model type='virtio'/></interface>"
        "<serial type='pty'/></devices></domain>"
    )
    console = walled.start_listening(name)
    console.expect(guest.last_fact, 90)
    console.expect("guest# ")
    say(console, "mkdir -p /etc; " + SCRIPT)
    say(console, "chmod 755 /up; ip link set eth0 up")
    return console


def say(console: Console, command: str, deadline: float = PATIENCE) -> str:
    """Run a command in a guest's shell; return what it printed with its exit status."""
    console.send(command + "; echo st''atus=$?.\n")  # what is typed comes back as an echo and must not look the same
    text = console.expect("status=", deadline) + console.expect(".", deadline)
    console.expect("guest# ", deadline)
    return text


def test_a_network_comes_and_goes_whole(walled: Walled) -> None:
    before = walled.links()
    walled.net(NAT, start=False)
    assert "inactive" in walled.virsh("net-list", "--all").stdout
    walled.virsh("net-start", "default")
    assert re.search(r"Bridge:\s+dvbr0", walled.virsh("net-info", "default").stdout)
    assert walled.links() == before | {"dvbr0"}
    assert "192.168.77.1/24" in walled.inside("ip", "addr", "show", "dvbr0")
    assert walled.tables() == ["domicile_11111111000040008000" + "00000000000a"]
    (server,) = walled.servers()
    assert "Uid:\t0" not in Path(f"/proc/{server}/status").read_text()
    assert walled.virsh("net-start", "default", check=False).returncode == 1
    walled.virsh("net-destroy", "default")
    assert walled.links() == before and walled.tables() == []
    wait_until("the name server to end", lambda: not walled.servers())
    walled.virsh("net-undefine", "default")
    assert walled.virsh("net-list", "--all", "--name").stdout.split() == []


def test_the_command_line_makes_the_usual_network_on_a_free_range(walled: Walled) -> None:
    walled.inside("ip", "addr", "add", "192.168.122.9/24", "dev", "way0")
    assert walled.cli("network", "list").returncode == 0
    walled.cli("network", "default")
    assert "192.168.123.1/24" in walled.inside("ip", "addr", "show", "virbr0")
    (found,) = json.loads(walled.cli("--json", "network", "list").stdout)
    assert (found["name"], found["state"], found["autostart"], found["bridge"]) == (
        "default",
        "running",
        True,
        "virbr0",
    )
    assert "192.168.123.254" in walled.cli("network", "xml", "default").stdout
    assert json.loads(walled.cli("--json", "network", "leases", "default").stdout) == []
    walled.cli("network", "stop", "default")
    assert "virbr0" not in walled.links()
    assert json.loads(walled.cli("--json", "network", "info", "default").stdout)["state"] == "off"
    walled.cli("network", "undefine", "default")
    assert walled.cli("network", "start", "default", check=False).returncode == 1


def test_what_stands_in_the_way_leaves_nothing_half_made(walled: Walled) -> None:
    before = walled.links()
    walled.net(NAT.replace("192.168.77.", "203.0.113."), start=False)
    refused = walled.virsh("net-start", "default", check=False)
    assert "already in use by interface way0" in refused.stderr
    walled.virsh("net-undefine", "default")
    walled.net(NAT.replace("dvbr0", "way0"), start=False)
    assert "already in use" in walled.virsh("net-start", "default", check=False).stderr
    assert walled.links() == before and walled.tables() == [] and walled.servers() == []


def test_a_crash_of_the_daemon_changes_nothing_for_a_network(walled: Walled) -> None:
    walled.net(NAT)
    walled.virsh("net-create", "/dev/stdin", text_in=ISOLATED)
    servers = walled.servers()
    walled.kill9()
    assert {"dvbr0", "dvbr1"} <= walled.links()
    walled.start()
    assert sorted(walled.virsh("net-list", "--name").stdout.split()) == ["alone", "default"]
    assert sorted(walled.servers()) == sorted(servers)
    walled.kill9()
    for pid in servers:
        os.kill(pid, signal.SIGKILL)
    walled.inside("nft", "flush", "ruleset")
    walled.start()
    assert len(walled.servers()) == 2 and len(walled.tables()) == 2
    walled.kill9()
    walled.inside("ip", "link", "del", "dvbr0")
    walled.start()
    assert walled.virsh("net-list", "--name").stdout.split() == ["alone"]
    assert len(walled.servers()) == 1 and len(walled.tables()) == 1
    walled.virsh("net-destroy", "alone")
    assert walled.virsh("net-list", "--all", "--name").stdout.split() == ["default"]


HALF_MADE = """
import asyncio, os, sys
from pathlib import Path
from domicile.networks import driver
from domicile.service.networks import Networks
from domicile.service.store_work import StoreWork
from domicile.store.store import Store
from domicile.store.values import Author
from domicile.schema import tree

async def main():
    work = StoreWork()
    networks = Networks(Store.open(f"sqlite:///{sys.argv[1]}/lib/domicile.db"), work.run, Path(sys.argv[1]) / "lib/network")
    found = await networks.define(sys.argv[2], Author("t", "t", "t"))
    await networks.all.intend(found, found.definition, {"starting": True})
    if sys.argv[3] == "bridge":
        driver.load_rules = lambda commands: os._exit(9)
    await asyncio.to_thread(driver.start, tree.copy(found.definition), networks._files(found))
    os._exit(9)

asyncio.run(main())
"""


@pytest.mark.parametrize("point", ["bridge", "whole"])
def test_what_a_crash_left_half_made_is_cleared_up(walled: Walled, point: str) -> None:
    walled.stop()
    before = walled.links()
    words = [*walled.prefix, sys.executable, "-c", HALF_MADE, str(walled.root), NAT, point]
    assert subprocess.run(words, check=False, timeout=PATIENCE).returncode == 9
    assert "dvbr0" in walled.links()
    walled.start()
    assert walled.links() == before and walled.tables() == []
    wait_until("the name server to end", lambda: not walled.servers())
    assert "inactive" in walled.virsh("net-list", "--all").stdout
    walled.virsh("net-start", "default")
    assert "dvbr0" in walled.links()


def test_guests_get_addresses_names_and_a_way_out(walled: Walled, guest) -> None:
    walled.net(NAT)
    first = boot(walled, guest, "first", "52:54:00:77:00:01", "default")
    second = boot(walled, guest, "second", "52:54:00:77:00:02", "default")
    for console, name in ((first, "first"), (second, "second")):
        assert "status=0." in say(console, f"udhcpc -i eth0 -n -q -t 10 -x hostname:{name} -s /up")
    leases = walled.virsh("net-dhcp-leases", "default").stdout
    assert "192.168.77.60/24" in leases and "52:54:00:77:00:01" in leases
    assert "192.168.77.60/24" in walled.virsh("domifaddr", "second").stdout
    assert "status=0." in say(first, "ping -c 1 -W 5 192.168.77.1")
    assert "192.168.77.60" in say(first, "nslookup second.guests.test")
    assert "status=0." in say(first, "ping -c 1 -W 5 192.168.77.60")
    # The other side knows no way back to 192.168.77.0/24: an answer proves the translation.
    assert "status=0." in say(first, f"ping -c 1 -W 5 {OUTSIDE}")
    assert "network" in walled.virsh("domiflist", "first").stdout
    walled.virsh("destroy", "first")
    assert len([name for name in walled.links() if name.startswith("vnet")]) == 1


def test_isolated_guests_reach_each_other_and_nothing_else(walled: Walled, guest) -> None:
    walled.net(ISOLATED)
    first = boot(walled, guest, "first", "52:54:00:77:00:01", "alone")
    second = boot(walled, guest, "second", "52:54:00:77:00:02", "alone")
    for console in (first, second):
        assert "status=0." in say(console, "udhcpc -i eth0 -n -q -t 10 -s /up")
    address = re.search(r"inet (192\.168\.78\.\d+)", say(second, "ip -4 addr show eth0"))
    assert address is not None
    assert "status=0." in say(first, f"ping -c 1 -W 5 {address[1]}")
    say(first, "ip route add default via 192.168.78.1")
    assert "status=1." in say(first, f"ping -c 1 -W 3 {OUTSIDE}")
    # Not even where the host forwards for others, and the other side knows the way back.
    walled.inside("sysctl", "-qw", "net.ipv4.ip_forward=1")
    run(["ip", "-n", f"dvo{os.getpid()}", "route", "add", "192.168.78.0/24", "via", "203.0.113.1"], PATIENCE, True)
    assert "status=1." in say(first, f"ping -c 1 -W 3 {OUTSIDE}")
    walled.inside("nft", "flush", "ruleset")
    assert "status=0." in say(first, f"ping -c 1 -W 5 {OUTSIDE}"), (
        "without our rules it would be reached: they made the difference"
    )
