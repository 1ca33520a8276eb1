"""Sound cards. Used through `FAMILY` in devices/__init__; domain/address asks `special_slot`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from domicile.devices.family import Family
from domicile.devices.parts.audio import AudioReference
from domicile.devices.parts.bus import alias_of, virtio_driver, virtio_props, want_card, want_legacy, want_virtio, where
from domicile.devices.parts.device import Device, PciAddress, VirtioOptions
from domicile.devices.parts.omit import omit
from domicile.plan.facts import Completion, Facts, Planning
from domicile.plan.need import Need
from domicile.plan.place import Want, WantUsb
from domicile.plan.qemu import Item, Structured
from domicile.schema import field as f
from domicile.schema.scalar import UINT, YES_NO, enum
from domicile.schema.shape import Element, element

MODELS = ("sb16", "es1370", "pcspk", "ac97", "ich6", "ich9", "usb", "ich7", "virtio")
_DRIVERS = {
    "sb16": "sb16",
    "es1370": "ES1370",
    "ac97": "AC97",
    "ich6": "intel-hda",
    "ich9": "ich9-intel-hda",
    "usb": "usb-audio",
}
_HDA = ("ich6", "ich9")


@element("codec", "HDA 编解码器")
class Codec(Element):
    """A codec of an HDA card: the lines the guest sees."""

    type: str | None = f.attr(
        "Line in and out, microphone and speaker, or output alone.",
        "线路输入输出、麦克风与扬声器，或仅输出。",
        enum("duplex", "micro", "output"),
        guest=True,
        required=True,
    )


@element("driver", "virtio 选项")
class SoundDriver(VirtioOptions):
    """The options of a virtio sound card."""


@element("sound", "声卡")
class Sound(Device):
    """A sound card of the guest."""

    model: str | None = f.attr("The card.", "型号。", enum(*MODELS), guest=True, required=True)
    multichannel: bool | None = f.attr(
        "Whether a USB card has more than two channels.", "USB 声卡是否多于两个声道。", YES_NO, guest=True
    )
    streams: int | None = f.attr("How many streams a virtio card has.", "virtio 声卡的流数。", UINT, guest=True)
    codecs: list[Codec] = f.children("The lines of an HDA card.", "HDA 声卡的编解码器。", Codec, name="codec")
    audio: AudioReference | None = f.child(
        "The backend; left out, the machine's first.", "音频后端；省略时取第一个。", AudioReference
    )
    driver: SoundDriver | None = f.child(
        "The options of a virtio card.", "virtio 选项。", SoundDriver, keep_empty=False, order=96
    )


def defaults(sound: Sound, c: Completion) -> None:
    """Leave out what the card does not have; a virtio card has two streams."""
    own = {"codecs": _HDA, "multichannel": ("usb",), "streams": ("virtio",), "driver": ("virtio",)}
    foreign = [slot for slot, models in own.items() if sound.model not in models]
    why = f"a card of model {sound.model} has no such thing", f"型号 {sound.model} 没有此项"
    omit(sound, foreign, c, *why)
    if sound.model == "virtio" and sound.streams is None:
        c.default(sound, "streams", 2, "one to play and one to record", "一个播放流和一个录音流")


def check(sound: Sound, c: Completion) -> None:
    """Find what cannot be."""
    model = sound.model
    if model is None:
        c.problem(sound, "element 'sound' has no attribute 'model'", ", ".join(MODELS), "@model")
    elif not _exists(model, c):
        accepted = ", ".join(word for word in MODELS if _exists(word, c))
        c.problem(sound, f"sound model '{model}' does not exist in this emulator", accepted, "@model")
    for codec in sound.codecs:
        if codec.type is None:
            c.problem(codec, "element 'codec' has no attribute 'type'", "duplex, micro, output", "@type")
    if sound.audio is not None and sound.audio.id is None:
        c.problem(sound.audio, "element 'audio' has no attribute 'id'", "the number of an <audio>", "@id")
    if sound.streams == 0:
        c.problem(sound, "attribute 'streams' has the value '0'", "1 or more", "@streams")


def _exists(model: str, facts: Facts) -> bool:
    if model == "pcspk":
        return facts.x86
    if model == "virtio":
        return any(facts.caps.has_device(f"virtio-sound-{bus}") for bus in ("pci", "device"))
    return model in _DRIVERS and facts.caps.has_device(_DRIVERS[model])


def place(sound: Sound, facts: Facts) -> Want | None:
    """Ask for a PCI slot or a USB port; old cards sit on the ISA bus."""
    if sound.model == "usb":
        return WantUsb()
    if sound.model == "virtio":
        # There is none on a channel.
        return want_card(facts) if facts.board.virtio == "ccw" else want_virtio(sound, facts)
    return want_legacy() if sound.model in ("es1370", "ac97", *_HDA) else None


def special_slot(sound: Sound, facts: Facts) -> PciAddress | None:
    """Say where the chipset of a Q35 has its sound card, if that slot is free."""
    return PciAddress(domain=0, bus=0, slot=0x1B, function=0) if facts.q35 and sound.model == "ich9" else None


def speaker(sound: Sound, p: Planning) -> str | None:
    """Name the backend of the PC speaker, which is an option of ``-machine`` and no device."""
    return _backend(sound, p) if sound.model == "pcspk" else None


def plan(sound: Sound, p: Planning) -> Iterator[Item | Need]:
    """Ask for the card, and for the codecs of an HDA card behind it."""
    model, name, origin = sound.model, alias_of(sound), p.origin(sound)
    if model is None or model == "pcspk":
        return
    props: dict[str, Any] = {"driver": _DRIVERS.get(model)}
    if model == "virtio":
        props = {"driver": virtio_driver("virtio-sound", sound), **virtio_props(sound.driver)}
    props["id"] = name
    if model not in _HDA:
        props["audiodev"] = _backend(sound, p)
    props |= {"multi": sound.multichannel, "streams": sound.streams, **where(sound, p)}
    yield Structured("device", props, origin=origin)
    if model in _HDA:
        for number, kind in enumerate([codec.type for codec in sound.codecs] or ["duplex"]):
            codec = {"driver": f"hda-{kind}", "id": f"{name}-codec{number}", "bus": f"{name}.0", "cad": number}
            yield Structured("device", {**codec, "audiodev": _backend(sound, p)}, origin=origin)


def _backend(sound: Sound, p: Planning) -> str | None:
    return p.audio(sound.audio.id if sound.audio is not None else None)


FAMILY = Family(
    element=Sound, defaults=defaults, check=check, place=place, alias=lambda d, i, p: f"sound{i}", plan=plan
)
