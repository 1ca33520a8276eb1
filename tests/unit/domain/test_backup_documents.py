"""What wished checkpoints and backups become, and what is refused."""

from __future__ import annotations

import pytest

from domicile.base.errors import DomicileError, InvalidDocument
from domicile.domain import backup, checkpoint, document
from domicile.domain.domain import Domain

DOMAIN = """<domain type='qemu'><name>d</name><uuid>5a5a0000-0000-4000-8000-000000000001</uuid><devices>
<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/i/a'/><target dev='vda' bus='virtio'/></disk>
<disk type='file' device='disk'><driver name='qemu' type='{kind}'/><source file='/i/b'/><target dev='vdb' bus='virtio'/></disk>
<disk type='file' device='cdrom'><target dev='hdc' bus='ide'/><readonly/></disk></devices></domain>"""


def domain(kind: str = "qcow2") -> Domain:
    return document.read_stored(DOMAIN.format(kind=kind))


def marked(text: str, kind: str = "qcow2") -> checkpoint.DomainCheckpoint:
    made = checkpoint.read(text)
    checkpoint.settle(made, domain(kind), 1700000000)
    return made


def backed(text: str) -> backup.DomainBackup:
    made = backup.read(text)
    backup.settle(made, domain(), 1700000000)
    return made


def test_every_disk_takes_part_unless_some_are_named() -> None:
    made = marked("<domaincheckpoint/>")
    assert made.name == "1700000000" and made.noted() == [("vda", "1700000000"), ("vdb", "1700000000")]
    assert [(disk.name, disk.checkpoint) for disk in made.every_disk()][2] == ("hdc", "no")
    made = marked("<domaincheckpoint><name>c</name><disks><disk name='/i/b'/></disks></domaincheckpoint>")
    assert made.noted() == [("vdb", "c")]
    text = checkpoint.write(made)
    assert (
        "<disk name='vdb' checkpoint='bitmap' bitmap='c'/>" in text
        and checkpoint.write(checkpoint.read_stored(text)) == text
    )


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("<domaincheckpoint/>", "raw", "vdb unsupported for storage type raw"),
        ("<domaincheckpoint><name>a/b</name></domaincheckpoint>", "qcow2", "invalid checkpoint name"),
        ("<domaincheckpoint><disks><disk name='vdz'/></disks></domaincheckpoint>", "qcow2", "no disk named"),
        ("<domaincheckpoint><disks><disk name='vda' checkpoint='no'/></disks></domaincheckpoint>", "qcow2", "no disk takes part"),
        ("<domaincheckpoint><name>c</name><disks><disk name='vda' bitmap='x'/></disks></domaincheckpoint>", "qcow2", "must match"),
    ],
)  # fmt: skip
def test_no_checkpoint(text: str, kind: str, words: str) -> None:
    with pytest.raises(DomicileError, match=words):
        marked(text, kind)


def test_a_checkpoint_described_anew_is_whole() -> None:
    whole = "<domaincheckpoint><name>c</name><creationTime>1</creationTime>{}</domaincheckpoint>"
    uuid = domain().uuid or ""
    made = checkpoint.read(whole.format(DOMAIN.format(kind="qcow2")))
    checkpoint.redefined(made, uuid, None)
    for text, old, words in (
        (whole.format(""), None, "lacks the domain"),
        ("<domaincheckpoint><name>c</name></domaincheckpoint>", made, "missing creationTime"),
        (whole.format("<parent><name>c</name></parent>"), made, "its own parent"),
    ):
        with pytest.raises(DomicileError, match=words):
            checkpoint.redefined(checkpoint.read(text), uuid, old)
    checkpoint.redefined(checkpoint.read(whole.format("")), uuid, made)
    with pytest.raises(DomicileError, match="must use uuid"):
        checkpoint.redefined(checkpoint.read(whole.format("")), "other", made)


def test_backups_are_placed_beside_the_images() -> None:
    made = backed("<domainbackup/>")
    assert made.mode == "push" and [(d.name, d.path, d.format, d.backupmode) for d in made.chosen()] == [
        ("vda", "/i/a.1700000000", "qcow2", "full"), ("vdb", "/i/b.1700000000", "qcow2", "full"),
    ]  # fmt: skip
    made = backed(
        "<domainbackup mode='pull'><incremental>c</incremental><server transport='unix' socket='/s'/><disks><disk name='vdb' exportbitmap='m'/>"
        "<disk name='vda' backupmode='full'/></disks></domainbackup>"
    )
    first, second = made.chosen()
    assert (first.backupmode, first.incremental, first.exportname) == ("full", None, "vda")
    assert (second.backupmode, second.incremental, second.exportbitmap) == ("incremental", "c", "m")
    assert second.scratch is not None and second.target is None
    assert "<disk name='hdc' backup='no'/>" in backup.write(made)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<domainbackup mode='pull'/>", "needs a <server>"),
        ("<domainbackup mode='pull'><server/></domainbackup>", "needs a name"),
        ("<domainbackup mode='pull'><server transport='unix'/></domainbackup>", "needs a socket"),
        ("<domainbackup><server name='x'/></domainbackup>", "requires pull mode"),
        ("<domainbackup><disks><disk name='vdz'/></disks></domainbackup>", "no disk named"),
        ("<domainbackup><disks><disk name='hdc'/></disks></domainbackup>", "empty disk"),
        ("<domainbackup><disks><disk name='vda' backup='no'/></disks></domainbackup>", "no disks selected"),
        ("<domainbackup><disks><disk name='vda'><scratch file='/x'/></disk></disks></domainbackup>", "has <target>"),
        ("<domainbackup><disks><disk name='vda'><driver type='vmdk'/></disk></disks></domainbackup>", "qcow2 or raw"),
        ("<domainbackup><disks><disk name='vda'><target file='x'/></disk></disks></domainbackup>", "absolute"),
    ],
)
def test_no_backup(text: str, words: str) -> None:
    with pytest.raises(DomicileError, match=words):
        backed(text)


def test_other_documents_are_none() -> None:
    for read in (backup.read, checkpoint.read):
        with pytest.raises(InvalidDocument):
            read("<domain/>")
