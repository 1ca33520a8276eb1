"""Disks: what is filled in, what is refused and by which words, what is asked of QEMU."""

from __future__ import annotations

import json
from typing import Any

import pytest

from domicile.devices.disk import FAMILY
from domicile.devices.disk.protocol import owner_number
from domicile.domain.rules.unplanned import gaps
from domicile.plan.qemu import Command


def disk(
    source: str = "<source file='/i.raw'/>",
    *,
    kind: str = "file",
    device: str = "disk",
    driver: str = "",
    target: str = "dev='vda'",
    more: str = "",
) -> str:
    return f"<disk type='{kind}' device='{device}'><driver {driver}/>{source}<target {target}/>{more}</disk>"


def remote(protocol: str, inside: str, more: str = "name='x/y'") -> str:
    return f"<source protocol='{protocol}' {more}>{inside}</source>"


HOST = "<host name='h.example.org'/>"
UUID = "0a81f5b2-8403-7b23-c8d6-21ccc2f80d6f"
SECRET = f"<secret type='passphrase' uuid='{UUID}'/>"
LUKS = f"<encryption format='luks'>{SECRET}</encryption>"


@pytest.mark.parametrize(
    ("xml", "words"),
    [
        (disk(target="dev='vdb1' bus='virtio'"), ["'vdb1'", "partition"]),
        (disk(more="<vendor>ACME</vendor>"), ["'vendor'", "'scsi'"]),
        (disk(target="dev='sda' bus='scsi'", more="<vendor>ACME IS LONG</vendor>"), ["'ACME IS LONG'"]),
        (disk(target="dev='sda' bus='scsi'", more="<product>seventeen letters</product>"), ["product"]),
        (disk(more="<wwn>5000c50015ea71ac</wwn>"), ["<wwn>"]),
        (disk(target="dev='sda' bus='scsi'", more="<wwn>5000</wwn>"), ["'5000'"]),
        (disk(target="dev='vda' rotation_rate='5400'"), ["'rotation_rate'"]),
        (disk(target="dev='vda' removable='on'"), ["'removable'"]),
        (disk(driver="type='qcow2'", more="<shareable/>"), ["'vda'", "'qcow2'"]),
        (disk(driver="copy_on_read='on'", more="<readonly/>"), ["'copy_on_read'"]),
        (disk(driver="type='raw' discard_no_unref='on'"), ["'discard_no_unref'", "'qcow2'"]),
        (disk(driver="type='qcow2' discard_no_unref='on'"), ["this QEMU", "'discard_no_unref'"]),
        (disk("<source dir='/d'/>", kind="dir"), ["directory"]),
        (disk(f"<source file='/i'>{LUKS}</source>", more=LUKS), ["<encryption>"]),
        (disk(more=f"<encryption format='luks'>{SECRET}<cipher name='aes'/></encryption>"), ["<cipher>"]),
        (disk(more=f"<encryption format='luks2'>{SECRET}</encryption>"), ["'luks2'"]),
        (disk(more=f"<encryption format='luks' engine='librbd'>{SECRET}</encryption>"), ["'librbd'", "'rbd'"]),
        (disk(more="<encryption format='luks'><secret type='passphrase'/></encryption>"), ["'uuid'", "'usage'"]),
        (disk(driver="type='vmdk'", more=LUKS), ["'vmdk'", "'luks'"]),
        (disk(remote("nbd", ""), kind="network"), ["'nbd'", "<host>"]),
        (disk(remote("http", HOST + HOST), kind="network"), ["'http'", "2"]),
        (disk(remote("iscsi", "<host transport='unix' socket='/s'/>"), kind="network"), ["'iscsi'", "'unix'"]),
        (disk(remote("nbd", "<host transport='unix'/>"), kind="network"), ["'socket'"]),
        (disk(remote("nbd", "<host name='h' transport='rdma'/>"), kind="network"), ["'rdma'"]),
        (disk(remote("gluster", HOST, "name='x'"), kind="network"), ["volume"]),
        (disk(remote("ssh", HOST, "name='x' tls='yes'"), kind="network"), ["'tls'"]),
        (disk(remote("rbd", "", "name='x'"), kind="network"), ["'x'", "pool"]),
        (
            disk(
                remote("rbd", "<auth username='u'><secret type='iscsi' usage='a'/></auth>"),
                kind="network",
            ),
            ["'iscsi'", "'rbd'"],
        ),
        (disk("<source type='pci' namespace='1'/>", kind="nvme"), ["<address>"]),
        (disk("<source dev='/d'><reservations managed='yes'/></source>", kind="block"), ["<reservations>"]),
        (disk("<source type='unix' path='/s'/>", kind="vhostuser"), ["'vhostuser'", "shared"]),
        (disk(more="<iotune><total_bytes_sec>1</total_bytes_sec><read_bytes_sec>1</read_bytes_sec></iotune>"), ["'bytes_sec'"]),
        (disk(more="<iotune><read_iops_sec_max>1</read_iops_sec_max></iotune>"), ["'read_iops_sec'"]),
        (disk(more="<throttlefilters><throttlefilter group='g'/></throttlefilters>"), ["'g'"]),
        (disk(driver="iothread='7'"), ["'7'"]),
        (disk(driver="iothread='7'", target="dev='sda' bus='sata'"), ["I/O thread", "'sata'"]),
        (disk(target="dev='vda'") + disk("<source file='/j'/>", target="dev='vda'"), ["'/i.raw'", "'/j'"]),
    ],
)  # fmt: skip
def test_what_is_refused(core: Any, sketch: Any, xml: str, words: list[str]) -> None:
    found = " ".join(problem.sentence() for problem in core.problems(sketch(xml)))
    assert all(word in found for word in words), found


def test_words_that_say_what_is_so_anyway_are_left_out(core: Any, sketch: Any) -> None:
    drive = disk(device="cdrom", driver="cache='default'", target="dev='sda' bus='sata' tray='closed'")
    kept = core.completed(sketch(drive))
    assert "tray=" not in kept
    assert "cache=" not in kept


def test_a_mirror_belongs_to_the_run(core: Any, sketch: Any) -> None:
    assert "<mirror" not in core.completed(
        sketch(disk(more="<mirror type='file' job='copy'><source file='/c'/></mirror>"))
    )


def test_limits_are_set_before_the_guest_runs(core: Any, sketch: Any) -> None:
    limits = "<iotune><total_bytes_sec>5</total_bytes_sec><total_bytes_sec_max>9</total_bytes_sec_max></iotune>"
    found = [item for item in core.plan(sketch(disk(more=limits))).items if isinstance(item, Command)]
    assert [(one.execute, one.arguments["id"], one.arguments["bps"], one.arguments["bps_max"]) for one in found] == [
        ("block_set_io_throttle", "/machine/peripheral/virtio-disk0/virtio-backend", 5, 9)
    ]


def test_no_limits_for_an_empty_drive(core: Any, sketch: Any) -> None:
    limits = "<iotune><total_bytes_sec>5</total_bytes_sec></iotune>"
    drive = disk("", device="cdrom", target="dev='sda' bus='sata'", more=limits)
    assert not [item for item in core.plan(sketch(drive)).items if isinstance(item, Command)]


def test_secrets_never_stand_on_the_command_line(core: Any, sketch: Any) -> None:
    cookies = "<cookies><cookie name='a'>very-secret</cookie></cookies>"
    auth = f"<auth username='u'><secret type='iscsi' uuid='{UUID}'/></auth>"
    xml = sketch(disk(remote("https", HOST + cookies + auth), kind="network"))
    words = json.dumps([argument.words for argument in core.arguments(xml)])
    assert "very-secret" not in words
    assert f"{{secret:{UUID}}}" in words
    assert not [gap.slot for gap in gaps(core.complete(xml).domain) if gap.refused]


@pytest.mark.parametrize("protocol", ["nbd", "rbd", "gluster", "iscsi", "https", "ssh", "nfs"])
def test_servers_without_a_login_can_be_started_from(core: Any, sketch: Any, protocol: str) -> None:
    domain = core.complete(sketch(disk(remote(protocol, HOST), kind="network"))).domain
    assert [gap for gap in gaps(domain) if gap.refused] == []


def test_one_helper_serves_all_managed_reservations(core: Any, sketch: Any) -> None:
    source = "<source dev='/dev/{}'><reservations managed='yes'/></source>"
    luns = "".join(
        disk(source.format(name), kind="block", device="lun", target=f"dev='{name}' bus='scsi'")
        for name in ("sda", "sdb")
    )
    helpers = [word for a in core.arguments(sketch(luns)) for word in a.words if "pr-manager-helper" in word]
    assert len(helpers) == 1


def test_queues_are_mapped_to_threads(bench: Any) -> None:
    threads = (
        "<iothreads><iothread id='2'><queue id='0'/></iothread><iothread id='3'><queue id='1'/></iothread></iothreads>"
    )
    xml = (
        f"<disk type='file'><driver name='qemu' type='raw' queues='2'>{threads}</driver>"
        "<source file='/i'/><target dev='vda' bus='virtio'/></disk>"
    )
    assert "this QEMU" in bench(FAMILY).problems(xml)[0]
    newer = bench(FAMILY, properties={"virtio-blk-pci": frozenset({"iothread-vq-mapping"})}, types=("virtio-blk-pci",))
    assert newer.problems(xml) == []
    assert newer.problems(xml.replace("queue id='1'", "queue id='5'")) != []


def test_owners_by_number() -> None:
    assert [owner_number("+107"), owner_number("107"), owner_number("images"), owner_number(None)] == [
        107,
        107,
        None,
        None,
    ]
