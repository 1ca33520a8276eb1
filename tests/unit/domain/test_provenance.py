"""Whose word a value is, over one definition and over a history of them."""

from __future__ import annotations

from typing import Any

from domicile.domain import document
from domicile.domain.provenance import Owners, Version, owners

DISK = "<disk type='file'><source file='/a.img'/><target dev='vda'/></disk>"
NIC = "<interface type='user'><model type='e1000'/></interface>"


def version(core: Any, text: str) -> Version:
    done = core.complete(text)
    report = [{"path": e.path, "kind": e.kind, "en": e.en, "zh": e.zh} for e in done.report]
    return Version(text, document.write(done.domain), report)


def who(found: Owners, path: str) -> str:
    return found[path].who


def test_what_was_written_is_the_owners(core: Any, sketch: Any) -> None:
    found = owners([version(core, sketch(DISK))])
    assert who(found, "name") == "yours"
    assert who(found, "devices/disk/source/@file") == "yours"
    assert who(found, "devices/disk/target/@dev") == "yours"


def test_what_was_filled_in_is_generated_and_says_why(core: Any, sketch: Any) -> None:
    found = owners([version(core, sketch(DISK))])
    for path in ("uuid", "devices/disk/driver", "devices/disk/address/@slot", "devices/memballoon", "clock"):
        assert who(found, path) == "generated", path
        assert found[path].en, path
        assert found[path].zh, path


def test_a_default_of_the_model_is_not_the_owners(core: Any, sketch: Any) -> None:
    found = owners([version(core, sketch(DISK))])
    assert who(found, "devices/disk/@device") == "generated"


def test_another_form_is_the_owners_with_what_was_written(core: Any, sketch: Any) -> None:
    found = owners([version(core, sketch(memory="<memory unit='MiB'>64</memory>", machine="pc"))])
    assert (found["memory/text()"].who, found["memory/text()"].wrote) == ("adjusted", "64")
    assert (found["os/type/@machine"].who, found["os/type/@machine"].wrote) == ("adjusted", "pc")
    assert "pc" in found["os/type/@machine"].en


def test_devices_nobody_wrote_do_not_take_the_place_of_those_somebody_did(core: Any, sketch: Any) -> None:
    controller = "<controller type='scsi' index='0' model='virtio-scsi'/>"
    text = sketch(controller + NIC)
    found = owners([version(core, text)])
    completed = core.complete(text).domain
    for index, device in enumerate(completed.devices.controller):
        expected = "yours" if device.type == "scsi" else "generated"
        assert who(found, f"devices/controller[{index + 1}]") == expected, device


def test_what_is_copied_from_the_completed_document_stays_generated(core: Any, sketch: Any) -> None:
    first = version(core, sketch(DISK + NIC))
    edited = first.completed.replace("/a.img", "/b.img")
    found = owners([first, version(core, edited)])
    assert who(found, "uuid") == "generated"
    assert who(found, "devices/disk/address") == "generated"
    assert who(found, "devices/interface/mac/@address") == "generated"
    assert who(found, "devices/disk/source/@file") == "yours"


def test_what_the_next_author_changes_is_theirs(core: Any, sketch: Any) -> None:
    first = version(core, sketch(NIC))
    mac = owners([first])
    assert who(mac, "devices/interface/mac/@address") == "generated"
    address = core.complete(first.completed).domain.devices.interface[0].mac.address
    second = version(core, first.completed.replace(address, "52:54:00:aa:bb:cc"))
    assert who(owners([first, second]), "devices/interface/mac/@address") == "yours"


def test_every_place_has_an_owner(core: Any, sketch: Any) -> None:
    first = version(core, sketch(DISK + NIC + "<graphics type='vnc'/>"))
    found = owners([first])
    stored = document.read_stored(first.completed)
    from domicile.schema import tree

    for path, _ in tree.leaves(stored):
        assert path in found or f"{path}/text()" in found, path
