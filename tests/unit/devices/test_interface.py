"""Interfaces: what completes them, what they may not be, and how each kind reaches QEMU."""

from __future__ import annotations

from typing import Any

import pytest

from domicile.devices.interface import FAMILY
from domicile.plan.need import Helper, OpenDevice, Tap

TYPES = ("rtl8139", "virtio-net-pci")


@pytest.fixture
def pc(bench: Any) -> Any:
    return bench(FAMILY, types=TYPES)


def card(kind: str, inside: str = "", model: str = "virtio") -> str:
    mac = "<mac address='52:54:00:00:00:01'/>"
    return f"<interface type='{kind}'>{mac}{inside}<model type='{model}'/></interface>"


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (card("user", "<portForward proto='tcp'/>"), ("<portForward>", "passt", "user", "vhostuser")),
        (card("user", "<source dev='eth0'/>"), ("dev", "passt")),
        (card("user", "<backend logFile='/x'/>"), ("logFile", "passt")),
        (card("bridge", "<source bridge='b'/><backend type='passt'/>"), ("passt", "bridge")),
        (card("user", "<ip address='10.0.0.1'/><ip address='10.0.0.2'/>"), ("ipv4",)),
        (card("user", "<ip address='10.0.0.1' prefix='28'/>"), ("prefix", "28")),
        (card("user", "<ip address='10.0.0.300'/>"), ("address", "10.0.0.300")),
        (card("user", "<ip address='10.0.0.1' family='ipv6'/>"), ("ipv6",)),
        (card("user", "<route address='10.0.0.0' gateway='10.0.0.1'/>"), ("<route>",)),
        (card("bridge", "<source bridge='b'/><ip address='10.0.0.1'/>"), ("bridge", "<ip>")),
        (card("bridge", "<source bridge='b'><ip address='10.0.0.1'/></source>"), ("bridge", "<ip>")),
        (card("vhostuser", "<source type='unix' path='/s' mode='client'/>", "e1000"), ("vhostuser", "<model>")),
        (card("vhostuser", "<source type='unix' path='/s'/>"), ("vhostuser", "mode")),
        (card("vhostuser", "<source type='unix' mode='client'/>"), ("vhostuser", "path")),
        (card("vhostuser"), ("vhostuser",)),
        (card("vdpa"), ("vdpa", "dev")),
        (card("vdpa", "<source dev='/dev/vhost-vdpa-0'/>", "e1000"), ("vdpa", "e1000")),
        (card("internal", "<source name='x'/>"), ("internal",)),
        (card("null"), ("null",)),
        (card("server"), ("server", "port")),
        (card("udp", "<source address='1.2.3.4' port='1'/>"), ("udp", "<local>")),
        (card("hostdev"), ("hostdev", "<address>")),
        (card("mcast", "<source address='230.0.0.1' port='1'/><mtu size='9000'/>"), ("mcast", "mtu")),
        (card("mcast", "<source address='230.0.0.1' port='1'/><driver queues='4'/>"), ("mcast", "queues")),
        (card("user", "<driver rx_queue_size='300'/>"), ("rx_queue_size", "300")),
        (card("user", "<teaming type='transient'/>"), ("persistent", "transient")),
        (card("user", "<teaming type='persistent'/>", "e1000"), ("persistent",)),
        (card("bridge", "<source bridge='b'/><vlan/>"), ("tag",)),
        (card("bridge", "<source bridge='b'/><vlan><tag id='4096'/></vlan>"), ("4096",)),
        (card("bridge", "<source bridge='b'/><vlan trunk='no'><tag id='1'/><tag id='2'/></vlan>"), ("trunk", "no")),
        (card("user", "<virtualport type='openvswitch'/>"), ("<virtualport>", "user")),
        (card("bridge", "<source bridge='b'/><virtualport type='802.1Qbh'/>"), ("802.1Qbh", "profileid")),
        (
            card("direct", "<source dev='e'/><virtualport type='802.1Qbh'><parameters profileid='x' typeid='1'/></virtualport>"),
            ("802.1Qbh", "typeid"),
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_is_named(pc: Any, given: str, named: tuple[str, ...]) -> None:
    found = pc.problems(given)
    assert found, given
    assert all(word in " ".join(found) for word in named), found


@pytest.mark.parametrize(
    "given",
    [
        card("user"),
        card("vhostuser", "<source type='unix' path='/s' mode='client'><reconnect enabled='no'/></source>"),
        card("bridge", "<source bridge='b'/><vlan><tag id='1'/></vlan><virtualport type='openvswitch'/>"),
        card("ethernet", "<source><ip address='10.0.0.1' prefix='24'/></source><mtu size='9000'/>"),
        card("bridge", "<source bridge='b'/><driver name='vhost' queues='5'/>", "e1000"),
    ],
)
def test_what_can_be_is_accepted(pc: Any, given: str) -> None:
    assert pc.problems(given) == []


def test_passt_needs_a_qemu_that_knows_streams(bench: Any) -> None:
    given = card("user", "<backend type='passt'/>")
    assert "passt" in bench(FAMILY, types=TYPES).problems(given)[0]


def test_a_tap_is_moved_by_the_kernel_where_it_can(bench: Any, pc: Any) -> None:
    from dataclasses import replace

    quick = replace(pc, host=replace(pc.host, vhost_net=True))
    given = card("bridge", "<source bridge='b'/>{}")
    assert "vhostfd" not in pc.props(given.format(""))[0]
    assert pc.props(given.format("<driver name='vhost'/>"))[0]["vhostfd"] == "{fd:net0-vhost}"
    assert quick.props(given.format(""))[0]["vhostfd"] == "{fd:net0-vhost}"
    assert "vhostfd" not in quick.props(given.format("<driver name='qemu'/>"))[0]
    assert quick.props(given.format("<driver queues='2'/>"))[0]["vhostfds"] == "{fds:net0-vhost}"
    tap = next(item for item in quick.planned(given.format("")) if isinstance(item, Tap))
    assert tap.vhost


def test_a_card_without_virtio_keeps_no_virtio_options(pc: Any) -> None:
    kept = pc.kept(card("bridge", "<source bridge='b'/><driver queues='4'/><backend tap='/t' vhost='/v'/>", "e1000"))
    assert "driver" not in kept
    assert "<backend tap='/t'/>" in kept


def test_vdpa_hands_over_the_device(pc: Any) -> None:
    given = "<interface type='vdpa'><mac address='52:54:00:00:00:01'/><source dev='/dev/vhost-vdpa-0'/></interface>"
    assert "<model type='virtio'/>" in pc.kept(given)
    assert next(item for item in pc.planned(given) if isinstance(item, OpenDevice)).path == "/dev/vhost-vdpa-0"


def test_the_words_for_passt(pc: Any) -> None:
    forward = "<portForward proto='tcp'><range start='1' end='9'/><range start='5' exclude='yes'/></portForward>"
    only = "<portForward proto='udp'><range start='5' exclude='yes'/></portForward>"
    given = card("vhostuser", f"<ip address='10.0.0.2' prefix='24'/>{forward}{only}<backend type='passt'/>")
    helper = next(item for item in pc.planned(given) if isinstance(item, Helper))
    text = " ".join(helper.argv)
    assert "--vhost-user" in text
    assert "--address 10.0.0.2 --netmask 255.255.255.0" in text
    assert "--tcp-ports 1-9,~5 --udp-ports all,~5" in text
