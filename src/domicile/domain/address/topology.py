"""Chassis, port and bus numbers of PCI controllers. Called by `pci` when all have their addresses."""

from __future__ import annotations

from domicile.devices.controller import Controller, ControllerModelName, ControllerTarget
from domicile.devices.parts.device import PciAddress
from domicile.plan.facts import Completion

_NAMES = {
    "pci-bridge": "pci-bridge",
    "dmi-to-pci-bridge": "i82801b11-bridge",
    "pcie-to-pci-bridge": "pcie-pci-bridge",
    "pcie-switch-upstream-port": "x3130-upstream",
    "pcie-switch-downstream-port": "xio3130-downstream",
    "pci-expander-bus": "pxb",
    "pcie-expander-bus": "pxb-pcie",
}


def details(controller: Controller, all_controllers: list[Controller], c: Completion) -> None:
    """Fill in what the guest's firmware needs to tell ports apart."""
    model = controller.model or ""
    name = _NAMES.get(model)
    if model == "pcie-root-port":
        name = "pcie-root-port" if c.caps.has_device("pcie-root-port") else "ioh3420"
    if model == "pci-root" and c.board.pci_roots:
        name = "spapr-pci-host-bridge"
    if name is None:
        return
    if controller.model_name is None:
        controller.model_name = ControllerModelName()
    if controller.model_name.name is None:
        c.default(controller.model_name, "name", name, "QEMU's device of that kind", "QEMU 中的同类设备")
    address = controller.address if isinstance(controller.address, PciAddress) else PciAddress()
    wanted: dict[str, int] = {}
    if model == "pcie-root-port":
        wanted = {"chassis": controller.index or 0, "port": ((address.slot or 0) << 3) + (address.function or 0)}
    elif model == "pci-bridge":
        wanted["chassisNr"] = controller.index or 0
    elif model == "pcie-switch-downstream-port":
        wanted["chassis"] = controller.index or 0
        wanted["port"] = address.slot or 0
    elif model in ("pci-expander-bus", "pcie-expander-bus"):
        wanted["busNr"] = _bus_number(controller, all_controllers)
    elif model == "pci-root" and c.board.pci_roots:
        wanted["index"] = _target_index(controller, all_controllers)
    if not wanted:
        return
    if controller.target is None:
        controller.target = ControllerTarget()
    for slot, value in wanted.items():
        if getattr(controller.target, slot) is None:
            c.allocate(controller.target, slot, value, "from its index and place", "由序号与位置得出")


def _target_index(controller: Controller, all_controllers: list[Controller]) -> int:
    """Give the first host bridge 0, and any other the lowest number that none has."""
    if not controller.index:
        return 0
    taken = {k.target.index for k in all_controllers if k.type == "pci" and k.target is not None}
    return next(number for number in range(1, len(taken) + 2) if number not in taken)


def _bus_number(controller: Controller, all_controllers: list[Controller]) -> int:
    """Leave room above an expander for the buses behind it: count down from 254 by two."""
    taken = [
        k.target.busNr
        for k in all_controllers
        if k is not controller
        and k.model in ("pci-expander-bus", "pcie-expander-bus")
        and k.target is not None
        and k.target.busNr
    ]
    return min([256, *taken]) - 2
