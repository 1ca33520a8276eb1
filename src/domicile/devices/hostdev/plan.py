"""A host device as QEMU's options. Used by this slice's FAMILY."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from domicile.devices.hostdev.model import HostAddress, Hostdev, HostSource
from domicile.devices.parts.bus import NARROW, alias_of, is_drive, loadparm, virtio_driver, where
from domicile.devices.parts.device import UnassignedAddress
from domicile.devices.parts.secret import stored_secret
from domicile.plan.facts import Planning
from domicile.plan.need import File, LentDevice, Need, OpenDevice, ScsiGeneric
from domicile.plan.qemu import Item, Structured

_RESETS = {"off": (False, None), "uninitialized": (True, False), "on": (True, True)}


def plan(hostdev: Hostdev, p: Planning) -> Iterator[Item | Need]:
    """Ask for the device; one that is left unassigned is only taken from the host."""
    source, origin, kind = hostdev.source, p.origin(hostdev), hostdev.type
    if source is None:
        return
    if kind in ("pci", "mdev"):
        yield _lent(hostdev, source, origin)
    if isinstance(hostdev.address, UnassignedAddress):
        return
    if kind == "usb":
        path = _usb_path(source)
        if path is not None:
            yield File(path, writable=True, origin=origin)
        props = _usb(hostdev, source, path, p)
    elif kind == "scsi":
        yield from _scsi_storage(hostdev, source, _node(hostdev, p), origin)
        props = _scsi(hostdev, p)
    elif kind == "scsi_host":
        name = alias_of(hostdev)
        yield OpenDevice(f"vhost-scsi-{name}", "/dev/vhost-scsi", origin=origin)
        props = {"driver": virtio_driver("vhost-scsi", hostdev, hostdev.model), "wwpn": source.wwpn}
        props |= {"vhostfd": f"{{fd:vhost-scsi-{name}}}", "id": name, "bootindex": p.boot_index(hostdev)}
        props |= where(hostdev, p)
    else:
        props = _vfio(hostdev, source, p)
    yield Structured("device", props, origin=origin)


def _lent(hostdev: Hostdev, source: HostSource, origin: str) -> LentDevice:
    address = source.address or HostAddress()
    if hostdev.type == "mdev":
        return LentDevice(address.uuid or "", mediated=True, origin=origin)
    module = (hostdev.driver.model or "") if hostdev.driver is not None else ""
    return LentDevice(pci_name(address), managed=bool(hostdev.managed), driver=module, origin=origin)


def lent_name(device: object) -> str:
    """Name the device of the host that a machine's device is, where it is lent; empty for all others."""
    source = getattr(device, "source", None)
    if isinstance(device, Hostdev) and device.type in ("pci", "mdev") and device.source is not None:
        return _lent(device, device.source, "").device
    place = getattr(source, "hostaddress", None) if getattr(device, "type", None) == "hostdev" else None
    if place is None:
        return ""
    return f"{place.domain or 0:04x}:{place.bus or 0:02x}:{place.slot or 0:02x}.{place.function or 0:x}"


def _vfio(hostdev: Hostdev, source: HostSource, p: Planning) -> dict[str, Any]:
    address, name = source.address or HostAddress(), alias_of(hostdev)
    driver = "vfio-pci" if hostdev.type == "pci" else hostdev.model
    props: dict[str, Any] = {"driver": f"{driver}-nohotplug" if hostdev.ramfb else driver}
    if hostdev.type == "pci":
        props |= {"host": pci_name(address), "id": name}
    else:
        props |= {"id": name, "sysfsdev": f"/sys/bus/mdev/devices/{address.uuid}"}
    props["bootindex"] = p.boot_index(hostdev)
    props["loadparm"] = loadparm(hostdev, p)
    if hostdev.teaming is not None:
        props["failover_pair_id"] = hostdev.teaming.persistent
    if hostdev.display is not None:
        props["display"] = "on" if hostdev.display else "off"
    props["ramfb"] = True if hostdev.ramfb else None
    return {**props, **where(hostdev, p)}


def pci_name(address: HostAddress) -> str:
    """Name a PCI device as the kernel does: 0000:06:12.5."""
    domain, bus, slot, function = (address.number(part) or 0 for part in ("domain", "bus", "slot", "function"))
    return f"{domain:04x}:{bus:02x}:{slot:02x}.{function:x}"


def _usb_path(source: HostSource) -> str | None:
    address = source.address
    if address is None:
        return None
    return f"/dev/bus/usb/{address.number('bus') or 0:03d}/{address.number('device') or 0:03d}"


def _usb(hostdev: Hostdev, source: HostSource, path: str | None, p: Planning) -> dict[str, Any]:
    props: dict[str, Any] = {"driver": "usb-host", "hostdevice": path}
    if path is None:
        props |= {
            "vendorid": source.vendor.id if source.vendor is not None else None,
            "productid": source.product.id if source.product is not None else None,
        }
    props |= {"id": alias_of(hostdev), "bootindex": p.boot_index(hostdev)}
    if source.guestReset is not None:
        props["guest-reset"], props["guest-resets-all"] = _RESETS[source.guestReset]
    return {**props, **where(hostdev, p)}


def _node(hostdev: Hostdev, p: Planning) -> str:
    return f"libvirt-{p.storage_numbers.get(id(hostdev), 0)}-backend"


def _scsi_storage(hostdev: Hostdev, source: HostSource, node: str, origin: str) -> Iterator[Item | Need]:
    tail = {"node-name": node, "read-only": hostdev.readonly}
    if source.protocol != "iscsi":
        name = scsi_name(source)
        yield ScsiGeneric(name, writable=not hostdev.readonly, origin=origin)
        props: dict[str, Any] = {"driver": "host_device", "filename": f"/dev/{{sg:{name}}}", **tail}
        yield Structured("blockdev", props, origin=origin)
        return
    target, _, lun = (source.name or "").rpartition("/")
    host = source.host
    address = (
        f"[{host.name}]" if host is not None and ":" in (host.name or "") else host.name if host is not None else ""
    )
    props = {
        "driver": "iscsi",
        "portal": f"{address}:{host.port or 3260}" if host is not None else None,
        "target": target,
        "lun": int(lun) if lun.isdecimal() else 0,
        "transport": "tcp",
    }
    if source.auth is not None:
        key, secret = f"{node}-secret0", source.auth.secret
        props |= {"user": source.auth.username, "password-secret": key}
        yield stored_secret(key, (secret.uuid or secret.usage or "") if secret is not None else "", origin)
    if source.initiator is not None and source.initiator.iqn is not None:
        props["initiator-name"] = source.initiator.iqn.name
    yield Structured("blockdev", {**props, **tail}, origin=origin)


def scsi_name(source: HostSource) -> str:
    """Name a SCSI device as the kernel does: host, bus, target and unit, 0:0:4:8."""
    address = source.address or HostAddress()
    adapter = source.adapter.name if source.adapter is not None and source.adapter.name is not None else ""
    return ":".join(
        (adapter.removeprefix("scsi_host"), *(getattr(address, s) or "0" for s in ("bus", "target", "unit")))
    )


def _scsi(hostdev: Hostdev, p: Planning) -> dict[str, Any]:
    name, place = alias_of(hostdev), is_drive(hostdev)
    props: dict[str, Any] = {"driver": "scsi-generic", "drive": _node(hostdev, p), "id": name}
    props["bus"] = f"{p.controller('scsi', place.controller)}.0"
    if p.controller_model("scsi", place.controller) in NARROW:
        props["scsi-id"] = place.unit
    else:
        props |= {"channel": place.bus, "scsi-id": place.target, "lun": place.unit}
    props["bootindex"] = p.boot_index(hostdev)
    return props
