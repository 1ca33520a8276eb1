"""What a new document of a domain keeps, and what it has in common with others: through every front door."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

Daemon = Any

UUID = "c47e19d5-b25c-4581-8a95-fcb1cb02fd{:02d}"
NIC = "<interface type='user'><model type='virtio'/>{}</interface>"
DISK = "<disk type='file'><source file='/images/{0}.img'/><target dev='{1}' bus='virtio'/></disk>"


def xml(name: str, devices: str, uuid: str = "") -> str:
    return (
        f"<domain type='qemu'><name>{name}</name>{f'<uuid>{uuid}</uuid>' if uuid else ''}<memory unit='MiB'>64</memory>"
        f"<os><type arch='x86_64' machine='q35'>hvm</type></os><devices>{devices}</devices></domain>"
    )


def define(daemon: Daemon, text: str, *words: str) -> Any:
    return json.loads(daemon.cli("define", "-", "--json", *words, text_in=text).stdout)


def text_of(daemon: Daemon, name: str) -> str:
    return str(daemon.virsh("dumpxml", "--inactive", name).stdout)


def test_our_own_command_keeps_who_a_machine_is(daemon: Daemon) -> None:
    devices = NIC.format("") + DISK.format("a", "vda") + DISK.format("b", "vdb")
    define(daemon, xml("kept", devices))
    before = text_of(daemon, "kept")
    done = define(daemon, xml("kept", devices))
    assert text_of(daemon, "kept") == before
    kept = {entry["path"]: entry["en"] for entry in done["report"] if entry["kind"] == "kept"}
    assert kept["uuid"] == kept["devices/interface/mac/@address"] == "kept from revision 1"
    told = daemon.cli("define", "-", text_in=xml("kept", DISK.format("b", "vdb") + NIC.format(""))).stdout
    assert "kept from revision 2: uuid" in told
    place = re.compile(r"dev='vdb'.*?(<address [^>]*>)", re.S)
    assert place.search(text_of(daemon, "kept"))[1] == place.search(before)[1]  # type: ignore[index]
    assert "沿用版本 3" in daemon.cli("define", "-", "--lang", "zh", "--report", text_in=xml("kept", devices)).stdout
    stored = json.loads(daemon.cli("show", "kept", "2", "--json").stdout)["report"]
    assert any(entry["kind"] == "kept" and entry["path"] == "uuid" for entry in stored)
    refused = daemon.cli("define", "-", "--fresh", check=False, text_in=xml("kept", devices))
    assert refused.returncode == 1
    assert "already exists with uuid" in refused.stderr


def test_virsh_keeps_the_hardware_and_names_a_machine_by_its_uuid(daemon: Daemon) -> None:
    document = xml("web", NIC.format("") + DISK.format("c", "vda"), UUID.format(1))
    daemon.define(document)
    before = text_of(daemon, "web")
    daemon.define(document)
    assert text_of(daemon, "web") == before
    nameless = daemon.virsh("define", "/dev/stdin", check=False, text_in=xml("web", ""))
    assert nameless.returncode == 1
    assert "already exists with uuid" in nameless.stderr


@pytest.mark.parametrize(("keep", "same"), [("nothing", False), ("all", True)])
def test_it_can_be_switched(daemon: Daemon, keep: str, same: bool) -> None:
    (daemon.root / "domicile.toml").write_text(f"[definitions]\nkeep = '{keep}'\n")
    daemon.restart()
    document = xml("web", NIC.format(""), UUID.format(1))
    daemon.define(document)
    before = text_of(daemon, "web")
    daemon.define(document)
    assert (text_of(daemon, "web") == before) == same
    nameless = daemon.virsh("define", "/dev/stdin", check=False, text_in=xml("web", NIC.format("")))
    assert (nameless.returncode == 0) == same
    kept = define(daemon, document, "--keep")["report"]
    assert any(entry["kind"] == "kept" for entry in kept)


def test_what_two_domains_have_is_told_and_stored(daemon: Daemon) -> None:
    mac, display = "<mac address='52:54:00:aa:bb:cc'/>", "<graphics type='vnc' port='5999'/>"
    shared = "<disk type='file' device='cdrom'><source file='/images/cd.iso'/><target dev='sda' bus='sata'/></disk>"
    define(daemon, xml("one", NIC.format(mac) + DISK.format("d", "vda") + display + shared))
    told = daemon.cli("define", "-", text_in=xml("other", NIC.format(mac) + DISK.format("d", "vdb") + display + shared))
    assert told.stdout.count("twice: ") == 3
    for words in ("MAC address 52:54:00:aa:bb:cc also belongs to domain 'one'", "port 5999", "/images/d.img"):
        assert words in told.stdout
    assert "cd.iso" not in told.stdout
    stored = json.loads(daemon.cli("show", "other", "1", "--json").stdout)["report"]
    assert [e["path"] for e in stored if e["kind"] == "duplicate"] == [
        "devices/disk[1]/source/@file",
        "devices/interface[1]/mac/@address",
        "devices/graphics[1]/@port",
    ]
    daemon.virsh("undefine", "one")
    assert "twice" not in daemon.cli("define", "-", text_in=xml("other", NIC.format(mac))).stdout
