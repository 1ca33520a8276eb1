"""Devices that come, go and change in a document."""

import pytest

from domicile.base.errors import DomicileError, InvalidDocument, InvalidRequest, NotFound, Unsupported, WrongState
from domicile.devices.disk import Disk
from domicile.domain.domain import Devices, Domain
from domicile.domain.edit import devices as edit

DISK = "<disk type='file' device='disk'><source file='/{0}.img'/><target dev='{0}' bus='virtio'/></disk>"
NIC = "<interface type='user'><mac address='52:54:00:00:00:0{0}'/><model type='virtio'/></interface>"


def domain(*texts: str) -> Domain:
    made = Domain(devices=Devices())
    for text in texts:
        edit.insert(made, edit.parse(text))
    return made


@pytest.mark.parametrize(("text", "code"), [("<disk", 35), ("", 35), ("<teleporter/>", 67), ("<domain/>", 67)])
def test_what_is_no_device_is_refused_by_kind(text: str, code: int) -> None:
    with pytest.raises(DomicileError) as caught:
        edit.parse(text)
    assert caught.value.wire_code == code


def test_a_wrong_value_is_refused() -> None:
    with pytest.raises(InvalidDocument):
        edit.parse("<disk type='bogus'/>")


@pytest.mark.parametrize(
    "text",
    [DISK.format("vda"), "<watchdog model='ib700'/>", "<controller type='scsi' index='0'/>",
     "<filesystem><target dir='x'/></filesystem>"],
)  # fmt: skip
def test_one_like_it_stands_in_the_way(text: str) -> None:
    changed = domain(text)
    with pytest.raises(WrongState):
        edit.insert(changed, edit.parse(text))


@pytest.mark.parametrize("text", ["<graphics type='vnc'/>", "<memballoon model='virtio'/>", "<panic model='isa'/>"])
def test_some_kinds_only_come_with_the_whole(text: str) -> None:
    with pytest.raises(Unsupported) as caught:
        domain(text)
    assert caught.value.wire_code == 84
    with pytest.raises(Unsupported):
        edit.detach(domain(), edit.parse(text))


def test_devices_are_found_by_what_their_kind_is_known_by() -> None:
    changed = domain(DISK.format("vda"), DISK.format("vdb"), NIC.format(1), NIC.format(2))
    edit.detach(changed, edit.parse("<disk><target dev='vdb'/></disk>"))
    edit.detach(changed, edit.parse("<interface type='bridge'><mac address='52:54:00:00:00:01'/></interface>"))
    assert [edit.target(disk) for disk in edit.lists(changed).of(Disk)] == ["vda"]
    with pytest.raises(NotFound) as caught:
        edit.detach(changed, edit.parse(NIC.format(1)))
    assert caught.value.wire_code == 99


def test_an_address_tells_twins_apart() -> None:
    changed = domain(NIC.format(1), NIC.format(1))
    first, second = edit.lists(changed).interface
    first.address = edit.parse("<interface><address type='pci' slot='0x04'/></interface>").address
    second.address = edit.parse("<interface><address type='pci' slot='0x05'/></interface>").address
    with pytest.raises(InvalidRequest) as caught:
        edit.find(changed, edit.parse("<interface type='user'/>"))
    assert caught.value.wire_code == 9
    wanted = edit.parse("<interface type='user'><address type='pci' slot='0x05'/></interface>")
    assert edit.find(changed, wanted) is second
    elsewhere = edit.parse("<interface type='user'><address type='pci' slot='0x06'/></interface>")
    with pytest.raises(NotFound):
        edit.find(changed, elsewhere)


def test_an_update_keeps_the_place() -> None:
    changed = domain(DISK.format("vda"))
    edit.lists(changed).disk[0].address = edit.parse("<disk><address type='pci' slot='0x04'/></disk>").address
    edit.update(changed, edit.parse("<disk><source file='/new'/><target dev='vda' bus='virtio'/></disk>"))
    disk = edit.lists(changed).disk[0]
    assert disk.source.file == "/new" and disk.address.slot == 4
    edit.update(changed, edit.parse("<disk><target dev='vda' bus='scsi'/></disk>"))
    assert edit.lists(changed).disk[0].address is None


@pytest.mark.parametrize(
    ("text", "stored", "live"),
    [(DISK.format("vdz"), 8, 1), ("<graphics type='vnc'/>", 8, 99), ("<sound model='ich6'/>", 84, 67), (NIC.format(9), 99, 99)],
)  # fmt: skip
def test_what_cannot_be_updated_is_refused_by_kind(text: str, stored: int, live: int) -> None:
    for whose, code in (("persistent", stored), ("live", live)):
        with pytest.raises(DomicileError) as caught:
            edit.updated(domain(), edit.parse(text), whose)
        assert caught.value.wire_code == code


def test_a_device_may_say_more_than_is_asked_for() -> None:
    there = edit.parse("<rng model='virtio'><rate bytes='5'/><backend model='random'>/dev/urandom</backend></rng>")
    assert edit.covers(edit.parse("<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>"), there)
    assert not edit.covers(edit.parse("<rng model='virtio'><backend model='random'>/dev/random</backend></rng>"), there)
