"""What a host device gets when its owner left it open, and what it may not be. Used by this slice's FAMILY."""

from __future__ import annotations

import re
from collections.abc import Sequence

from domicile.base import ids
from domicile.devices.hostdev.model import TYPES, HostAddress, Hostdev, HostSource
from domicile.devices.parts.bus import want_card, want_virtio
from domicile.devices.parts.demand import demand
from domicile.devices.parts.device import CcwAddress, DriveAddress, PciAddress, UnassignedAddress, UsbAddress
from domicile.devices.parts.omit import omit
from domicile.plan.facts import Completion, Facts
from domicile.plan.place import Want, WantCcw, WantDrive, WantUsb

_WWPN = re.compile(r"naa\.[0-9a-fA-F]{16}\Z")
# What an address says, by the kind of device: the attribute, how it is written, the highest value.
_PARTS: dict[str, tuple[tuple[str, str, int], ...]] = {
    "pci": (("domain", "0x{:04x}", 0xFFFFFFFF), ("bus", "0x{:02x}", 255), ("slot", "0x{:02x}", 31), ("function", "0x{:x}", 7)),
    "usb": (("bus", "{}", 2**32 - 1), ("device", "{}", 2**32 - 1)),
    "scsi": (("bus", "{}", 2**32 - 1), ("target", "{}", 2**32 - 1), ("unit", "{}", 2**64 - 1)),
}  # fmt: skip
_HANDLED = {"vfio-pci": PciAddress, "vfio-ccw": CcwAddress}


def defaults(hostdev: Hostdev, c: Completion) -> None:
    """Settle who hands the device over and write its address in one form."""
    if hostdev.mode is None:
        c.default(hostdev, "mode", "subsystem", "the only way there is", "唯一的方式")
    if hostdev.managed is None:
        c.default(
            hostdev, "managed", False, "the host's device is handed over by its owner", "由使用者负责从主机取下设备"
        )
    source, kind = hostdev.source, hostdev.type or ""
    if kind == "mdev" and hostdev.model == "vfio-pci" and hostdev.display is None:
        c.default(hostdev, "display", False, "it draws no screen unless told", "未指定时不绘制屏幕")
    if kind not in ("mdev", "pci"):
        omit(hostdev, ("display", "ramfb"), c, "only PCI and mediated devices draw", "只有 PCI 和中介设备能绘制")
    if source is None:
        return
    if kind == "pci" and source.address is None:
        source.address = HostAddress()
    if source.address is not None:
        _write_address(source.address, kind)
    if source.protocol == "iscsi" and source.name is not None and "/" not in source.name:
        c.default(source, "name", f"{source.name}/0", "the first unit of the target", "目标的第一个单元")


def _write_address(address: HostAddress, kind: str) -> None:
    for slot, form, _ in _PARTS.get(kind, ()):
        value = address.number(slot)
        if value is not None:
            setattr(address, slot, form.format(value))
        elif kind == "pci" and getattr(address, slot) is None:
            setattr(address, slot, form.format(0))
    if kind == "mdev" and address.uuid is not None:
        address.uuid = ids.parse_uuid(address.uuid) or address.uuid


def check(hostdev: Hostdev, c: Completion) -> None:
    """Find what cannot be."""
    kind, source = hostdev.type, hostdev.source
    if hostdev.mode == "capabilities":
        c.problem(hostdev, "hostdev mode 'capabilities' is for containers", "subsystem", "@mode")
        return
    if kind not in TYPES:
        c.problem(hostdev, f"element 'hostdev' has type '{kind or ''}'", ", ".join(TYPES), "@type")
        return
    if source is None:
        c.problem(hostdev, "element 'hostdev' has no <source>", "<source>…</source>", "source")
        return
    _check_attributes(hostdev, kind, source, c)
    {"pci": _check_pci, "usb": _check_usb, "scsi": _check_scsi, "scsi_host": _check_vhost, "mdev": _check_mdev}[kind](
        hostdev, source, c
    )


def _check_attributes(hostdev: Hostdev, kind: str, source: HostSource, c: Completion) -> None:
    for slot in ("sgio", "rawio"):
        if getattr(hostdev, slot) is not None and kind != "scsi":
            c.problem(hostdev, f"attribute '{slot}' is only for devices of type 'scsi'", "type='scsi'", f"@{slot}")
    if hostdev.sgio == "unfiltered":
        c.problem(
            hostdev, "attribute 'sgio' has the value 'unfiltered', which kernels no longer have", "filtered", "@sgio"
        )
    if hostdev.model is not None and kind not in ("mdev", "scsi_host"):
        c.problem(hostdev, f"a host device of type '{kind}' has no 'model'", "type='mdev'", "@model")
    if source.startupPolicy is not None and kind != "usb":
        c.problem(source, "attribute 'startupPolicy' is only for USB devices", "type='usb'", "@startupPolicy")
    if source.writeFiltering is not None:
        c.problem(source, "attribute 'writeFiltering' is Xen's", "no writeFiltering", "@writeFiltering")
    if source.address is None or kind == "mdev":
        return
    for slot, _, high in _PARTS.get(kind, ()):
        text, value = getattr(source.address, slot), source.address.number(slot)
        if text is not None and (value is None or not 0 <= value <= high):
            message = f"attribute '{slot}' of element 'address' has the value '{text}'"
            c.problem(source.address, message, f"a number from 0 to {high}", f"@{slot}")


def _check_pci(hostdev: Hostdev, source: HostSource, c: Completion) -> None:
    if hostdev.address is not None and not isinstance(hostdev.address, PciAddress | UnassignedAddress):
        c.problem(hostdev.address, f"a PCI device has an address of type '{hostdev.address.type}'", "pci", "@type")


def _check_usb(hostdev: Hostdev, source: HostSource, c: Completion) -> None:
    if hostdev.address is not None and not isinstance(hostdev.address, UsbAddress):
        c.problem(hostdev.address, f"a USB device has an address of type '{hostdev.address.type}'", "usb", "@type")
    ids_ = [source.vendor, source.product]
    if source.address is None and ids_ == [None, None]:
        c.problem(
            source, "a USB device is named neither by 'vendor' and 'product' nor by an 'address'", "<vendor id='…'/>"
        )
    elif None in ids_ and ids_ != [None, None]:
        missing = "product" if source.product is None else "vendor"
        c.problem(source, f"a USB device has no '{missing}'", f"<{missing} id='…'/>", missing)
    for slot, known in (("vendor", source.vendor), ("product", source.product)):
        if known is not None and not known.id and slot == "vendor":
            c.problem(known, f"attribute 'id' of element '{slot}' is missing or 0", "a number from 0x0001", "@id")
    if source.address is not None and None in (source.address.bus, source.address.device):
        c.problem(source.address, "the 'address' of a USB device needs 'bus' and 'device'", "bus='…' device='…'")


def _check_scsi(hostdev: Hostdev, source: HostSource, c: Completion) -> None:
    if hostdev.address is not None and not isinstance(hostdev.address, DriveAddress):
        c.problem(hostdev.address, f"a SCSI device has an address of type '{hostdev.address.type}'", "drive", "@type")
    if source.protocol == "iscsi":
        if source.name is None or source.host is None or source.host.name is None:
            c.problem(source, "an iSCSI source needs a 'name' and a <host>", "name='…' and <host name='…'/>")
        auth = source.auth
        demand(auth, ("username",), "an iSCSI source", c)
        if auth is not None and auth.secret is None:
            c.problem(auth, "<auth> of an iSCSI source has no <secret>", "<secret type='iscsi' usage='…'/>", "secret")
        elif auth is not None and auth.secret is not None:
            demand(auth.secret, ("type",), "an iSCSI source", c)
            if auth.secret.usage is None and auth.secret.uuid is None:
                c.problem(auth.secret, "<secret> of an iSCSI source needs a 'uuid' or a 'usage'", "one of them")
        return
    if source.adapter is None or source.adapter.name is None:
        c.problem(source, "a SCSI device has no <adapter> with a 'name'", "<adapter name='scsi_host0'/>", "adapter")
    if source.address is None or None in (source.address.bus, source.address.target, source.address.unit):
        c.problem(source, "a SCSI device needs an 'address'", "<address bus='…' target='…' unit='…'/>", "address")


def _check_vhost(hostdev: Hostdev, source: HostSource, c: Completion) -> None:
    if source.protocol is None:
        c.problem(source, "a device of type 'scsi_host' has no 'protocol'", "vhost", "@protocol")
    elif source.wwpn is None or not _WWPN.match(source.wwpn):
        c.problem(
            source, f"attribute 'wwpn' has the value '{source.wwpn or ''}'", "naa. and 16 hexadecimal digits", "@wwpn"
        )


def _check_mdev(hostdev: Hostdev, source: HostSource, c: Completion) -> None:
    model, address = hostdev.model, hostdev.address
    uuid = source.address.uuid if source.address is not None else None
    if uuid is None or ids.parse_uuid(uuid) is None:
        c.problem(source, f"the 'uuid' of a mediated device is '{uuid or ''}'", "a UUID", "address/@uuid")
    if model not in ("vfio-pci", "vfio-ccw", "vfio-ap"):
        c.problem(hostdev, "a mediated device has no 'model'", "vfio-pci, vfio-ccw, vfio-ap", "@model")
        return
    if not c.caps.has_device(model):
        c.problem(hostdev, f"this QEMU has no device '{model}' for a mediated device", "another QEMU", "@model")
    wanted = _HANDLED.get(model)
    if address is not None and (wanted is None or not isinstance(address, wanted)):
        message = f"a mediated device of model '{model}' has an address of type '{address.type}'"
        c.problem(address, message, "pci" if wanted is PciAddress else "ccw" if wanted else "no address", "@type")
    if hostdev.boot is not None and model == "vfio-ap":
        c.problem(hostdev.boot, "no machine boots from a mediated device of model 'vfio-ap'", "no <boot>")
    if hostdev.display is not None and model != "vfio-pci":
        c.problem(hostdev, f"a mediated device of model '{model}' has no 'display'", "vfio-pci", "@display")
    if hostdev.ramfb and not hostdev.display:
        c.problem(hostdev, "'ramfb' needs 'display'", "display='on'", "@ramfb")


def check_together(devices: Sequence[Hostdev], graphics: bool, c: Completion) -> None:
    """Find devices given twice, displays that nothing shows, and a second ramfb; `graphics` says whether any display is there."""
    seen: list[tuple[str | None, HostSource]] = []
    buffers = 0
    crypto = [hostdev for hostdev in devices if hostdev.type == "mdev" and hostdev.model == "vfio-ap"]
    for hostdev in crypto[1:]:
        c.problem(hostdev, "there is more than one mediated device of model 'vfio-ap'", "one of them", "@model")
    for hostdev in devices:
        if hostdev.source is not None and (hostdev.type, hostdev.source) in seen:
            c.problem(
                hostdev, "this device of the host already exists in the 'hostdev' list", "each device once", "source"
            )
        if hostdev.source is not None:
            seen.append((hostdev.type, hostdev.source))
        if hostdev.display and not graphics:
            c.problem(
                hostdev, "<hostdev> has 'display=on', but no graphics shows it", "<graphics type='vnc'/>", "@display"
            )
        buffers += bool(hostdev.ramfb)
        if hostdev.ramfb and buffers > 1:
            c.problem(hostdev, "more than one device has 'ramfb'", "one of them", "@ramfb")


def place(hostdev: Hostdev, facts: Facts) -> Want | None:
    """Ask for the address of the bus the device shows itself on."""
    kind = hostdev.type
    if isinstance(hostdev.address, UnassignedAddress):
        return None
    if kind == "usb":
        return WantUsb()
    if kind == "scsi":
        return WantDrive("scsi")
    if kind == "scsi_host":
        return want_virtio(hostdev, facts, hostdev.model)
    if kind == "mdev" and hostdev.model != "vfio-pci":
        return WantCcw() if hostdev.model == "vfio-ccw" else None
    return want_card(facts)
