"""Two definitions compared as a person would: by which device is which."""

from __future__ import annotations

from typing import Any

import pytest

from domicile.domain.compare import Change, compare, identity, likeness, name_of, pair

DISK = "<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='/{0}.img'/><target dev='{0}' bus='{1}'/></disk>"
NIC = "<interface type='user'><mac address='52:54:00:00:00:{0}'/><model type='{1}'/></interface>"


@pytest.fixture
def changes(core: Any, sketch: Any) -> Any:
    def compared(old: str, new: str, **options: Any) -> list[Change]:
        texts = (
            sketch(devices, name="vm", body="<uuid>c47e19d5-b25c-4581-8a95-fcb1cb02fd04</uuid>", **options)
            for devices in (old, new)
        )
        return compare(*(core.complete(text).domain for text in texts))

    return compared


def test_nothing_changes_where_nothing_changed(changes: Any) -> None:
    devices = DISK.format("vda", "virtio") + NIC.format("01", "virtio")
    assert changes(devices, devices) == []


def test_an_added_disk_is_one_change_with_its_document(changes: Any) -> None:
    found = changes(DISK.format("vda", "virtio"), DISK.format("vda", "virtio") + DISK.format("sda", "sata"))
    (disk,) = [c for c in found if c.subject.startswith("disk")]
    assert (disk.kind, disk.subject, disk.path) == ("added", "disk sda", "devices/disk[2]")
    assert "<source file='/sda.img'/>" in disk.new
    assert disk.guest


def test_a_removed_disk_has_its_old_path(changes: Any) -> None:
    found = changes(DISK.format("vda", "virtio") + DISK.format("vdb", "virtio"), DISK.format("vdb", "virtio"))
    (gone,) = [c for c in found if c.kind == "removed" and c.subject.startswith("disk")]
    assert (gone.subject, gone.path) == ("disk vda", "devices/disk[1]")


def test_disks_are_known_by_their_target_whatever_their_order(changes: Any) -> None:
    one, other = DISK.format("sda", "sata"), DISK.format("sdb", "sata")
    found = changes(one + other, other + one)
    assert found == []


def test_a_new_mac_is_a_change_of_the_same_card(changes: Any) -> None:
    found = changes(NIC.format("01", "e1000"), NIC.format("02", "e1000"))
    (mac,) = found
    assert (mac.kind, mac.old, mac.new) == ("changed", "52:54:00:00:00:01", "52:54:00:00:00:02")
    assert mac.path == "devices/interface/mac/@address"
    assert mac.subject == "interface 52:54:00:00:00:01"
    assert mac.effect == "never"


def test_cards_are_known_by_their_mac(changes: Any) -> None:
    found = changes(NIC.format("01", "e1000") + NIC.format("02", "e1000"), NIC.format("02", "rtl8139"))
    kinds = {(c.kind, c.subject) for c in found}
    assert ("removed", "interface 52:54:00:00:00:01") in kinds
    assert ("changed", "interface 52:54:00:00:00:02") in kinds


def test_memory_says_its_path_and_its_words(core: Any, sketch: Any) -> None:
    old, new = (
        core.complete(
            sketch(memory=f"<memory>{kib}</memory>", body="<uuid>c47e19d5-b25c-4581-8a95-fcb1cb02fd04</uuid>")
        ).domain
        for kib in (65536, 131072)
    )
    memory, current = compare(old, new)
    assert (memory.path, memory.old, memory.new, memory.effect) == ("memory", "65536", "131072", "start")
    assert "memory" in memory.en
    assert (current.path, current.effect) == ("currentMemory", "live")


def test_another_kind_of_address_is_compared_leaf_by_leaf(changes: Any) -> None:
    found = changes(DISK.format("sda", "virtio"), DISK.format("sda", "sata"))
    kinds = {c.path for c in found}
    assert "devices/disk/target/@bus" in kinds
    assert "devices/disk/address/@type" in kinds


def test_the_boot_order_is_a_move(core: Any) -> None:
    texts = (
        f"<domain type='qemu'><name>a</name><uuid>c47e19d5-b25c-4581-8a95-fcb1cb02fd04</uuid><memory>65536</memory><os><type>hvm</type>{boots}</os></domain>"
        for boots in ("<boot dev='hd'/><boot dev='cdrom'/>", "<boot dev='cdrom'/><boot dev='hd'/>")
    )
    (moved,) = compare(*(core.complete(text).domain for text in texts))
    assert (moved.kind, moved.path, moved.old, moved.new) == ("moved", "os/boot", "hd, cdrom", "cdrom, hd")


def test_names_and_likeness(core: Any, sketch: Any) -> None:
    devices = core.complete(sketch(DISK.format("vda", "virtio") + "<input type='tablet' bus='usb'/>")).domain.devices
    disk, tablet = devices.disk[0], devices.input[0]
    assert name_of(disk) == "disk vda"
    assert identity(tablet) is None
    assert likeness(disk, disk) == 1.0
    assert likeness(disk, tablet) < 0.5
    assert pair([disk, tablet], [tablet, disk]) == [(1, 0), (0, 1)]
