from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from domicile.base.errors import HostFailure
from domicile.host import tap
from domicile.host.fulfil import Host
from domicile.plan.need import Port, Tap

BRIDGE = f"dom{os.getpid()}"


@pytest.fixture
def bridge() -> Iterator[str]:
    made = subprocess.run(["ip", "link", "add", BRIDGE, "type", "bridge"], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("no bridge can be made here")
    subprocess.run(["ip", "link", "set", BRIDGE, "mtu", "1400", "up"], check=True)
    yield BRIDGE
    subprocess.run(["ip", "link", "del", BRIDGE], check=True)


def test_a_tap_joins_its_bridge_and_goes_with_its_descriptor(bridge: str) -> None:
    opened = tap.open_tap(Tap(token="net0", bridge=bridge, mac="52:54:00:12:34:56"))
    device = Path("/sys/class/net") / opened.name
    assert (device / "address").read_text().strip() == "fe:54:00:12:34:56"
    assert (device / "master").resolve().name == bridge
    assert int((device / "flags").read_text(), 16) & 1
    assert (device / "mtu").read_text().strip() == "1400"
    opened.close()
    assert not device.exists()


def test_names_and_queues(bridge: str) -> None:
    opened = tap.open_tap(
        Tap(token="n", bridge=bridge, mac="52:54:00:12:34:56", name="mytap7", queues=2, link_up=False)
    )
    assert opened.name == "mytap7"
    assert len(opened.fds) == 2
    assert not int(Path("/sys/class/net/mytap7/flags").read_text(), 16) & 1
    opened.close()
    with pytest.raises(HostFailure, match="cannot be the name"):
        tap.open_tap(Tap(token="n", bridge=bridge, mac="52:54:00:12:34:56", name="far-too-long-a-name"))


def test_a_failure_takes_back_what_was_given(bridge: str) -> None:
    host = Host()
    needs = [Port("vnc"), Tap(token="n", bridge=bridge, mac="52:54:00:12:34:56", name="bad/name")]
    with pytest.raises(HostFailure):
        host.fulfil("m", needs)
    assert host.ports.owner(5900) is None


def test_a_missing_bridge_is_named() -> None:
    with pytest.raises(HostFailure, match="no-bridge does not exist"):
        tap.check(Tap(token="n", bridge="no-bridge", mac="52:54:00:12:34:56"))
    with pytest.raises(HostFailure, match="lo is no bridge"):
        tap.check(Tap(token="n", bridge="lo", mac="52:54:00:12:34:56"))
