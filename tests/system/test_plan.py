"""A change looked at before it happens, and then done as a whole: with a real QEMU that is asked what became of it."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Daemon = Guest = Any

NIC = "<interface type='user'><mac address='52:54:00:77:00:01'/><model type='virtio'/>{}</interface>"
USB_DISK = (
    "<disk type='file'><driver name='qemu' type='qcow2'/><source file='{}'/><target dev='sd{}' bus='usb'/></disk>"
)


def wait_until(what: str, question: Callable[[], object], deadline: float = 30.0) -> None:
    end = time.monotonic() + deadline
    while not question():
        if time.monotonic() > end:
            pytest.fail(f"waited {deadline:g} s in vain: {what}")
        time.sleep(0.1)


def xml(
    devices: str = "",
    *,
    memory: int = 128,
    current: int = 128,
    vcpus: str = "<vcpu current='1'>2</vcpu>",
    body: str = "",
) -> str:
    return (
        f"<domain type='qemu'><name>web</name>{body}<memory unit='MiB'>{memory}</memory>"
        f"<currentMemory unit='MiB'>{current}</currentMemory>{vcpus}"
        "<os><type arch='x86_64' machine='pc'>hvm</type></os><features><acpi/></features><devices>"
        f"{NIC.format('') if '52:54:00:77' not in devices else ''}{devices}"
        "<controller type='usb' model='qemu-xhci'/><serial type='pty'/><memballoon model='virtio'/></devices></domain>"
    )


class Web:
    """One machine, our command line and QEMU's monitor."""

    def __init__(self, daemon: Daemon, tmp: Path) -> None:
        self.daemon, self.file = daemon, tmp / "web.xml"

    def json(self, *words: str) -> Any:
        return json.loads(self.daemon.cli(*words, "--json").stdout)

    def write(self, text: str) -> str:
        self.file.write_text(text)
        return str(self.file)

    def plan(self, text: str) -> Any:
        return self.json("plan", self.write(text))

    def apply(self, text: str, *words: str) -> Any:
        return self.json("apply", self.write(text), *words)

    def qmp(self, command: str, **arguments: Any) -> Any:
        words = json.dumps({"execute": command, "arguments": arguments})
        return json.loads(self.daemon.virsh("qemu-monitor-command", "web", words).stdout)["return"]

    def disks(self) -> set[str]:
        return {each["inserted"]["image"]["filename"] for each in self.qmp("query-block") if "inserted" in each}

    def image(self, name: str) -> str:
        path = self.daemon.root / name
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(path), "1M"], check=True, timeout=30)
        path.chmod(0o666)
        return str(path)

    def revision(self) -> int:
        return int(self.json("history", "web")[0]["revision"])

    def live(self) -> str:
        return str(self.daemon.virsh("dumpxml", "web").stdout)


@pytest.fixture
def web(daemon: Daemon, tmp_path: Path) -> Web:
    return Web(daemon, tmp_path)


def when(answer: Any) -> dict[str, str]:
    return {one["path"]: one["when"] for one in answer["differences"]}


def test_a_machine_that_is_off(web: Web) -> None:
    answer = web.plan(xml())
    assert answer["new"] is True
    assert "would be defined" in web.daemon.cli("plan", str(web.file)).stdout
    assert web.daemon.cli("list").stdout == ""
    assert web.apply(xml(), "--plan", answer["digest"])["created"] is True
    answer = web.plan(xml(memory=256, current=256))
    assert set(when(answer).values()) == {"start"}
    assert web.plan(xml())["differences"] == []
    refused = web.daemon.cli("apply", str(web.file), "--plan", "0123", check=False)
    assert refused.returncode == 1
    assert "not what was planned" in refused.stderr
    assert web.revision() == 1


def test_live_parts_and_parts_for_the_next_start(web: Web, guest: Guest) -> None:
    boot = f"<disk type='file'><driver name='qemu' type='raw'/><source file='{guest.boot_sector}'/><target dev='hda' bus='ide'/></disk>"
    cd = "<disk type='file' device='cdrom'>{}<target dev='hdc' bus='ide'/><readonly/></disk>"
    web.apply(xml(boot + cd.format("")))
    web.daemon.virsh("start", "web")
    image, medium = web.image("one.qcow2"), web.daemon.root / "medium.iso"
    medium.write_bytes(bytes(65536))
    medium.chmod(0o644)
    wish = xml(
        boot + cd.format(f"<source file='{medium}'/>") + USB_DISK.format(image, "b") + NIC.format("<link state='down'/>")
        + "<watchdog model='ib700'/>",
        memory=256, current=96, vcpus="<vcpu current='2'>2</vcpu>", body="<title>the shop</title>",
    )  # fmt: skip
    answer = web.plan(wish)
    told = when(answer)
    assert told["title"] == told["currentMemory"] == told["vcpu/@current"] == "live"
    assert told["devices/interface/link"] == "live"
    assert told["devices/disk[3]"] == told["devices/disk[2]/source"] == "live"
    assert told["memory"] == told["devices/watchdog"] == "start"
    by_path = {one["path"]: one for one in answer["differences"]}
    assert by_path["devices/disk[3]"]["guest"] is True
    assert by_path["title"]["guest"] is False
    assert image not in web.disks()
    assert web.revision() == 1
    text = web.daemon.cli("plan", str(web.file)).stdout
    assert "next start" in text
    assert "立即" in web.daemon.cli("plan", str(web.file), "--lang", "zh").stdout
    done = web.apply(wish, "--plan", answer["digest"], "--why", "sale")
    assert done["revision"] == 2
    assert {image, str(medium)} <= web.disks()
    assert len(web.qmp("query-cpus-fast")) == 2
    wait_until("the balloon to be asked", lambda: "<title>the shop</title>" in web.live())
    assert "<link state='down'/>" in web.live()
    assert web.qmp("query-memory-size-summary")["base-memory"] == 128 * 2**20
    info = web.json("info", "web")
    assert {one["path"] for one in info["waiting"]} == {"memory", "devices/watchdog"}
    assert info["pending"] is True
    listed = web.json("list")[0]
    assert (listed["pending"], listed["pending_changes"]) == (True, 2)
    assert "changed: 2, at next start" in web.daemon.cli("list").stdout
    assert "watchdog" in web.daemon.cli("info", "web").stdout
    assert "watchdog" in web.daemon.cli("plan", "web").stdout
    web.daemon.virsh("destroy", "web")
    web.daemon.virsh("start", "web")
    assert web.qmp("query-memory-size-summary")["base-memory"] == 256 * 2**20
    assert web.json("info", "web")["waiting"] == []
    gone = web.apply(
        xml(
            boot + cd.format("") + NIC.format("<link state='down'/>") + "<watchdog model='ib700'/>",
            memory=256,
            current=96,
            vcpus="<vcpu current='2'>2</vcpu>",
            body="<title>the shop</title>",
        )
    )
    assert set(when(gone).values()) == {"live"}
    assert web.disks() == {str(guest.boot_sector)}
    assert web.json("list")[0]["pending"] is False


def test_what_was_planned_and_is_another_now_is_refused(web: Web) -> None:
    web.apply(xml())
    web.daemon.virsh("start", "--paused", "web")
    wish = xml(body="<title>mine</title>")
    digest = web.plan(wish)["digest"]
    web.daemon.virsh("desc", "web", "--title", "--config", "--new-desc", "theirs")
    refused = web.daemon.cli("apply", web.write(wish), "--plan", digest, check=False)
    assert refused.returncode == 1
    assert "not what was planned" in refused.stderr
    digest = web.plan(wish)["digest"]
    web.daemon.virsh("domif-setlink", "web", "52:54:00:77:00:01", "down")
    assert web.daemon.cli("apply", str(web.file), "--plan", digest, check=False).returncode == 1
    assert web.apply(wish, "--plan", web.plan(wish)["digest"])["title"] == "mine"


def test_what_fails_midway_leaves_everything_as_it_was(web: Web) -> None:
    web.apply(xml())
    web.daemon.virsh("start", "--paused", "web")
    good, bad = web.image("good.qcow2"), Path(web.image("bad.qcow2"))
    bad.write_bytes(b"this is no qcow2 image" * 100)
    before, disks, revision = web.live(), web.qmp("query-block"), web.revision()
    nodes = {each["node-name"] for each in web.qmp("query-named-block-nodes")}
    wish = xml(
        USB_DISK.format(good, "a") + USB_DISK.format(bad, "b") + NIC.format("<link state='down'/>"), body="<title>no</title>",
        vcpus="<vcpu current='2'>2</vcpu>",
    )  # fmt: skip
    assert when(web.plan(wish))["devices/disk[2]"] == "live"
    refused = web.daemon.cli("apply", web.write(wish), check=False)
    assert refused.returncode == 1
    assert "qcow2" in refused.stderr
    assert web.revision() == revision
    assert web.qmp("query-block") == disks
    assert {each["node-name"] for each in web.qmp("query-named-block-nodes")} == nodes
    assert len(web.qmp("query-cpus-fast")) == 1
    after = web.live()
    assert "<title>" not in after
    assert "<link" not in after
    assert good not in after
    assert after.split("<devices>")[1] == before.split("<devices>")[1]
    assert web.apply(xml(USB_DISK.format(good, "a")))["revision"] == revision + 1
    assert good in web.disks()


def test_what_blocks_is_told(web: Web) -> None:
    web.apply(xml())
    raw = "<disk type='file'><driver name='qemu' type='raw'/><source file='/x.img'/><target dev='vda' bus='virtio'/></disk>"
    shared = "<filesystem type='mount' accessmode='mapped'><source dir='/srv'/><target dir='srv'/></filesystem>"
    found = {
        one["subject"]: [block["what"] for block in one["blocks"]] for one in web.plan(xml(raw + shared))["differences"]
    }
    assert found["disk vda"] == ["snapshot"]
    assert found["filesystem srv"] == ["migration", "snapshot"]
    text = web.daemon.cli("plan", str(web.file), "--lang", "zh").stdout
    assert "妨碍迁移" in text


def test_without_acpi_nothing_comes_to_the_first_bus(web: Web) -> None:
    plain = xml().replace("<features><acpi/></features>", "")
    web.apply(plain)
    web.daemon.virsh("start", "--paused", "web")
    disk = USB_DISK.format(web.image("pci.qcow2"), "b").replace("usb", "virtio").replace("sdb", "vdb")
    wish = plain.replace("<serial", f"{disk}<serial")
    (one,) = web.plan(wish)["differences"]
    assert (one["when"], "no ACPI" in one["why"]) == ("start", True)
    assert web.apply(wish)["done"] == []
    assert web.revision() == 2
