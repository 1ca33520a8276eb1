"""Networks, pure: refusals, what dnsmasq and nftables are told, changes of parts, leases."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from domicile.base.errors import InvalidDocument, Unsupported, WrongState
from domicile.networks import dnsmasq, document, firewall, leases, update
from domicile.networks.complete import Surroundings, complete_text
from domicile.networks.model import Network
from domicile.networks.update import Command, Section

IP = "<ip address='192.168.9.1' netmask='255.255.255.0'><dhcp><range start='192.168.9.10' end='192.168.9.20'/></dhcp></ip>"


def network(inside: str = IP, head: str = "<name>n</name>", **around: object) -> Network:
    made, _ = complete_text(f"<network>{head}{inside}</network>", Surroundings(**around))  # type: ignore[arg-type]
    return made


@pytest.mark.parametrize(
    ("inside", "said", "code"),
    [
        ("<ip address='192.168.9.999'/>", "192.168.9.999", 27),
        ("<ip address='192.168.9.1' netmask='255.0.255.0'/>", "255.0.255.0", 1),
        (IP.replace(".10'", ".200'"), "begins after its end", 1),
        (IP.replace("192.168.9.10", "10.0.0.1"), "not entirely within", 1),
        ("<ip address='10.0.0.1' netmask='255.0.0.0' prefix='8'/>", "netmask", 67),
        ("<ip family='ipv6' address='10.0.0.1'/>", "ipv6", 67),
        ("<forward mode='warp'/>", "warp", 67),
        ("<forward mode='bridge'/><bridge name='br0' stp='on'/>", "stp", 27),
        ("<forward mode='bridge'/><bridge name='br0'/>" + IP, "ip", 67),
        ("<portgroup name='a' default='yes'/><portgroup name='b' default='yes'/>", "'b'", 67),
        ("<portgroup name='a'/><portgroup name='a'/>", "'a'", 67),
        ("<dns><host ip='10.0.0.1'/></dns>", "hostname", 35),
        ("<route address='10.1.0.0' prefix='16'/>", "gateway", 27),
        ("<bridge name='taken'/>", "'taken'", 1),
        ("<vlan><tag id='4'/></vlan>", "VLAN", 67),
        ("<domain name='a&#10;dhcp-script=/bin/sh'/>", "a\\ndhcp-script", 27),
        ("<uuid>zzz</uuid>", "zzz", 1),
        (IP.replace("</dhcp>", "<host mac='zz' ip='192.168.9.5'/></dhcp>"), "zz", 27),
    ],
)
def test_what_cannot_be_is_refused_by_name(inside: str, said: str, code: int) -> None:
    with pytest.raises(InvalidDocument) as refused:
        network(inside, bridges={"taken"})
    assert said in refused.value.message
    assert (refused.value.wire_code, refused.value.wire_domain) == (code, 19)


def test_all_problems_come_at_once() -> None:
    with pytest.raises(InvalidDocument) as refused:
        network("<route address='10.1.0.0'/><portgroup name='a'/><portgroup name='a'/>", head="")
    assert len(refused.value.problems) == 3


def test_a_free_bridge_is_found() -> None:
    made = network(bridges={"virbr0"}, taken=lambda name: name == "virbr1")
    assert made.bridge is not None and made.bridge.name == "virbr2"


def told(made: Network) -> list[str]:
    return dnsmasq.texts(made, dnsmasq.Files(Path("/f"), "n")).configuration.splitlines()


def test_an_isolated_network_announces_no_way_out() -> None:
    lines = told(network())
    assert "dhcp-option=3" in lines and "no-resolv" in lines and "interface=virbr0" in lines
    assert "dhcp-range=192.168.9.10,192.168.9.20,255.255.255.0" in lines
    assert "dhcp-option=3" not in told(network("<forward/>" + IP))


def test_names_boot_files_and_own_lines() -> None:
    inside = (
        "<forward/><dns forwardPlainNames='no'><forwarder domain='a.b' addr='1.1.1.1' port='54'/><txt name='t' value='v'/>"
        "<srv service='s' protocol='tcp' domain='d' target='h' port='1' priority='2' weight='3'/>"
        "<host ip='192.168.9.3'><hostname>x</hostname><hostname>y</hostname></host></dns><domain name='e.test' localOnly='yes'/>"
        "<ip address='192.168.9.1' netmask='255.255.255.0' localPtr='yes'><tftp root='/t'/><dhcp><bootp file='f'/>"
        "<host mac='52:54:00:00:00:01' name='n' ip='192.168.9.4'><lease expiry='2' unit='hours'/></host></dhcp></ip>"
    )
    made = network(inside)
    lines = told(made)
    for line in (
        "server=/a.b/1.1.1.1#54", "txt-record=t,v", "srv-host=_s._tcp.d,h,1,2,3", "domain=e.test", "local=/e.test/", "domain-needed",
        "local=/9.168.192.in-addr.arpa/", "enable-tftp", "tftp-root=/t", "dhcp-boot=f", "dhcp-range=192.168.9.1,static",
    ):  # fmt: skip
        assert line in lines, line
    written = dnsmasq.texts(made, dnsmasq.Files(Path("/f"), "n"))
    assert written.hosts == "52:54:00:00:00:01,192.168.9.4,n,7200s\n"
    assert written.names == "192.168.9.3\tx y\n"


def test_a_network_without_addresses_needs_no_name_server() -> None:
    assert not dnsmasq.needed(network(""))
    assert dnsmasq.needed(network())
    assert not dnsmasq.needed(network("<dns enable='no'/><ip address='10.0.0.1' prefix='8'/>"))


def rules(made: Network) -> str:
    return json.dumps(
        [c["add"]["rule"]["expr"] for c in json.loads(firewall.load(made))["nftables"] if "rule" in c.get("add", {})]
    )


def test_rules_follow_the_way_of_forwarding() -> None:
    assert "masquerade" in rules(network("<forward mode='nat'/>" + IP))
    assert '"range": [1024, 65535]' in rules(network("<forward mode='nat'/>" + IP))
    routed = rules(network("<forward mode='route'/>" + IP))
    assert "masquerade" not in routed and "192.168.9.0" in routed
    assert "192.168.9.0" not in rules(network()) and "reject" in rules(network())
    assert rules(network("<forward mode='open'/>" + IP)) == "[]"
    spread = rules(network("<forward mode='nat'><nat><address start='1.2.3.4' end='1.2.3.9'/></nat></forward>" + IP))
    assert "snat" in spread and "1.2.3.9" in spread


def change(made: Network, command: Command, section: Section, xml: str) -> str:
    update.apply(made, command, section, -1, xml)
    return document.write(made)


HOST = "<host mac='52:54:00:00:00:0{}' name='h{}' ip='192.168.9.1{}'/>"


def test_parts_are_added_changed_and_taken_away() -> None:
    made = network()
    assert "h1" in change(made, Command.ADD_LAST, Section.IP_DHCP_HOST, HOST.format(1, 1, 1))
    for again in (HOST.format(1, 2, 2), HOST.format(2, 1, 2), HOST.format(2, 2, 1)):
        with pytest.raises(WrongState, match="already"):
            change(made, Command.ADD_LAST, Section.IP_DHCP_HOST, again)
    assert "h9" in change(made, Command.MODIFY, Section.IP_DHCP_HOST, HOST.format(1, 9, 9))
    with pytest.raises(WrongState, match="none like it"):
        change(made, Command.DELETE, Section.IP_DHCP_HOST, HOST.format(7, 7, 7))
    assert "h9" not in change(made, Command.DELETE, Section.IP_DHCP_HOST, HOST.format(1, 9, 9))
    text = change(made, Command.ADD_FIRST, Section.IP_DHCP_RANGE, "<range start='192.168.9.30' end='192.168.9.40'/>")
    assert text.index("9.30") < text.index("9.10")
    for section, xml in (
        (Section.DNS_HOST, "<host ip='192.168.9.7'><hostname>seven</hostname></host>"),
        (Section.DNS_TXT, "<txt name='t' value='v'/>"), (Section.DNS_SRV, "<srv service='s' protocol='tcp'/>"),
        (Section.PORTGROUP, "<portgroup name='p'/>"),
    ):  # fmt: skip
        before = document.write(made)
        assert change(made, Command.ADD_LAST, section, xml) != before
        change(made, Command.DELETE, section, xml)
    for section in (Section.BRIDGE, Section.DOMAIN, Section.IP, Section.FORWARD, Section.FORWARD_PF):
        with pytest.raises(Unsupported):
            change(made, Command.MODIFY, section, "<x/>")
    with pytest.raises(InvalidDocument):
        change(made, Command.ADD_LAST, Section.IP_DHCP_HOST, "<host mac='x'/>")


def test_an_isolated_network_does_not_become_another_kind() -> None:
    made = network()
    assert "<forward" not in change(made, Command.ADD_LAST, Section.FORWARD_INTERFACE, "<interface dev='eth5'/>")
    assert made.mode == ""


def test_leases_are_read_in_both_families() -> None:
    text = (
        "2000 52:54:00:00:00:01 192.168.9.10 first 01:52:54:00:00:00:01\n1 52:54:00:00:00:02 192.168.9.11 * *\n"
        "0 52:54:00:00:00:03 192.168.9.12 * *\nduid 00:01:00:01:2a\n"
        "2000 7 fd00::5 six 00:01:00:01:2a:2b:2c:2d:52:54:00:00:00:04\nnonsense\n"
    )
    found = leases.parse(text, 1000)
    assert [(one.mac, one.ip, one.hostname, one.version) for one in found] == [
        ("52:54:00:00:00:01", "192.168.9.10", "first", 4), ("52:54:00:00:00:03", "192.168.9.12", "", 4),
        ("52:54:00:00:00:04", "fd00::5", "six", 6),
    ]  # fmt: skip
    assert found[0].client == "01:52:54:00:00:00:01" and found[2].iaid == "7"
    assert leases.read(Path("/nowhere/x.leases")) == []
