from __future__ import annotations

from typing import Any

import pytest

from domicile.devices.sound import FAMILY, place, speaker, special_slot
from domicile.plan.place import WantPci, WantUsb


@pytest.fixture
def card(bench: Any) -> Any:
    types = ("sb16", "ES1370", "AC97", "intel-hda", "ich9-intel-hda", "usb-audio", "virtio-sound-pci")
    return bench(FAMILY, machine="q35", types=types)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("<sound model='virtio'/>", "<sound model='virtio' streams='2'/>"),
        ("<sound model='ac97' streams='2' multichannel='no'><codec type='micro'/></sound>", "<sound model='ac97'/>"),
        ("<sound model='ich6'><codec type='micro'/></sound>", "<codec type='micro'/>"),
        (
            "<sound model='virtio'><driver packed='on'/><alias name='ua-s'/></sound>",
            "<alias name='ua-s'/>\n  <driver packed='on'/>",
        ),
    ],
)
def test_only_what_the_card_has_is_kept(card: Any, given: str, kept: str) -> None:
    assert kept in card.kept(given)


def test_what_cannot_be_is_named(card: Any) -> None:
    assert "'model'" in card.problems("<sound/>")[0]
    assert "'ich7'" in card.problems("<sound model='ich7'/>")[0]
    assert "'type'" in card.problems("<sound model='ich9'><codec/></sound>")[0]


def test_an_hda_card_has_codecs_behind_it(card: Any) -> None:
    controller, codec = card.props("<sound model='ich9'/>")
    assert controller == {"driver": "ich9-intel-hda", "id": "sound0"}
    assert codec == {"driver": "hda-duplex", "id": "sound0-codec0", "bus": "sound0.0", "cad": 0, "audiodev": "audio1"}
    named = card.props("<sound model='ich6'><codec type='micro'/><codec type='output'/><audio id='2'/></sound>")
    assert [(item["driver"], item.get("audiodev")) for item in named[1:]] == [
        ("hda-micro", "audio2"),
        ("hda-output", "audio2"),
    ]


def test_other_cards_are_one_device(card: Any) -> None:
    assert card.props("<sound model='ac97'/>") == [{"driver": "AC97", "id": "sound0", "audiodev": "audio1"}]
    assert card.props("<sound model='usb' multichannel='yes'/>")[0]["multi"] is True
    assert card.props("<sound model='virtio'><driver packed='on'/></sound>") == [
        {"driver": "virtio-sound-pci", "packed": True, "id": "sound0", "audiodev": "audio1", "streams": 2}
    ]


def test_the_speaker_is_an_option_of_the_machine(card: Any) -> None:
    assert card.props("<sound model='pcspk'/>") == []
    assert speaker(card.read("<sound model='pcspk'/>"), card.planning()) == "audio1"


def test_places(card: Any) -> None:
    c = card.completion()
    assert isinstance(place(card.read("<sound model='ich9'/>"), c), WantPci)
    assert isinstance(place(card.read("<sound model='usb'/>"), c), WantUsb)
    assert place(card.read("<sound model='sb16'/>"), c) is None
    chipset = special_slot(card.read("<sound model='ich9'/>"), c)
    assert chipset is not None
    assert chipset.slot == 0x1B
