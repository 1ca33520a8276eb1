"""Audio backends: where the host plays and records. Used through `FAMILY` in devices/__init__ and by domain/rules."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from domicile.devices.family import Family
from domicile.devices.parts.device import Device
from domicile.devices.parts.omit import omit
from domicile.plan.facts import Completion, Planning
from domicile.plan.need import Need
from domicile.plan.qemu import Item, Structured
from domicile.schema import field as f
from domicile.schema.scalar import PUINT, UINT, YES_NO, enum
from domicile.schema.shape import Element, element

TYPES = ("none", "alsa", "coreaudio", "jack", "oss", "pulseaudio", "sdl", "spice", "file", "dbus", "pipewire")
_DRIVERS = {"pulseaudio": "pa", "file": "wav"}
_NEVER = ("boot", "alias", "master", "rom", "acpi", "address")
# What only some backends know: for the backend itself, and for each direction.
_OWN: dict[str, tuple[str, ...]] = {
    "oss": ("tryMMap", "exclusive", "dspPolicy"),
    "pulseaudio": ("serverName",),
    "pipewire": ("runtimeDir",),
    "sdl": ("driver",),
    "file": ("path",),
}
_SIDE: dict[str, tuple[str, ...]] = {
    "alsa": ("dev",),
    "coreaudio": ("bufferCount",),
    "jack": ("serverName", "clientName", "connectPorts", "exactName"),
    "oss": ("dev", "bufferCount", "tryPoll"),
    "pulseaudio": ("name", "streamName", "latency"),
    "pipewire": ("name", "streamName", "latency"),
    "sdl": ("bufferCount",),
}
_COMMON = ("mixingEngine", "fixedSettings", "voices", "bufferLength")


@element("settings", "固定的声音格式")
class Settings(Element):
    """The form of the sound that the backend asks the host for."""

    frequency: int | None = f.attr("Samples a second.", "采样率。", PUINT)
    channels: int | None = f.attr("How many channels.", "声道数。", PUINT)
    format: str | None = f.attr(
        "How one sample is written.", "采样格式。", enum("s8", "u8", "s16", "u16", "s32", "u32", "f32")
    )


@element("input", "录音或播放的选项")
class Direction(Element):
    """One direction of the sound: what the guest records, or what it plays."""

    mixingEngine: bool | None = f.attr("Whether QEMU mixes and converts.", "是否由 QEMU 混音和转换。", YES_NO)
    fixedSettings: bool | None = f.attr(
        "Whether the host sees one form of sound, whatever the guest chooses.", "主机侧是否使用固定格式。", YES_NO
    )
    voices: int | None = f.attr("How many voices at once.", "同时的声部数。", PUINT)
    bufferLength: int | None = f.attr("The buffer's length in microseconds.", "缓冲区长度（微秒）。", PUINT)
    dev: str | None = f.attr("The host's device.", "主机设备。")
    bufferCount: int | None = f.attr("How many buffers.", "缓冲区个数。", UINT)
    tryPoll: bool | None = f.attr("Whether OSS is polled where it can be.", "OSS 可轮询时是否轮询。", YES_NO)
    serverName: str | None = f.attr("The JACK server.", "JACK 服务器名。")
    clientName: str | None = f.attr("The name JACK shows.", "在 JACK 中显示的名称。")
    connectPorts: str | None = f.attr("A pattern of the JACK ports to connect to.", "要连接的 JACK 端口的模式。")
    exactName: bool | None = f.attr("Whether JACK must grant that very name.", "是否必须使用该名称。", YES_NO)
    name: str | None = f.attr("The sink or source of the sound server.", "声音服务器的接收端或来源。")
    streamName: str | None = f.attr("The name of the stream.", "流的名称。")
    latency: int | None = f.attr("The wished latency in microseconds.", "期望的延迟（微秒）。", PUINT)
    settings: Settings | None = f.child("The fixed form of the sound.", "固定的声音格式。", Settings)


@element("audio", "音频后端", identity=("id",))
class Audio(Device):
    """A place on the host where sound is played and recorded."""

    id: int | None = f.attr(
        "Its number, by which cards name it.", "编号，供声卡引用。", PUINT, effect="never", required=True
    )
    type: str | None = f.attr("The host's sound system.", "主机的声音系统。", enum(*TYPES), required=True)
    timerPeriod: int | None = f.attr(
        "How often QEMU looks after the sound, in microseconds.", "QEMU 处理声音的周期（微秒）。", PUINT
    )
    tryMMap: bool | None = f.attr("Whether OSS memory is mapped where it can be.", "OSS 可映射内存时是否映射。", YES_NO)
    exclusive: bool | None = f.attr("Whether OSS devices are held alone.", "是否独占 OSS 设备。", YES_NO)
    dspPolicy: int | None = f.attr("OSS's timing policy, -1 to 10.", "OSS 的时序策略，-1 至 10。", UINT)
    serverName: str | None = f.attr("The PulseAudio server.", "PulseAudio 服务器。")
    runtimeDir: str | None = f.attr("The directory of PipeWire's socket.", "PipeWire 套接字所在目录。")
    driver: str | None = f.attr(
        "The sound system SDL uses.",
        "SDL 使用的声音系统。",
        enum("esd", "alsa", "arts", "pulseaudio"),
    )
    path: str | None = f.attr("The WAV file that is written.", "写入的 WAV 文件。")
    input: Direction | None = f.child("What the guest records.", "客户机的录音。", Direction, keep_empty=False)
    output: Direction | None = f.child("What the guest plays.", "客户机的播放。", Direction, keep_empty=False)


@cache
def _foreign(kind: str) -> tuple[list[str], list[str]]:
    """List what other backends know and this one does not, of itself and of each direction."""
    named = {slot for slots in _OWN.values() for slot in slots} - set(_OWN.get(kind, ()))
    sides = {slot for slots in _SIDE.values() for slot in slots} - set(_SIDE.get(kind, ()))
    return sorted(named), sorted(sides)


def defaults(audio: Audio, c: Completion) -> None:
    """Leave out what this backend does not know."""
    kind = audio.type or ""
    why = f"the backend {kind} has no such thing", f"后端 {kind} 没有此项"
    named, sides = _foreign(kind)
    omit(audio, [*_NEVER, *named], c, *why)
    for side in (audio.input, audio.output):
        if side is None:
            continue
        omit(side, sides, c, *why)
        side.bufferCount = side.bufferCount or None
        if side.fixedSettings and side.settings is None:
            side.settings = Settings()
    for slot in ("input", "output"):
        if getattr(audio, slot) == Direction():
            setattr(audio, slot, None)


def check(audio: Audio, c: Completion) -> None:
    """Find what cannot be."""
    for slot, accepted in (("id", "a number from 1"), ("type", ", ".join(TYPES))):
        if getattr(audio, slot) is None:
            c.problem(audio, f"element 'audio' has no attribute '{slot}'", accepted, f"@{slot}")
    if audio.type == "dbus" and not c.caps.has_schema("query-display-options/ret-type/type/^dbus"):
        c.problem(audio, "audio of type 'dbus' does not exist in this emulator", "none, spice, …", "@type")
    # QEMU tells of its sound systems since the release that knows PipeWire; whether it was built in, only a start shows.
    if audio.type == "pipewire" and not c.caps.has_command("query-audiodevs"):
        c.problem(audio, "audio of type 'pipewire' does not exist in this emulator", "none, spice, …", "@type")
    for side in (audio.input, audio.output):
        if side is None:
            continue
        if side.fixedSettings and not side.mixingEngine:
            c.problem(side, "'fixedSettings' need QEMU's mixing", "mixingEngine='yes'", "@fixedSettings")
        if side.settings is not None and not side.fixedSettings:
            c.problem(side, "'settings' only count with fixed settings", "fixedSettings='yes'", "settings")


def check_together(backends: Sequence[Audio], c: Completion) -> None:
    """Find two backends of one number."""
    seen: set[int | None] = set()
    for audio in backends:
        if audio.id is not None and audio.id in seen:
            c.problem(
                audio, f"there is more than one audio backend with the id '{audio.id}'", "a number of its own", "@id"
            )
        seen.add(audio.id)


def default_type(graphics: Sequence[str | None], environment: dict[str, str]) -> tuple[str | None, str | None]:
    """Name the backend (and SDL's driver) for a machine that has none, from the types of its displays; None adds none.

    The last display that plays sound by itself decides. Source: observed with libvirt 9.0.
    """
    last = next((kind for kind in reversed(graphics) if kind in ("vnc", "spice", "sdl")), None)
    if last == "vnc" or not graphics:
        return "none", None
    if last == "spice":
        return "spice", None
    if last == "sdl":
        named = environment.get("QEMU_AUDIO_DRV")
        kind = {"pa": "pulseaudio", "wav": "file"}.get(named or "", named)
        return (kind if kind in TYPES else None), environment.get("SDL_AUDIODRIVER") if kind == "sdl" else None
    return None, None


def environment(audio: Audio) -> dict[str, str]:
    """Say which variables QEMU's environment needs for this backend."""
    if audio.type == "sdl" and audio.driver is not None:
        return {"SDL_AUDIODRIVER": audio.driver}
    # QEMU tells of its sound systems since the release that knows PipeWire; whether it was built in, only a start shows.
    if audio.type == "pipewire" and audio.runtimeDir is not None:
        return {"PIPEWIRE_RUNTIME_DIR": audio.runtimeDir}
    return {}


def plan(audio: Audio, p: Planning) -> Iterator[Item | Need]:
    """Ask for the backend."""
    kind = audio.type or "none"
    props: dict[str, Any] = {
        "id": f"audio{audio.id}",
        "driver": _DRIVERS.get(kind, kind),
        "timer-period": audio.timerPeriod,
        "try-mmap": audio.tryMMap,
        "exclusive": audio.exclusive,
        "dsp-policy": audio.dspPolicy,
        "server": audio.serverName,
        "path": audio.path,
        "in": _direction(kind, audio.input),
        "out": _direction(kind, audio.output),
    }
    yield Structured("audiodev", props, origin=p.origin(audio))


def _direction(kind: str, side: Direction | None) -> dict[str, Any] | None:
    if side is None:
        return None
    found: dict[str, Any] = {_key(slot): getattr(side, slot) for slot in _COMMON}
    if side.settings is not None:
        found |= {slot: getattr(side.settings, slot) for slot in ("frequency", "channels", "format")}
    found |= {_key(slot): getattr(side, slot) for slot in _SIDE.get(kind, ())}
    return {key: value for key, value in found.items() if value is not None} or None


def _key(slot: str) -> str:
    """Write a name as QEMU does: mixingEngine is mixing-engine."""
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in slot)


FAMILY = Family(element=Audio, defaults=defaults, check=check, alias=lambda device, index, planning: "", plan=plan)
