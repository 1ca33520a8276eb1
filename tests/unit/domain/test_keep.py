"""What a domain keeps of its hardware when a new document leaves it open."""

from __future__ import annotations

from typing import Any

import pytest

from domicile.domain import document
from domicile.domain.complete import Completed, complete_text
from domicile.domain.keep import Former

DISK = "<disk type='file'><source file='/{0}.img'/><target dev='{0}' bus='{1}'/></disk>"
NIC = "<interface type='user'><model type='{}'/></interface>"
RNG = "<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>"


@pytest.fixture
def again(core: Any, sketch: Any) -> Any:
    """Complete one document, and then another as the next of the same domain."""

    def completed(old: str, new: str, **options: Any) -> tuple[Completed, Completed]:
        first = core.complete(sketch(old, name="vm", **options))
        former = Former(3, lambda: document.read_stored(document.write(first.domain)))
        text = sketch(new, name="vm", **options)
        second = complete_text(text, core.host(), lambda *_: core.caps, former=former, uuid=first.domain.uuid)
        return first, second

    return completed


def slots(done: Completed) -> dict[str, Any]:
    devices = done.domain.devices
    assert devices is not None
    found = {}
    for tag in ("disk", "interface", "rng", "memballoon", "controller"):
        for each in getattr(devices, tag):
            name = each.target.dev if tag == "disk" else f"{each.type}{each.index}" if tag == "controller" else tag
            if each.address is not None and each.address.type == "pci":
                found[name] = (each.address.bus, each.address.slot, each.address.function)
    return found


@pytest.mark.parametrize("machine", ["pc", "q35"])
def test_the_same_document_is_the_same_machine(again: Any, machine: str) -> None:
    devices = NIC.format("virtio") + DISK.format("vda", "virtio") + RNG
    first, second = again(devices, devices, machine=machine)
    assert document.write(second.domain) == document.write(first.domain)
    kept = {entry.path for entry in second.report if entry.kind == "kept"}
    assert {"uuid", "devices/interface/mac/@address", "devices/disk/address"} <= kept
    assert all(entry.en == "kept from revision 3" and entry.zh for entry in second.report if entry.kind == "kept")


@pytest.mark.parametrize("machine", ["pc", "q35"])
def test_devices_stay_where_they_are_when_others_come_and_go(again: Any, machine: str) -> None:
    old = NIC.format("virtio") + DISK.format("vda", "virtio") + DISK.format("vdb", "virtio") + RNG
    new = RNG + DISK.format("vdc", "virtio") + DISK.format("vdb", "virtio")
    first, second = again(old, new, machine=machine)
    before, after = slots(first), slots(second)
    assert after["vdb"] == before["vdb"]
    assert after["rng"] == before["rng"]
    assert after["memballoon"] == before["memballoon"]
    assert len(set(after.values())) == len(after)


def test_a_card_that_became_another_model_keeps_its_mac_alone(again: Any) -> None:
    first, second = again(NIC.format("virtio"), NIC.format("e1000"), machine="q35")
    (old,), (new,) = first.domain.devices.interface, second.domain.devices.interface
    assert new.mac.address == old.mac.address
    assert new.address != old.address


def test_a_disk_of_another_target_is_another_disk(again: Any) -> None:
    first, second = again(DISK.format("vda", "virtio") + RNG, DISK.format("vdb", "virtio") + RNG)
    kept = {entry.path for entry in second.report if entry.kind == "kept"}
    assert "devices/disk/address" not in kept
    assert "devices/rng/address" in kept
    assert slots(first)["rng"] == slots(second)["rng"]


def test_cards_are_known_by_the_names_their_owner_gave(again: Any) -> None:
    card = "<interface type='user'><model type='virtio'/><alias name='ua-{}'/></interface>"
    first, second = again(card.format("a") + card.format("b"), card.format("b") + card.format("a"))
    macs = [{each.alias.name: each.mac.address for each in done.domain.devices.interface} for done in (first, second)]
    assert macs[0] == macs[1]


def test_what_the_document_says_counts(again: Any) -> None:
    place = "<address type='pci' domain='0x0000' bus='0x00' slot='{}' function='0x0'/>"
    old = DISK.format("vda", "virtio") + RNG
    first, _ = again(old, old, machine="pc")
    slot = slots(first)["rng"][1]
    new = RNG + DISK.format("vda", "virtio").replace("</disk>", place.format(f"0x{slot:02x}") + "</disk>")
    _, second = again(old, new, machine="pc")
    assert slots(second)["vda"][1] == slot
    assert slots(second)["rng"][1] != slot


def test_another_kind_of_machine_has_places_of_its_own(core: Any, sketch: Any) -> None:
    first = core.complete(sketch(RNG, name="vm", machine="pc"))
    former = Former(1, lambda: first.domain)
    second = complete_text(sketch(RNG, name="vm", machine="q35"), core.host(), lambda *_: core.caps, former=former)
    assert slots(second)["rng"][0] > 0
