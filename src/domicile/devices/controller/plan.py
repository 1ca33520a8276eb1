"""Controller in QEMU's words. Used by this slice's FAMILY."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from domicile.devices.controller.drivers import ESP, SCSI, USB
from domicile.devices.controller.model import Controller, ControllerTarget
from domicile.devices.parts import threads
from domicile.devices.parts.bus import alias_of, virtio_driver, virtio_props, where
from domicile.plan.facts import Planning
from domicile.plan.need import Need
from domicile.plan.qemu import Item, Structured

_PCI_DRIVERS = {
    "pci-bridge": "pci-bridge",
    "dmi-to-pci-bridge": "i82801b11-bridge",
    "pcie-to-pci-bridge": "pcie-pci-bridge",
    "pcie-switch-upstream-port": "x3130-upstream",
    "pcie-switch-downstream-port": "xio3130-downstream",
    "pci-expander-bus": "pxb",
    "pcie-expander-bus": "pxb-pcie",
    "pcie-root-port": "pcie-root-port",
}


def plan(controller: Controller, p: Planning) -> Iterator[Item | Need]:
    """Ask for the device; what the machine type has built in asks for nothing."""
    props = {
        "scsi": _scsi,
        "virtio-serial": _serial,
        "usb": _usb,
        "pci": _pci,
        "sata": _sata,
        "ccid": _ccid,
        "fdc": _fdc,
    }.get(controller.type or "", lambda _controller, _planning: None)(controller, p)
    if props is not None:
        if controller.type != "pci":
            nameless = controller.master is not None or controller.type == "fdc"
            identity = None if nameless else alias_of(controller)
            props = {**props, "id": identity, **where(controller, p)}
        yield Structured("device", props, origin=p.origin(controller))


def _driver(controller: Controller) -> dict[str, Any]:
    driver = controller.driver
    if driver is None:
        return {}
    return {
        "num_queues": driver.queues,
        "cmd_per_lun": driver.cmd_per_lun,
        "max_sectors": driver.max_sectors,
        "ioeventfd": driver.ioeventfd,
        "iothread": f"iothread{driver.iothread}" if driver.iothread else None,
        "iothread-vq-mapping": threads.props(driver.iothreads),
        **virtio_props(driver),
    }


def _scsi(controller: Controller, p: Planning) -> dict[str, Any] | None:
    model = controller.model or ""
    if model == ESP:
        return None
    if model.startswith("virtio"):
        return {"driver": virtio_driver("virtio-scsi", controller, model.removesuffix("-scsi")), **_driver(controller)}
    return {"driver": SCSI[model]}


def _serial(controller: Controller, p: Planning) -> dict[str, Any]:
    return {
        "driver": virtio_driver("virtio-serial", controller, controller.model),
        **_driver(controller),
        "max_ports": controller.ports,
        "vectors": controller.vectors,
    }


def _usb(controller: Controller, p: Planning) -> dict[str, Any] | None:
    model = controller.model
    if model in (None, "none"):
        return None
    props: dict[str, Any] = {"driver": USB[model or ""]}
    if model in ("nec-xhci", "qemu-xhci") and controller.ports is not None:
        props |= {"p2": controller.ports, "p3": controller.ports}
    if controller.master is not None:
        number = controller.index or 0
        props |= {"masterbus": f"{p.controller('usb', number)}.0", "firstport": controller.master.startport}
    return props


def _sata(controller: Controller, p: Planning) -> dict[str, Any] | None:
    return None if p.q35 and controller.index == 0 else {"driver": "ahci"}


def _ccid(controller: Controller, p: Planning) -> dict[str, Any]:
    return {"driver": "usb-ccid"}


def _fdc(controller: Controller, p: Planning) -> dict[str, Any] | None:
    """A PC has its floppy controller built in, a q35 has none of its own."""
    return {"driver": "isa-fdc", "bootindexA": p.floppy_boot(0), "bootindexB": p.floppy_boot(1)} if p.q35 else None


def _host_bridge(controller: Controller) -> dict[str, Any] | None:
    """Ask for a host bridge beside the one that the machine has built in."""
    target = controller.target or ControllerTarget()
    if not target.index:
        return None
    return {
        "driver": "spapr-pci-host-bridge",
        "index": target.index,
        "id": alias_of(controller),
        "numa_node": target.node,
    }


def _pci(controller: Controller, p: Planning) -> dict[str, Any] | None:
    model = controller.model or ""
    if model in ("pci-root", "pcie-root"):
        return _host_bridge(controller)
    name = controller.model_name.name if controller.model_name is not None else None
    target = controller.target or ControllerTarget()
    props: dict[str, Any] = {"driver": name or _PCI_DRIVERS[model]}
    if model in ("pci-expander-bus", "pcie-expander-bus"):
        props |= {"bus_nr": target.busNr, "id": alias_of(controller), "numa_node": target.node}
    elif model == "pci-bridge":
        props |= {"chassis_nr": target.chassisNr, "id": alias_of(controller)}
    elif model in ("pcie-root-port", "pcie-switch-downstream-port"):
        props |= {"port": target.port, "chassis": target.chassis, "id": alias_of(controller), "hotplug": target.hotplug}
    else:
        props |= {"id": alias_of(controller)}
    props["mem-reserve"] = target.memReserve * 1024 if target.memReserve else None
    return {**props, **where(controller, p)}
