"""A document for other hosts, also for older ones: without what every such machine has anyway. Called by service."""

from __future__ import annotations

from typing import Any

from domicile.devices.audio import Audio
from domicile.devices.controller import Controller
from domicile.devices.input import Input
from domicile.domain.domain import Domain


def strip(domain: Domain) -> None:
    """Leave out what is implied: the usual PC's USB controller, the root of PCI, the PS/2 keyboard, the audio that is none.

    Source: observed with libvirt 9.0.
    """
    devices = domain.devices
    if devices is None:
        return
    machine = domain.os.type.machine or "" if domain.os is not None and domain.os.type is not None else ""
    controllers = devices.of(Controller)
    usb = [each for each in controllers if each.type == "usb"]
    gone: list[Any] = []
    if (
        len(usb) == 1
        and not usb[0].index
        and usb[0].model == "piix3-uhci"
        and machine.startswith(("pc-i440fx-", "pc-0.", "pc-1."))
    ):
        gone += usb
    gone += [each for each in controllers if each.type == "pci" and not each.index and each.model == "pci-root"]
    controllers[:] = [each for each in controllers if not any(each is one for one in gone)]
    inputs = devices.of(Input)
    inputs[:] = [each for each in inputs if (each.type, each.bus) != ("keyboard", "ps2")]
    audios = devices.of(Audio)
    if len(audios) == 1 and audios[0].type == "none":
        audios.clear()
