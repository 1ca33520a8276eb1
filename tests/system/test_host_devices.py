"""The host's devices and interfaces as virsh shows them, beside a libvirtd's."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from tests.system.conftest import Daemon


def test_all_devices_are_shown_with_their_parents(shared_daemon: Daemon) -> None:
    listed = shared_daemon.virsh("nodedev-list").stdout.split()
    assert "computer" in listed
    there = [path.name for path in Path("/sys/bus/pci/devices").glob("*")]
    assert {"pci_" + re.sub("[:.]", "_", name) for name in there} <= set(listed)
    tree = shared_daemon.virsh("nodedev-list", "--tree").stdout
    assert tree.startswith("computer") and all(name in tree for name in listed)
    for name in listed:
        document = shared_daemon.virsh("nodedev-dumpxml", name).stdout
        assert f"<name>{name}</name>" in document
        parent = re.search("<parent>(.*)</parent>", document)
        assert name == "computer" or (parent is not None and parent[1] in listed)
    for kind in ("system", "pci", "net", "storage", "usb_device"):
        for name in shared_daemon.virsh("nodedev-list", "--cap", kind).stdout.split():
            assert f"<capability type='{kind}'>" in shared_daemon.virsh("nodedev-dumpxml", name).stdout
    assert shared_daemon.virsh("nodedev-list", "--inactive").stdout.split() == []
    assert re.search(r"Active:\s+yes", shared_daemon.virsh("nodedev-info", "computer").stdout)


def test_what_is_not_there_or_cannot_be_is_refused_in_words(shared_daemon: Daemon) -> None:
    def refused(*words: str) -> str:
        done = shared_daemon.virsh(*words, check=False)
        assert done.returncode
        return done.stderr

    assert "no node device with matching name 'nope'" in refused("nodedev-dumpxml", "nope")
    assert "computer" in refused("nodedev-reset", "computer")
    assert refused("nodedev-detach", "computer") and refused("nodedev-destroy", "computer")
    document = "<device><parent>computer</parent><capability type='mdev'><type id='x'/></capability></device>"
    done = shared_daemon.virsh("nodedev-create", "/dev/stdin", text_in=document, check=False)
    assert done.returncode and "not possible" in done.stderr
    assert "nope" in refused("iface-dumpxml", "nope") and refused("iface-start", "lo")
    done = shared_daemon.virsh_readonly("nodedev-reset", "computer", check=False)
    assert done.returncode and "read" in done.stderr


def test_interfaces_are_shown(shared_daemon: Daemon) -> None:
    listed = shared_daemon.virsh("iface-list", "--all").stdout
    assert re.search(r"^ *lo +", listed, re.MULTILINE)
    assert shared_daemon.virsh("iface-mac", "lo").stdout.strip() == "00:00:00:00:00:00"
    assert shared_daemon.virsh("iface-name", "00:00:00:00:00:00").stdout.strip() == "lo"
    assert "<interface type='ethernet' name='lo'>" in shared_daemon.virsh("iface-dumpxml", "lo").stdout
    active = {line.split()[0] for line in shared_daemon.virsh("iface-list").stdout.splitlines()}
    assert active == {line.split()[0] for line in listed.splitlines() if " active " in line}


def test_documents_are_libvirts(shared_daemon: Daemon, libvirtd) -> None:
    def said(server, *words: str) -> str:
        # That libvirtd is in a network namespace of its own: it sees devices, but cannot ask them what they can.
        return re.sub("^ *<feature name='.*'/>\n", "", server.virsh(*words).stdout, flags=re.MULTILINE)

    listed = said(libvirtd, "nodedev-list").split()
    if not listed:
        pytest.skip("this libvirtd shows no devices of the host")
    differing = [
        name
        for name in listed
        if said(shared_daemon, "nodedev-dumpxml", name) != said(libvirtd, "nodedev-dumpxml", name)
    ]
    assert differing == []
    assert set(said(shared_daemon, "nodedev-list").split()) == set(listed)
    names = [line.split()[0] for line in said(libvirtd, "iface-list", "--all").splitlines() if line.strip()]
    assert [
        name for name in names if said(shared_daemon, "iface-dumpxml", name) != said(libvirtd, "iface-dumpxml", name)
    ] == []


def test_bridges_and_their_ports(shared_daemon: Daemon, tmp_path: Path) -> None:
    script = (
        "mount -t sysfs none /sys; ip link add hdbr0 type bridge; ip link add hda type veth peer name hdb; "
        'ip link set hda master hdbr0; ip link set hdbr0 up; exec "$@"'
    )
    words = ["unshare", "--net", "--mount", "sh", "-c", script, "sh", *PRINT]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=30)
    if "mount" in done.stderr or "not permitted" in done.stderr:
        pytest.skip(f"no namespaces here: {done.stderr.strip()}")
    names, bridge, empty = done.stdout.split("=\n")
    assert names.split() == ["hdb", "hdbr0", "lo"]
    assert bridge.startswith(
        "<interface type='bridge' name='hdbr0'>\n  <mtu size='1500'/>\n  <bridge stp='off' delay='1500'>\n"
    )
    assert "    <interface type='ethernet' name='hda'>\n      <link state=" in bridge
    assert "  <bridge stp='off' delay='1500'>\n  </bridge>\n" in empty


PRINT = [
    str(Path(__import__("sys").executable)), "-c",
    "import subprocess\nfrom domicile.hostdevs import interface as i\nprint(*[one.name for one in i.every()])\nprint('=')\n"
    "print(i.document('hdbr0'), end='=\\n')\nsubprocess.run(['ip', 'link', 'del', 'hda'], check=True)\nprint(i.document('hdbr0'), end='')",
]  # fmt: skip
