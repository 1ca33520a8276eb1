"""Hubs, redirected devices and smartcards."""

from __future__ import annotations

from typing import Any

import pytest
from lxml import etree

from domicile.devices import hub, redirdev, smartcard
from domicile.plan.place import WantUsb
from domicile.schema.read import Reader
from domicile.schema.write import write

PORT = "<address type='usb' bus='0' port='1'/>"


def test_hub(bench: Any) -> None:
    pc = bench(hub.FAMILY)
    assert pc.props(f"<hub type='usb'>{PORT}</hub>") == [
        {"driver": "usb-hub", "id": "hub0", "bus": "usb.0", "port": "1"}
    ]
    assert hub.FAMILY.place(pc.completed("<hub type='usb'/>"), pc.completion()) == WantUsb(hub=8)
    assert pc.problems("<hub/>")
    assert "'pci'" in pc.problems("<hub type='pci'/>")[0]


def test_redirected_devices(bench: Any, words: Any) -> None:
    pc = bench(redirdev.FAMILY)
    assert pc.kept("<redirdev type='dbus'/>") == (
        "<redirdev bus='usb' type='dbus'>\n  <source channel='org.qemu.usbredir'/>\n</redirdev>"
    )
    items = pc.planned(f"<redirdev type='spicevmc'>{PORT}</redirdev>")
    assert words(items, "-chardev") == "spicevmc,id=charredir0,name=usbredir"
    assert pc.props(f"<redirdev type='spicevmc'>{PORT}</redirdev>") == [
        {"driver": "usb-redir", "chardev": "charredir0", "id": "redir0", "bus": "usb.0", "port": "1"}
    ]
    assert "'type'" in pc.problems("<redirdev/>")[0]


def test_the_filter_in_both_forms() -> None:
    xml = (
        "<redirfilter>\n  <usbdev class='0x08' vendor='0x1234' product='0xBEEF' version='2.56' allow='yes'/>\n"
        "  <usbdev allow='no'/>\n</redirfilter>\n"
    )
    made = Reader().element(redirdev.RedirFilter.shape, etree.fromstring(xml))
    assert write(made) == xml
    assert redirdev.filter_words(made) == "0x08:0x1234:0xBEEF:0x0256:1|-1:-1:-1:-1:0"


def test_smartcards(bench: Any, words: Any) -> None:
    pc = bench(smartcard.FAMILY)
    passed = "<smartcard mode='passthrough' type='spicevmc'/>"
    assert pc.kept(passed).startswith("<smartcard mode='passthrough' type='spicevmc'>\n  <address type='ccid'")
    assert words(pc.planned(passed), "-chardev") == "spicevmc,id=charsmartcard0,name=smartcard"
    assert pc.props(passed)[0] == {
        "driver": "ccid-card-passthru",
        "chardev": "charsmartcard0",
        "id": "smartcard0",
        "bus": "ccid0.0",
    }
    assert pc.props("<smartcard mode='host'/>")[0]["backend"] == "nss-emulated"
    names = "".join(f"<certificate>{name}</certificate>" for name in "abc")
    made = pc.props(f"<smartcard mode='host-certificates'>{names}</smartcard>")[0]
    assert (made["cert1"], made["cert3"], made["db"]) == ("a", "c", "/etc/pki/nssdb")


@pytest.mark.parametrize(
    "xml",
    [
        "<smartcard/>",
        "<smartcard mode='passthrough'/>",
        "<smartcard mode='host-certificates'><certificate>a</certificate></smartcard>",
        "<smartcard mode='host-certificates'><database>relative</database></smartcard>",
    ],
)
def test_smartcard_refusals(bench: Any, xml: str) -> None:
    assert bench(smartcard.FAMILY).problems(xml)
