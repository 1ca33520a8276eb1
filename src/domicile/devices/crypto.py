"""Cryptographic accelerators. Used through `FAMILY` in devices/__init__."""

from __future__ import annotations

from collections.abc import Iterator

from domicile.devices.family import Family
from domicile.devices.parts.bus import alias_of, virtio_driver, virtio_props, want_virtio, where
from domicile.devices.parts.device import Device, VirtioOptions
from domicile.plan.facts import Completion, Facts, Planning
from domicile.plan.need import Need
from domicile.plan.place import Want
from domicile.plan.qemu import Item, Structured
from domicile.schema import field as f
from domicile.schema.scalar import PUINT, enum
from domicile.schema.shape import Element, element


@element("backend", "加密运算的执行者")
class CryptoBackend(Element):
    """Who does the work on the host."""

    model: str | None = f.attr(
        "builtin is QEMU itself, lkcf the host's kernel.",
        "builtin 为 QEMU 自身，lkcf 为主机内核。",
        enum("builtin", "lkcf"),
    )
    queues: int | None = f.attr("How many queues the guest gets.", "客户机有多少个队列。", PUINT, guest=True)


@element("driver", "virtio 选项")
class CryptoDriver(VirtioOptions):
    """What a virtio accelerator lets its owner choose."""


@element("crypto", "加密加速器")
class Crypto(Device):
    """A device that encrypts for the guest."""

    model: str | None = f.attr("The model.", "型号。", enum("virtio"), guest=True)
    type: str | None = f.attr("Who provides it.", "由谁提供。", enum("qemu"))
    backend: CryptoBackend | None = f.child("Who does the work.", "由谁执行运算。", CryptoBackend)
    driver: CryptoDriver | None = f.child("Options of virtio.", "virtio 选项。", CryptoDriver, keep_empty=False)


def check(crypto: Crypto, c: Completion) -> None:
    """Find what cannot be."""
    for slot, accepted in (("model", "virtio"), ("type", "qemu")):
        if getattr(crypto, slot) is None:
            c.problem(crypto, f"element 'crypto' has no attribute '{slot}'", accepted, f"@{slot}")
    model = crypto.backend.model if crypto.backend is not None else None
    if model is None:
        message = "element 'crypto' has no <backend> with an attribute 'model'"
        c.problem(crypto, message, "builtin, lkcf", "backend/@model")
    elif not c.caps.has_object(f"cryptodev-backend-{model}"):
        c.problem(crypto.backend, f"this QEMU has no crypto backend '{model}'", "builtin", "@model")
    if crypto.address is not None and crypto.address.type not in ("pci", "ccw"):
        c.problem(crypto.address, f"<crypto> has an address of type '{crypto.address.type}'", "pci, ccw", "@type")


def place(crypto: Crypto, facts: Facts) -> Want | None:
    """Ask for a place on the bus of virtio devices."""
    return want_virtio(crypto, facts, crypto.model)


def plan(crypto: Crypto, p: Planning) -> Iterator[Item | Need]:
    """Ask for the backend and the device."""
    origin, name = p.origin(crypto), alias_of(crypto)
    backend = crypto.backend or CryptoBackend()
    worker = {"qom-type": f"cryptodev-backend-{backend.model}", "id": f"obj{name}", "queues": backend.queues}
    yield Structured("object", worker, origin=origin)
    props = {
        "driver": virtio_driver("virtio-crypto", crypto),
        **virtio_props(crypto.driver),
        "cryptodev": f"obj{name}",
        "id": name,
        **where(crypto, p),
    }
    yield Structured("device", props, origin=origin)


FAMILY = Family(element=Crypto, check=check, place=place, plan=plan)
