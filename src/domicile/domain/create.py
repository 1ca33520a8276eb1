"""A new machine from a few wishes: the document a person would have written for them, and no more.

Called by `domicile create`; what the wishes leave open is left to completion, so that its report shows what was generated.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from domicile.base.errors import InvalidRequest
from domicile.schema.write import escape


@dataclass(frozen=True, slots=True)
class DiskWish:
    """An image: where it is, in which format, and what the guest shall see."""

    path: str
    format: str = "qcow2"
    bus: str = "virtio"
    device: str = "disk"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What somebody wants of a new machine; what is empty is left to Domicile."""

    name: str
    memory_mib: int = 1024
    cpus: int = 1
    kvm: bool = True
    machine: str = "q35"
    arch: str = ""
    title: str = ""
    disks: tuple[DiskWish, ...] = ()
    iso: str = ""
    networks: tuple[str, ...] = ("user",)
    graphics: str = "vnc"
    cpu: str = ""
    firmware: str = ""
    kernel: str = ""
    initrd: str = ""
    cmdline: str = ""
    uuid: str = ""
    macs: tuple[str, ...] = field(default=())


_LETTERS = {"virtio": "vd", "ide": "hd", "sata": "sd", "scsi": "sd", "usb": "sd", "fdc": "fd"}
NETWORKS = "user, none, bridge=NAME, network=NAME"
GRAPHICS = "vnc, spice, none"


def document(wishes: Wishes) -> str:
    """Write the document.

    Raises:
        InvalidRequest: a wish that makes no sense.
    """
    w = wishes
    lines = [f"<domain type='{'kvm' if w.kvm else 'qemu'}'>", f"  <name>{escape(w.name)}</name>"]
    lines += [f"  <uuid>{escape(w.uuid)}</uuid>"] if w.uuid else []
    lines += [f"  <title>{escape(w.title)}</title>"] if w.title else []
    lines += [f"  <memory unit='MiB'>{w.memory_mib}</memory>", f"  <vcpu>{w.cpus}</vcpu>", *_os(w)]
    lines += ["  <features>", "    <acpi/>", "    <apic/>", "  </features>"] if w.arch in ("", "x86_64", "i686") else []
    lines += _cpu(w)
    lines += ["  <devices>", *_disks(w)]
    for index, network in enumerate(w.networks):
        lines += _network(network, w.macs[index] if index < len(w.macs) else "", _virtio(w))
    lines += ["    <serial type='pty'/>", "    <console type='pty'/>", *_graphics(w.graphics)]
    if _virtio(w):
        lines += ["    <rng model='virtio'>", "      <backend model='random'>/dev/urandom</backend>", "    </rng>"]
    return "\n".join([*lines, "  </devices>", "</domain>"]) + "\n"


def _virtio(w: Wishes) -> bool:
    return w.machine != "isapc"


def _os(w: Wishes) -> list[str]:
    arch = f" arch='{escape(w.arch)}'" if w.arch else ""
    machine = f" machine='{escape(w.machine)}'" if w.machine else ""
    firmware = f" firmware='{escape(w.firmware)}'" if w.firmware else ""
    lines = [f"  <os{firmware}>", f"    <type{arch}{machine}>hvm</type>"]
    for tag, value in (("kernel", w.kernel), ("initrd", w.initrd), ("cmdline", w.cmdline)):
        lines += [f"    <{tag}>{escape(value)}</{tag}>"] if value else []
    lines += ["    <boot dev='cdrom'/>", "    <boot dev='hd'/>"] if w.iso else ["    <boot dev='hd'/>"]
    return [*lines, "  </os>"]


def _cpu(w: Wishes) -> list[str]:
    if w.cpu in ("host-passthrough", "host-model", "maximum"):
        return [f"  <cpu mode='{w.cpu}'/>"]
    if w.cpu:
        return ["  <cpu mode='custom' match='exact'>", f"    <model>{escape(w.cpu)}</model>", "  </cpu>"]
    return ["  <cpu mode='host-passthrough'/>"] if w.kvm else []


def _disks(w: Wishes) -> list[str]:
    lines: list[str] = []
    used: dict[str, int] = {}
    wishes = [*w.disks]
    if w.iso:
        bus = "sata" if "q35" in w.machine else "ide" if w.machine.startswith("pc") else "scsi"
        wishes.append(DiskWish(w.iso, "raw", bus, "cdrom"))
    for wish in wishes:
        letters = _LETTERS.get(wish.bus)
        if letters is None:
            raise InvalidRequest(f"disk bus '{wish.bus}' is not known (accepted: {', '.join(_LETTERS)})")
        number = used.get(letters, 0)
        used[letters] = number + 1
        kind, source = ("block", "dev") if wish.path.startswith("/dev/") else ("file", "file")
        lines += [
            f"    <disk type='{kind}' device='{wish.device}'>",
            f"      <driver name='qemu' type='{escape(wish.format)}'/>",
            f"      <source {source}='{escape(wish.path)}'/>",
            f"      <target dev='{letters}{letter(number)}' bus='{wish.bus}'/>",
            *(["      <readonly/>"] if wish.device == "cdrom" else []),
            "    </disk>",
        ]
    return lines


def letter(number: int) -> str:
    """Name the n-th disk of a kind: a, b, and so on to z, then aa."""
    name = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        name = chr(ord("a") + rest) + name
    return name


def _network(wish: str, mac: str, virtio: bool) -> list[str]:
    kind, _, name = wish.partition("=")
    if wish == "none":
        return []
    if kind not in ("user", "bridge", "network") or (kind == "user") != (not name):
        raise InvalidRequest(f"network '{wish}' is not known (accepted: {NETWORKS})")
    return [
        f"    <interface type='{kind}'>",
        *([f"      <mac address='{escape(mac)}'/>"] if mac else []),
        *([f"      <source {kind}='{escape(name)}'/>"] if name else []),
        f"      <model type='{'virtio' if virtio else 'ne2k_isa'}'/>",
        "    </interface>",
    ]


def _graphics(kind: str) -> list[str]:
    if kind == "none":
        return []
    if kind not in ("vnc", "spice"):
        raise InvalidRequest(f"graphics '{kind}' is not known (accepted: {GRAPHICS})")
    return [f"    <graphics type='{kind}' autoport='yes'/>", "    <video>", "      <model type='vga'/>", "    </video>"]


_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\Z")
_UNITS = {"": 0, "k": 10, "kib": 10, "m": 20, "mib": 20, "g": 30, "gib": 30, "t": 40, "tib": 40, "b": 0}


def size(text: str, default: str = "") -> int:
    """Read an amount such as ``512M`` or ``1.5GiB`` as bytes; a bare number counts in `default` units.

    Raises:
        InvalidRequest: it is none.
    """
    found = _SIZE.match(text.strip())
    unit = (found[2] or default).lower() if found is not None else "?"
    if found is None or unit not in _UNITS:
        raise InvalidRequest(f"'{text}' is no amount (accepted: a number with K, M, G or T, such as 512M or 10G)")
    return int(float(found[1]) * (1 << _UNITS[unit]))
