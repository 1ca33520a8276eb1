"""Handlers of the host's devices. `doors` merges them with the others.

Events may be asked for, and none comes: nothing watches for devices that come and go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from domicile.api.libvirt.flags import known
from domicile.api.libvirt.object_events import event_handlers
from domicile.api.libvirt.registry import Registry
from domicile.rpc.calls import node
from domicile.rpc.types import NodeDevice

if TYPE_CHECKING:
    from domicile.api.libvirt.session import Session
    from domicile.service.service import Service

handlers: Registry[Service] = Registry()
#: The kinds by the bits that choose them. Source: libvirt's virConnectListAllNodeDeviceFlags.
KINDS = (
    "system", "pci", "usb_device", "usb", "net", "scsi_host", "scsi_target", "scsi", "storage", "fc_host", "vports", "scsi_generic",
    "drm", "mdev_types", "mdev", "ccw", "css", "vdpa", "ap_card", "ap_queue", "ap_matrix", "vpd",
)  # fmt: skip
_INACTIVE, _ACTIVE = 1 << 30, 1 << 31
_ALL_KINDS = (1 << len(KINDS)) - 1
event_handlers(
    handlers, node.connect_node_device_event_register_any, node.connect_node_device_event_deregister_any,
    (node.node_device_event_lifecycle, node.node_device_event_update),
)  # fmt: skip


@handlers.handle(node.node_num_of_devices)
async def count(conn: Session[Service], cap: str | None, flags: int) -> int:
    """Count the devices, or those of a kind."""
    return len(await conn.context.host_devices.names(cap))


@handlers.handle(node.node_list_devices)
async def names(conn: Session[Service], cap: str | None, maxnames: int, flags: int) -> list[str]:
    """Name the devices, or those of a kind."""
    return (await conn.context.host_devices.names(cap))[: max(0, maxnames)]


@handlers.handle(node.connect_list_all_node_devices)
async def list_all(conn: Session[Service], need_results: int, flags: int) -> tuple[list[NodeDevice], int]:
    """List devices; flags choose."""
    known(flags, _ALL_KINDS | _INACTIVE | _ACTIVE, "connect_list_all_node_devices")
    wanted = {kind for number, kind in enumerate(KINDS) if flags >> number & 1}
    found = await conn.context.host_devices.all()
    chosen = [NodeDevice(one.name) for one in found.values() if not wanted or wanted & set(one.kinds)]
    if flags & _INACTIVE and not flags & _ACTIVE:
        chosen = []  # every device that is there is active
    return chosen if need_results else [], len(chosen)


@handlers.handle(node.node_device_lookup_by_name)
async def by_name(conn: Session[Service], name: str) -> NodeDevice:
    """Find a device."""
    return NodeDevice((await conn.context.host_devices.find(name)).name)


@handlers.handle(node.node_device_lookup_scsi_host_by_wwn)
async def by_wwn(conn: Session[Service], wwnn: str, wwpn: str, flags: int) -> NodeDevice:
    """Find a Fibre Channel host."""
    return NodeDevice((await conn.context.host_devices.by_wwn(wwnn, wwpn)).name)


@handlers.handle(node.node_device_get_xml_desc)
async def get_xml_desc(conn: Session[Service], name: str, flags: int) -> str:
    """Write a device's document."""
    known(flags, 0, "node_device_get_xml_desc")
    return await conn.context.host_devices.xml(name)


@handlers.handle(node.node_device_get_parent)
async def get_parent(conn: Session[Service], name: str) -> str | None:
    """Name a device's parent."""
    return (await conn.context.host_devices.find(name)).parent or None


@handlers.handle(node.node_device_num_of_caps)
async def num_of_caps(conn: Session[Service], name: str) -> int:
    """Count a device's kinds."""
    return len((await conn.context.host_devices.find(name)).kinds)


@handlers.handle(node.node_device_list_caps)
async def list_caps(conn: Session[Service], name: str, maxnames: int) -> list[str]:
    """List a device's kinds."""
    return list((await conn.context.host_devices.find(name)).kinds)[: max(0, maxnames)]


@handlers.handle(node.node_device_get_autostart)
async def get_autostart(conn: Session[Service], name: str) -> int:
    """Say whether a device is there by itself: the host's own all are."""
    await conn.context.host_devices.find(name)
    return 1


@handlers.handle(node.node_device_is_persistent)
async def is_persistent(conn: Session[Service], name: str) -> int:
    """Say whether a device stays: the host's own all do."""
    await conn.context.host_devices.find(name)
    return 1


@handlers.handle(node.node_device_is_active)
async def is_active(conn: Session[Service], name: str) -> int:
    """Say whether a device is there."""
    await conn.context.host_devices.find(name)
    return 1


# Lending.


@handlers.handle(node.node_device_dettach)
async def detach(conn: Session[Service], name: str) -> None:
    """Take a device from the host's driver."""
    await conn.context.host_devices.detach(name)


@handlers.handle(node.node_device_detach_flags)
async def detach_flags(conn: Session[Service], name: str, driver: str | None, flags: int) -> None:
    """Take a device from the host's driver."""
    known(flags, 0, "node_device_detach_flags")
    await conn.context.host_devices.detach(name, driver)


@handlers.handle(node.node_device_re_attach)
async def reattach(conn: Session[Service], name: str) -> None:
    """Give a device back to the host's driver."""
    await conn.context.host_devices.reattach(name)


@handlers.handle(node.node_device_reset)
async def reset(conn: Session[Service], name: str) -> None:
    """Reset a device."""
    await conn.context.host_devices.reset(name)


@handlers.handle(node.node_device_destroy)
async def destroy(conn: Session[Service], name: str) -> None:
    """Refuse to remove a device."""
    await conn.context.host_devices.refuse(name, f"removing '{name}'")


@handlers.handle(node.node_device_undefine)
async def undefine(conn: Session[Service], name: str, flags: int) -> None:
    """Refuse to forget a device."""
    await conn.context.host_devices.refuse(name, f"undefining '{name}'")


@handlers.handle(node.node_device_set_autostart)
async def set_autostart(conn: Session[Service], name: str, autostart: int) -> None:
    """Refuse to say when a device is there."""
    await conn.context.host_devices.refuse(name, f"autostart of '{name}'")


@handlers.handle(node.node_device_create)
async def create(conn: Session[Service], name: str, flags: int) -> None:
    """Refuse to start a device."""
    await conn.context.host_devices.refuse(name, f"starting '{name}'")


@handlers.handle(node.node_device_create_xml)
async def create_xml(conn: Session[Service], xml: str, flags: int) -> NodeDevice:
    """Refuse to make a device."""
    await conn.context.host_devices.refuse("", "creating a device")


@handlers.handle(node.node_device_define_xml)
async def define_xml(conn: Session[Service], xml: str, flags: int) -> NodeDevice:
    """Refuse to define a device."""
    await conn.context.host_devices.refuse("", "defining a device")
