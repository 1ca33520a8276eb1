"""What a wished snapshot becomes, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from domicile.base.errors import DomicileError, InvalidDocument
from domicile.domain import document, snapshot, snapshot_plan
from domicile.domain.domain import Domain
from domicile.domain.snapshot import DomainSnapshot
from domicile.domain.snapshot_plan import Wish

DOMAIN = """<domain type='qemu'><name>d</name><devices>
<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/i/a.img.qcow2'/><target dev='vda' bus='virtio'/></disk>
<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/i/b'/><target dev='vdb' bus='virtio'/></disk>
{more}<disk type='file' device='cdrom'><target dev='hdc' bus='ide'/><readonly/></disk></devices></domain>"""
RAW = "<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='/i/c'/><target dev='vdc' bus='virtio'/></disk>"


def settled(
    text: str, wish: Wish | None = None, *, state: str = "running", more: str = "", own: Domain | None = None
) -> DomainSnapshot:
    made = snapshot.read(text)
    domain = own or document.read_stored(DOMAIN.format(more=more))
    snapshot_plan.settle(made, domain, wish or Wish(), state=state, now=1700000000)
    return made


def disks(made: DomainSnapshot) -> list[tuple[Any, ...]]:
    return [(d.name, d.snapshot, d.source.file if d.source is not None else None) for d in made.every_disk()]


def test_a_running_machine_is_kept_whole_in_its_images() -> None:
    made = settled("<domainsnapshot/>")
    assert (made.name, made.state, made.memory_in, made.external) == ("1700000000", "running", "internal", False)
    assert disks(made) == [("vda", "internal", None), ("vdb", "internal", None), ("hdc", "no", None)]


def test_layers_are_named_after_the_snapshot() -> None:
    made = settled("<domainsnapshot><name>s</name></domainsnapshot>", Wish(disk_only=True), more=RAW)
    assert (made.state, made.memory_in, made.external) == ("disk-snapshot", "no", True)
    assert disks(made) == [
        ("vda", "external", "/i/a.img.s"), ("vdb", "external", "/i/b.s"), ("vdc", "external", "/i/c.s"), ("hdc", "no", None),
    ]  # fmt: skip
    assert [overlay.format for overlay in snapshot_plan.overlays(made, Wish())] == ["qcow2"] * 3
    assert settled("<domainsnapshot/>", Wish(disk_only=True), state="shutoff").state == "shutoff"


@pytest.mark.parametrize(
    ("inside", "wish", "state", "more", "words"),
    [
        ("<disks><disk name='vdz'/></disks>", Wish(), "running", "", "no disk named 'vdz'"),
        ("<disks><disk name='vda'/><disk name='/i/a.img.qcow2'/></disks>", Wish(), "running", "", "specified twice"),
        ("", Wish(), "running", RAW, "internal snapshot for disk vdc unsupported for storage type raw"),
        ("<disks><disk name='vda' snapshot='no'/></disks>", Wish(), "running", "", "must use snapshot mode 'internal'"),
        ("<disks><disk name='vda' snapshot='external'/></disks>", Wish(), "running", "", "must use snapshot mode 'internal'"),
        ("<disks><disk name='vda' snapshot='internal'/></disks>", Wish(disk_only=True), "running", "", "requested internal"),
        ("<disks><disk name='vda' snapshot='internal'><source file='/x'/></disk></disks>", Wish(), "running", "", "external snapshot mode"),
        ("<disks><disk name='vda'><driver type='raw'/><source file='/x'/></disk></disks>", Wish(disk_only=True), "running", "", "unsupported: raw"),
        ("<disks><disk name='vda' snapshot='no'/><disk name='vdb' snapshot='no'/></disks>", Wish(disk_only=True), "running", "", "nothing selected"),
        ("<memory snapshot='internal'/>", Wish(), "shutoff", "", "offline or disk-only"),
        ("<memory snapshot='internal' file='/m'/>", Wish(), "running", "", "requires external snapshot"),
        ("<memory snapshot='external'/>", Wish(), "running", "", "require a filename"),
        ("<memory file='m'/>", Wish(), "running", "", "must be absolute"),
        ("<name>a/b</name>", Wish(), "running", "", "can't contain '/'"),
        ("<name>.a</name>", Wish(), "running", "", "can't start with '.'"),
    ],
)  # fmt: skip
def test_refused(inside: str, wish: Wish, state: str, more: str, words: str) -> None:
    with pytest.raises(DomicileError, match=words):
        settled(f"<domainsnapshot>{inside}</domainsnapshot>", wish, state=state, more=more)


def test_a_new_layer_in_a_document() -> None:
    domain = document.read_stored(DOMAIN.format(more=""))
    made = settled("<domainsnapshot><name>s</name></domainsnapshot>", Wish(disk_only=True), own=domain)
    disk = snapshot_plan.disk_of(domain, "vdb")
    assert disk.source is not None
    disk.source.index = 4
    snapshot_plan.with_overlay(disk, snapshot_plan.overlays(made, Wish())[1], 9)
    text = document.write(domain)
    assert "<source file='/i/b.s' index='9'/>\n      <backingStore type='file' index='4'>" in text
    assert "<format type='qcow2'/>\n        <source file='/i/b'/>" in text


def test_a_document_is_written_as_it_was_read() -> None:
    made = settled("<domainsnapshot><name>s</name><description>d</description></domainsnapshot>", Wish(disk_only=True))
    text = snapshot.write(made)
    assert snapshot.write(snapshot.read(text)) == text
    for wrong in ("<snapshot/>", "<domainsnapshot><state>up</state></domainsnapshot>", "no"):
        with pytest.raises(InvalidDocument):
            snapshot.read(wrong)
    with pytest.raises(InvalidDocument):
        snapshot.read("<domainsnapshot><other/></domainsnapshot>", strict=True)


def test_what_exists_is_described_whole() -> None:
    text = "<domainsnapshot><name>s</name><state>running</state><creationTime>1</creationTime></domainsnapshot>"
    old = snapshot.read(text)
    snapshot_plan.redefined(old, "u", None, disk_only=False)
    assert old.memory_in == "internal"
    for wrong, words in (
        (text.replace("<state>running</state>", ""), "missing state"),
        (text.replace("<creationTime>1</creationTime>", ""), "missing creationTime"),
        (text.replace("running", "shutoff"), "online and offline"),
        (text.replace("<name>s</name>", "<name>s</name><parent><name>s</name></parent>"), "its own parent"),
    ):
        with pytest.raises(DomicileError, match=words):
            snapshot_plan.redefined(snapshot.read(wrong), "u", old, disk_only=False)
