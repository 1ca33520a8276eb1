"""Random number generators. Used through `FAMILY` in devices/__init__."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from domicile.devices.family import Family
from domicile.devices.parts import chardev
from domicile.devices.parts.bus import alias_of, virtio_driver, virtio_props, want_virtio, where
from domicile.devices.parts.chardev import TYPE_EN, TYPE_ZH, TYPES, CharLog, CharProtocol, CharSource
from domicile.devices.parts.chardev_plan import chardev as host_end
from domicile.devices.parts.device import Device, VirtioOptions
from domicile.devices.parts.omit import omit
from domicile.plan.facts import Completion, Facts, Planning
from domicile.plan.need import File, Need
from domicile.plan.place import Want
from domicile.plan.qemu import Item, Structured
from domicile.schema import field as f
from domicile.schema.scalar import UINT, enum
from domicile.schema.shape import Element, element

_PERIOD_MS = 1000


@element("rate", "取用速率")
class RngRate(Element):
    """How much the guest may take."""

    bytes: int | None = f.attr("Bytes in each period.", "每个周期的字节数。", UINT)
    period: int | None = f.attr("The period in milliseconds; 1000 unless told.", "周期（毫秒），默认 1000。", UINT)


@element("backend", "随机数的来源")
class RngBackend(Element):
    """Where the random numbers come from."""

    model: str | None = f.attr(
        "random reads a device of the host, egd asks a daemon, builtin is QEMU's own generator.",
        "random 读取主机设备，egd 询问守护进程，builtin 为 QEMU 自带的生成器。",
        enum("random", "egd", "builtin"),
    )
    type: str | None = f.attr(TYPE_EN, TYPE_ZH, enum(*TYPES))
    source: list[CharSource] = f.children("Where the daemon is.", "守护进程的位置。", CharSource, keep_empty=False)
    protocol: CharProtocol | None = f.child("What is spoken over TCP.", "TCP 上的协议。", CharProtocol)
    log: CharLog | None = f.child("A copy of what is sent.", "发送内容的副本。", CharLog)
    path: str | None = f.text("The host's device that is read.", "所读取的主机设备。")


@element("driver", "virtio 选项")
class RngDriver(VirtioOptions):
    """What a virtio generator lets its owner choose."""


@element("rng", "随机数发生器")
class Rng(Device):
    """A source of random numbers for the guest."""

    model: str | None = f.attr(
        "The flavour of virtio.",
        "virtio 的变体。",
        enum("virtio", "virtio-transitional", "virtio-non-transitional"),
        guest=True,
    )
    rate: RngRate | None = f.child("How much the guest may take.", "取用速率的上限。", RngRate)
    backend: RngBackend | None = f.child("Where the numbers come from.", "随机数的来源。", RngBackend)
    driver: RngDriver | None = f.child("Options of virtio.", "virtio 选项。", RngDriver, keep_empty=False)


def defaults(rng: Rng, c: Completion) -> None:
    """Fill in the host's device, or the daemon's end."""
    backend = rng.backend
    if rng.rate is not None and not rng.rate.bytes:
        omit(rng, ("rate",), c, "there is no limit", "没有限额")
    if backend is None:
        return
    if backend.path is not None and (backend.model != "random" or not backend.path.strip()):
        backend.path = None
    if backend.model == "random" and backend.path is None:
        c.default(backend, "path", "/dev/random", "the host's generator", "主机的随机数设备")
    elif backend.model == "egd" and backend.type is not None:
        chardev.defaults(backend, c)


def check(rng: Rng, c: Completion) -> None:
    """Find what cannot be."""
    backend = rng.backend
    if rng.model is None:
        c.problem(rng, "element 'rng' has no attribute 'model'", "virtio", "@model")
    if backend is None or backend.model is None:
        c.problem(
            rng, "element 'rng' has no <backend> with an attribute 'model'", "random, egd, builtin", "backend/@model"
        )
        return
    if backend.model == "egd":
        if backend.type is None:
            c.problem(backend, "<backend> of model 'egd' has no attribute 'type'", "tcp, udp, unix", "@type")
        else:
            chardev.check(backend, c)
    if rng.address is not None and rng.address.type not in ("pci", "ccw", "virtio-mmio"):
        message = f"<rng> has an address of type '{rng.address.type}'"
        c.problem(rng.address, message, "pci, ccw, virtio-mmio", "@type")


def place(rng: Rng, facts: Facts) -> Want | None:
    """Ask for a place on the bus of virtio devices."""
    return want_virtio(rng, facts, rng.model)


def plan(rng: Rng, p: Planning) -> Iterator[Item | Need]:
    """Ask for the source and the device that hands it to the guest."""
    origin, name = p.origin(rng), alias_of(rng)
    backend = rng.backend or RngBackend()
    source: dict[str, Any] = {"qom-type": f"rng-{backend.model}", "id": f"obj{name}"}
    if backend.model == "egd":
        yield from host_end(backend, f"char{name}", p, origin=origin)
        source["chardev"] = f"char{name}"
    elif backend.model == "random" and backend.path:
        yield File(backend.path, writable=False, origin=origin)
        source["filename"] = backend.path
    yield Structured("object", source, origin=origin)
    props: dict[str, Any] = {
        "driver": virtio_driver("virtio-rng", rng, rng.model),
        **virtio_props(rng.driver),
        "rng": f"obj{name}",
        "id": name,
    }
    if rng.rate is not None and rng.rate.bytes:
        props |= {"max-bytes": rng.rate.bytes, "period": rng.rate.period or _PERIOD_MS}
    yield Structured("device", {**props, **where(rng, p)}, origin=origin)


FAMILY = Family(element=Rng, defaults=defaults, check=check, place=place, plan=plan)
