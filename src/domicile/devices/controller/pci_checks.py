"""What may be said of a PCI controller of each model. Used by `complete` of this slice."""

from __future__ import annotations

from domicile.base.errors import XML_ERROR
from domicile.devices.controller.model import Controller, ControllerTarget
from domicile.plan.facts import Completion

_PORT = ("chassis", "port", "hotplug", "memReserve")
_EXPANDER = ("busNr", "node")
# Model → QEMU's devices of that kind, and which options each has. Source: libvirt's documentation of PCI controllers.
_KNOWN: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "pci-root": ((), ("hotplug", "memReserve")),
    "pcie-root": ((), ("hotplug", "memReserve")),
    "pci-bridge": (("pci-bridge",), ("chassisNr", "hotplug", "memReserve")),
    "dmi-to-pci-bridge": (("i82801b11-bridge",), ("hotplug", "memReserve")),
    "pcie-to-pci-bridge": (("pcie-pci-bridge",), ("hotplug", "memReserve")),
    "pcie-root-port": (("ioh3420", "pcie-root-port"), _PORT),
    "pcie-switch-upstream-port": (("x3130-upstream",), ("hotplug", "memReserve")),
    "pcie-switch-downstream-port": (("xio3130-downstream",), _PORT),
    "pci-expander-bus": (("pxb",), (*_EXPANDER, "hotplug", "memReserve")),
    "pcie-expander-bus": (("pxb-pcie",), (*_EXPANDER, "hotplug", "memReserve")),
}
_HOST_BRIDGE = (("spapr-pci-host-bridge",), ("index", "node", "hotplug", "memReserve"))
# Machines with expanders of their root bus.
_EXPANDED = {"pci-expander-bus": ("i440fx",), "pcie-expander-bus": ("q35", "arm-virt", "arm32-virt")}
_RANGES = {"chassisNr": (1, 255), "chassis": (0, 255), "port": (0, 255), "busNr": (1, 254), "index": (0, 30)}


def check(controller: Controller, c: Completion) -> None:
    """Find options that this model has not, or that are out of range."""
    bridge = controller.model == "pci-root" and c.board.pci_roots
    names, options = _HOST_BRIDGE if bridge else _KNOWN[controller.model or ""]
    name = controller.model_name.name if controller.model_name is not None else None
    target, boards = controller.target, _EXPANDED.get(controller.model or "")
    if name is None and target is None and boards is None and controller.pcihole64 is None:
        return
    what = f"the PCI controller with index '{controller.index}', model '{controller.model}'"
    if name is not None and name not in names:
        accepted = ", ".join(names) or "no <model>"
        c.problem(controller.model_name, f"{what} has the <model> name '{name}'", accepted, "@name")
    if boards is not None and c.board.name not in boards:
        c.problem(controller, f"{what} does not exist on machine type '{c.machine}'", "pci-bridge", "@model")
    if controller.pcihole64 is not None and not (controller.model or "").endswith("-root"):
        c.problem(controller.pcihole64, f"{what} has no <pcihole64>", "one at the root")
    elif controller.pcihole64 is not None and not (c.q35 or c.i440fx):
        message = f"machine type '{c.machine}' has no <pcihole64> that could be chosen"
        c.problem(controller.pcihole64, message, "no <pcihole64>")
    if target is None:
        return
    for slot, (least, most) in _RANGES.items():
        value = getattr(target, slot)
        if value is not None and not least <= value <= most:
            c.problem(target, f"{what} has {slot} '{value}'", f"{least} to {most}", f"@{slot}")
    for slot in ("chassisNr", "chassis", "port", "busNr", "index", "node"):
        if getattr(target, slot) is not None and slot not in options:
            own = f" and modelName '{name}'" if name is not None else ""
            c.problem(target, f"{what}{own} has no option '{slot}'", "", slot if slot == "node" else f"@{slot}")
    if bridge:
        _check_bridge(controller, target, c)


def _check_bridge(controller: Controller, target: ControllerTarget, c: Completion) -> None:
    first = not controller.index
    if target.index is not None and first != (target.index == 0):
        message = f"the PCI host bridge with index '{controller.index}' has the target index '{target.index}'"
        c.problem(target, message, "0 for index 0, and for it alone", "@index")
    if first and target.node is not None:
        c.problem(target, "the PCI host bridge with index '0' belongs to no NUMA node", "no <node>", "node")


def check_together(controllers: list[Controller], nodes: int, c: Completion) -> None:
    """Find host bridges that have the same place, and NUMA nodes of which there are fewer."""
    seen: set[int] = set()
    for controller in controllers:
        node = controller.target.node if controller.target is not None else None
        if node is not None and not 0 <= node < nodes:
            message = (
                f"the '{controller.model}' with index '{controller.index}' belongs to NUMA node {node}, of {nodes}"
            )
            c.problem(controller.target, message, "a cell of <cpu><numa>", "node", code=XML_ERROR)
        place = controller.target.index if controller.target is not None and controller.type == "pci" else None
        if place is not None and place in seen:
            c.problem(controller.target, f"two PCI controllers have the target index '{place}'", "a free one", "@index")
        if place is not None:
            seen.add(place)
