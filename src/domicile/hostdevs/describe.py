"""The document of a host's device, in libvirt's words. Called by the service.

Source: libvirt's "Node devices XML format"; observed with libvirtd 9.0.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from lxml import etree

from domicile.hostdevs import ids, links, pci, sysfs
from domicile.hostdevs.node import COMPUTER, Node, drive_type
from domicile.hostdevs.sysfs import SYS
from domicile.schema.write import verbatim

_NO_UUID = "00000000-0000-0000-0000-000000000000"


def add(parent: Any, name: str, text: object = None, /, **attributes: object) -> Any:
    """Add an element below another; a text or attribute of None is left out."""
    made = etree.SubElement(parent, name, {key: str(value) for key, value in attributes.items() if value is not None})
    if text is not None:
        made.text = "".join(c for c in str(text) if c.isprintable())
    return made


def document(node: Node) -> str:
    """Write a device's document."""
    root = etree.Element("device")
    add(root, "name", node.name)
    path = Path(node.path)
    if node.path:
        add(root, "path", node.path)
        device = sysfs.uevent(path).get("DEVNAME")
        if device and node.kinds[0] in ("storage", "usb_device", "drm", "scsi_generic"):
            add(root, "devnode", f"/dev/{device}", type="dev")
    if node.parent:
        add(root, "parent", node.parent)
    driver = sysfs.target(path / "driver") if node.path else None
    if driver is not None:
        add(add(root, "driver"), "name", driver)
    capability = add(root, "capability", type=node.kinds[0])
    _WRITERS[node.kinds[0]](capability, node, path)
    text = "\n".join(verbatim(root, "")) + "\n"
    # Where nothing is known of the firmware, libvirt still writes the element's end.
    return text.replace("    <firmware/>\n", "    <firmware>\n    </firmware>\n") if node.name == COMPUTER else text


def _system(capability: Any, _node: Node, _path: Path) -> None:
    dmi = SYS / "class/dmi/id"

    def said(parent: Any, tag: str, name: str) -> None:
        text = sysfs.read(dmi / name)
        if text:
            add(parent, tag, text)

    said(capability, "product", "product_name")
    hardware = add(capability, "hardware")
    for tag, name in (("vendor", "sys_vendor"), ("version", "product_version"), ("serial", "product_serial")):
        said(hardware, tag, name)
    add(hardware, "uuid", (sysfs.read(dmi / "product_uuid") or _NO_UUID).lower())
    firmware = add(capability, "firmware")
    for tag, name in (("vendor", "bios_vendor"), ("version", "bios_version"), ("release_date", "bios_date")):
        said(firmware, tag, name)


def _pci(capability: Any, _node: Node, path: Path) -> None:
    kind = sysfs.number(path / "class", 16)
    if kind is not None:
        add(capability, "class", f"0x{kind:06x}")
    domain, bus, slot, function = pci.address(path.name)
    for tag, value in (("domain", domain), ("bus", bus), ("slot", slot), ("function", function)):
        add(capability, tag, value)
    vendor, product = (sysfs.number(path / name, 16) or 0 for name in ("vendor", "device"))
    names = ids.pci_names()
    add(capability, "product", names.get(f"{vendor:04x}:{product:04x}"), id=f"0x{product:04x}")
    add(capability, "vendor", names.get(f"{vendor:04x}"), id=f"0x{vendor:04x}")
    if (path / "physfn").exists():
        _address(add(capability, "capability", type="phys_function"), sysfs.target(path / "physfn") or "")
    most = sysfs.number(path / "sriov_totalvfs")
    if most:
        functions = add(capability, "capability", type="virt_functions", maxCount=most)
        for number in range(most):
            name = sysfs.target(path / f"virtfn{number}")
            if name is not None:
                _address(functions, name)
    config = pci.Config.of(path)
    if config.is_bridge:
        add(capability, "capability", type="pci-bridge")
    _mediated_types(capability, path / "mdev_supported_types")
    group = sysfs.target(path / "iommu_group")
    if group is not None:
        together = add(capability, "iommuGroup", number=group)
        for name in sysfs.names(path / "iommu_group/devices"):
            if pci.ADDRESS.match(name):
                _address(together, name)
    cell = sysfs.number(path / "numa_node")
    if cell is not None and cell >= 0:
        add(capability, "numa", node=cell)
    if config.express:
        express = add(capability, "pci-express")
        if config.has_link:
            add(express, "link", validity="cap", port=config.port, speed=config.speed, width=config.width)
            add(express, "link", validity="sta", speed=config.speed_now, width=config.width_now)


def _address(parent: Any, name: str) -> None:
    domain, bus, slot, function = pci.address(name)
    add(
        parent,
        "address",
        domain=f"0x{domain:04x}",
        bus=f"0x{bus:02x}",
        slot=f"0x{slot:02x}",
        function=f"0x{function:x}",
    )


def _mediated_types(capability: Any, folder: Path) -> None:
    kinds = sysfs.names(folder)
    if not kinds:
        return
    types = add(capability, "capability", type="mdev_types")
    for kind in kinds:
        one = add(types, "type", id=kind)
        for tag, name in (("name", "name"), ("deviceAPI", "device_api"), ("availableInstances", "available_instances")):
            text = sysfs.read(folder / kind / name)
            if text is not None:
                add(one, tag, text)


def _usb_device(capability: Any, _node: Node, path: Path) -> None:
    add(capability, "bus", sysfs.number(path / "busnum"))
    add(capability, "device", sysfs.number(path / "devnum"))
    known = sysfs.udev("c", path)
    for tag, number, name, database in (
        ("product", "idProduct", "product", "ID_MODEL_FROM_DATABASE"),
        ("vendor", "idVendor", "manufacturer", "ID_VENDOR_FROM_DATABASE"),
    ):
        add(
            capability,
            tag,
            known.get(database) or sysfs.read(path / name),
            id=f"0x{sysfs.read(path / number) or '0000'}",
        )


def _usb(capability: Any, _node: Node, path: Path) -> None:
    for tag, name in (
        ("number", "bInterfaceNumber"), ("class", "bInterfaceClass"), ("subclass", "bInterfaceSubClass"),
        ("protocol", "bInterfaceProtocol"),
    ):  # fmt: skip
        add(capability, tag, sysfs.number(path / name, 16))


def _net(capability: Any, node: Node, path: Path) -> None:
    add(capability, "interface", path.name)
    add(capability, "address", sysfs.read(path / "address"))
    link = links.link(path)
    add(capability, "link", speed=link.speed, state=link.state)
    for feature in links.features(path.name):
        add(capability, "feature", name=feature)
    add(capability, "capability", type=node.kinds[1])


def _scsi_host(capability: Any, node: Node, path: Path) -> None:
    name = path.name
    add(capability, "host", name.removeprefix("host"))
    unique = sysfs.number(SYS / "class/scsi_host" / name / "unique_id")
    add(capability, "unique_id", -1 if unique is None else unique)
    fibre = SYS / "class/fc_host" / name
    if "fc_host" in node.kinds:
        one = add(capability, "capability", type="fc_host")
        for tag, file in (("wwnn", "node_name"), ("wwpn", "port_name"), ("fabric_wwn", "fabric_name")):
            add(one, tag, (sysfs.read(fibre / file) or "").removeprefix("0x"))
    if "vports" in node.kinds:
        one = add(capability, "capability", type="vport_ops")
        add(one, "max_vports", sysfs.number(fibre / "max_npiv_vports") or 0)
        add(one, "vports", sysfs.number(fibre / "npiv_vports_inuse") or 0)


def wwn(node: Node) -> tuple[str, str]:
    """Give the names of a Fibre Channel host: its own and its port's."""
    fibre = SYS / "class/fc_host" / Path(node.path).name
    own, port = ((sysfs.read(fibre / name) or "").removeprefix("0x") for name in ("node_name", "port_name"))
    return own, port


def _scsi_target(capability: Any, _node: Node, path: Path) -> None:
    add(capability, "target", path.name)


#: The kinds of devices by the number SCSI has for them. Source: SCSI Primary Commands, "peripheral device type".
_SCSI_TYPES = {
    0: "disk", 1: "tape", 2: "printer", 3: "processor", 4: "worm", 5: "cdrom", 6: "scanner", 7: "mod", 8: "changer",
    12: "raid", 13: "enclosure", 14: "rbc", 17: "osd",
}  # fmt: skip


def _scsi(capability: Any, _node: Node, path: Path) -> None:
    for tag, value in zip(("host", "bus", "target", "lun"), path.name.split(":"), strict=False):
        add(capability, tag, value)
    kind = sysfs.number(path / "type")
    if kind in _SCSI_TYPES:
        add(capability, "type", _SCSI_TYPES[kind])


def _scsi_generic(capability: Any, _node: Node, path: Path) -> None:
    add(capability, "char", f"/dev/{path.name}")


def _storage(capability: Any, _node: Node, path: Path) -> None:
    known = sysfs.udev("b", path)
    name = sysfs.uevent(path).get("DEVNAME", path.name)
    add(capability, "block", f"/dev/{name}")
    if known.get("ID_BUS"):
        add(capability, "bus", known["ID_BUS"])
    drive = drive_type(path.name, path) or "disk"
    add(capability, "drive_type", drive)
    for tag, file in (("model", "model"), ("vendor", "vendor")):
        text = sysfs.read(path / "device" / file)
        if text:
            add(capability, tag, text)
    if known.get("ID_SERIAL"):
        add(capability, "serial", known["ID_SERIAL"])
    block = sysfs.number(path / "queue/logical_block_size") or 512
    size = (sysfs.number(path / "size") or 0) * 512
    place = capability
    if sysfs.number(path / "removable") == 1 and drive in ("cdrom", "floppy", "sd"):
        place = add(capability, "capability", type="removable")
        there = int(drive != "cdrom" or known.get("ID_CDROM_MEDIA") == "1")
        add(place, "media_available", there)
        add(place, "media_size", size)
    else:
        add(place, "size", size)
    if size or place is capability:
        add(place, "logical_block_size", block)
        add(place, "num_blocks", size // block)


def _drm(capability: Any, _node: Node, path: Path) -> None:
    kinds = {"card": "primary", "controlD": "control", "renderD": "render"}
    add(capability, "type", next((word for begin, word in kinds.items() if path.name.startswith(begin)), "primary"))


def _mdev(capability: Any, _node: Node, path: Path) -> None:
    add(capability, "type", id=sysfs.target(path / "mdev_type") or "")
    add(capability, "uuid", path.name)
    add(capability, "parent_addr", path.parent.name)
    group = sysfs.target(path / "iommu_group")
    if group is not None:
        add(capability, "iommuGroup", number=group)


_WRITERS: dict[str, Callable[[Any, Node, Path], None]] = {
    "system": _system, "pci": _pci, "usb_device": _usb_device, "usb": _usb, "net": _net, "scsi_host": _scsi_host,
    "scsi_target": _scsi_target, "scsi": _scsi, "scsi_generic": _scsi_generic, "storage": _storage, "drm": _drm, "mdev": _mdev,
}  # fmt: skip
