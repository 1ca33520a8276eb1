"""Documents written from wishes."""

from __future__ import annotations

from typing import Any

import pytest

from domicile.base.errors import InvalidRequest
from domicile.domain.create import DiskWish, Wishes, document, letter, size


@pytest.mark.parametrize(
    "wishes",
    [
        Wishes("plain", kvm=False),
        Wishes(
            "old", kvm=False, machine="pc", iso="/a.iso", disks=(DiskWish("/a.img", "raw", "ide"),), graphics="spice"
        ),
        Wishes("bare", kvm=False, networks=("none",), graphics="none", cpus=4, cpu="Westmere"),
        Wishes(
            "many",
            kvm=False,
            disks=tuple(
                DiskWish(f"/{n}.img", "qcow2", bus) for n, bus in enumerate(["virtio", "sata", "scsi", "usb", "virtio"])
            ),
        ),
        Wishes("net", kvm=False, networks=("bridge=br0", "network=default", "user"), macs=("52:54:00:00:00:09",)),
        Wishes("direct", kvm=False, kernel="/k", initrd="/i", cmdline="quiet a='b' <c>", title="A & B"),
    ],
    ids=lambda wishes: wishes.name,
)
def test_every_document_completes_strictly(core: Any, wishes: Wishes) -> None:
    done = core.complete(document(wishes), strict=True)
    assert done.domain.name == wishes.name
    assert done.domain.memory.value == 1024 * 1024
    assert len(done.domain.devices.disk) == len(wishes.disks) + bool(wishes.iso)


def test_disks_of_one_kind_get_letters_of_their_own() -> None:
    text = document(
        Wishes(
            "a", machine="q35", iso="/a.iso", disks=(DiskWish("/x", bus="sata"), DiskWish("/dev/sdb"), DiskWish("/y"))
        )
    )
    for expected in (
        "dev='sda' bus='sata'",
        "dev='sdb' bus='sata'",
        "dev='vda'",
        "dev='vdb'",
        "<source dev='/dev/sdb'/>",
    ):
        assert expected in text


@pytest.mark.parametrize(
    "wishes",
    [
        Wishes("a", networks=("br0",)),
        Wishes("a", networks=("user=x",)),
        Wishes("a", graphics="tv"),
        Wishes("a", disks=(DiskWish("/a", bus="x"),)),
    ],
)
def test_senseless_wishes_are_refused(wishes: Wishes) -> None:
    with pytest.raises(InvalidRequest, match="accepted"):
        document(wishes)


@pytest.mark.parametrize(
    ("text", "default", "count"),
    [("512M", "", 512 << 20), ("1.5G", "", 3 << 29), ("2", "G", 2 << 30), ("10gib", "", 10 << 30), ("7b", "", 7)],
)
def test_sizes(text: str, default: str, count: int) -> None:
    assert size(text, default) == count


@pytest.mark.parametrize("text", ["", "M", "-1M", "1X", "1e9", "1.G"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(InvalidRequest):
        size(text)


def test_letters() -> None:
    assert [letter(n) for n in (0, 25, 26, 701, 702)] == ["a", "z", "aa", "zz", "aaa"]
