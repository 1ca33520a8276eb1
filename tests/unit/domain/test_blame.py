"""Who set each value: found by walking the revisions back, by which device is which."""

from __future__ import annotations

import random
import time
from typing import Any

import pytest

from domicile.domain import blame, document, explain
from domicile.domain.leaf_table import Tables, whole

UUID = "<uuid>c47e19d5-b25c-4581-8a95-fcb1cb02fd04</uuid>"
DISK = "<disk type='file' device='disk'><driver name='qemu' type='{1}'/><source file='/{0}.img'/><target dev='{0}' bus='virtio'/></disk>"
NIC = "<interface type='user'><mac address='52:54:00:00:00:{0}'/><model type='{1}'/></interface>"


@pytest.fixture
def text(core: Any, sketch: Any) -> Any:
    return lambda devices, body="": document.write(core.complete(sketch(devices, name="vm", body=UUID + body)).domain)


def of(versions: list[str], known: blame.Blame | None = None, since: int = 1) -> blame.Blame:
    numbered = [(n, lambda t=t: t) for n, t in enumerate(versions, since)]
    return blame.blame(numbered[::-1], known)


def test_a_value_is_of_the_revision_that_changed_it_last(text: Any) -> None:
    one, other = DISK.format("vda", "raw"), DISK.format("vda", "qcow2")
    found = of([text(one), text(other), text(one), text(one + NIC.format("01", "virtio"))])
    assert found.of("devices/disk/driver/@type").revision == 3
    assert found.of("devices/disk/source/@file").revision == 1
    assert found.of("devices/interface/mac/@address").revision == 4
    assert found.of("name").revision == 1


def test_a_device_keeps_its_origin_wherever_it_stands(text: Any) -> None:
    a, b = DISK.format("vda", "raw"), DISK.format("vdb", "raw")
    found = of([text(b), text(a + b)])
    assert found.of("devices/disk[1]/source/@file").revision == 2
    assert found.of("devices/disk[2]/source/@file").revision == 1
    assert found.of("devices/disk[2]/source/@file").path == "devices/disk/source/@file"


def test_what_was_away_meanwhile_is_of_the_revision_that_brought_it_back(text: Any) -> None:
    disk = DISK.format("vda", "raw")
    found = of([text(disk), text(""), text(disk)])
    assert found.of("devices/disk/source/@file").revision == 3


def test_what_is_known_of_an_earlier_head_is_taken_over(text: Any) -> None:
    versions = [text(DISK.format("vda", kind)) for kind in ("raw", "qcow2", "qcow2")]
    versions.append(text(DISK.format("vda", "qcow2") + NIC.format("01", "virtio")))
    early = of(versions[:3])
    later = of(versions[2:], early, since=3)
    assert later == of(versions)


def test_both_ways_of_taking_apart_agree(text: Any) -> None:
    notes = "<metadata><a:b xmlns:a='urn:a'>some\n  <a:c/> text</a:b></metadata><description>two\n  lines</description>"
    one = text(DISK.format("vda", "raw") + DISK.format("vdb", "raw") + NIC.format("01", "e1000"), notes)
    assert Tables().table(one) == whole(one)
    assert whole(one)["devices/disk[vdb]"].path == "devices/disk[2]"


def test_a_thousand_revisions_take_less_than_a_second(text: Any) -> None:
    chance = random.Random(7)
    devices = "".join(DISK.format(f"vd{c}", "raw") for c in "abcdefgh") + NIC.format("01", "virtio")
    base = text(devices)
    versions = []
    for number in range(1000):
        base = base.replace(f"/vd{chance.choice('abcdefgh')}", f"/{number}/vd{chance.choice('abcdefgh')}")[:60_000]
        versions.append(base.replace("<uuid>", f"<title>{number}</title>\n  <uuid>"))
    before = time.process_time()
    found = of(versions)
    assert time.process_time() - before < 1
    assert found.of("title").revision == 1000
    assert found.of("memory").revision == 1


def test_every_line_says_where_it_comes_from(text: Any) -> None:
    versions = [text(DISK.format("vda", "raw")), text(DISK.format("vda", "qcow2"))]
    lines = explain.explain(document.read_stored(versions[-1]), {})
    told = blame.annotate(lines, of(versions))
    by_xml = {line.xml.strip(): line for line in told}
    assert by_xml["<driver name='qemu' type='qcow2'/>"].origin.revision == 2
    assert by_xml["<target dev='vda' bus='virtio'/>"].origin.revision == 1
    assert by_xml["<devices>"].origin.revision == 1
    assert by_xml["</devices>"].origin is None
    assert all(line.origin is not None for line in told if not line.xml.startswith("</"))
