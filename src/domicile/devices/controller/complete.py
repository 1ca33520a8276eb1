"""What a controller gets when its owner left it open, and what it may not be. Used by this slice's FAMILY."""

from __future__ import annotations

from domicile.base.errors import XML_ERROR
from domicile.devices.controller import pci_checks
from domicile.devices.controller.drivers import ESP, UNKNOWN
from domicile.devices.controller.model import MODELS, PCI_MODELS, TYPES, Controller, ControllerDriver
from domicile.devices.parts import threads
from domicile.devices.parts.bus import want_legacy, want_virtio
from domicile.devices.parts.device import Master
from domicile.devices.parts.omit import omit
from domicile.devices.parts.size import Size
from domicile.plan.facts import Completion, Facts, Planning
from domicile.plan.place import Pci, Want, WantPci, WantSpaprVio, WantUsb

# How many ports the models that let their owner choose have at most. Source: QEMU's hw/usb/hcd-xhci.
_PORTS = {"nec-xhci": 15, "qemu-xhci": 15}
_COMPANIONS = {"ich9-uhci1": 0, "ich9-uhci2": 2, "ich9-uhci3": 4}


def defaults(controller: Controller, c: Completion) -> None:
    """Choose a model where its owner left it open."""
    if controller.type == "scsi" and controller.model in (None, "auto"):
        c.default(
            controller,
            "model",
            default_scsi(c),
            "the SCSI controller this machine type's guests know",
            "此机型的客户机认识的 SCSI 控制器",
        )
    elif controller.type == "usb" and controller.model is None:
        model = default_usb(c) or (c.board.usb_vague if controller.address is None else "")
        if model:
            c.default(
                controller, "model", model, "the USB controller this machine type comes with", "此机型自带的 USB 控制器"
            )
    if controller.type == "usb" and controller.model in _COMPANIONS and controller.master is None:
        start = Master(startport=_COMPANIONS[controller.model])
        c.default(
            controller,
            "master",
            start,
            "the companion serves these ports of the USB 2 controller",
            "伴随控制器服务 USB 2 控制器的这些端口",
        )
    hole = controller.pcihole64
    if hole is not None and hole.value is not None:
        count = Size(unit=hole.unit or "KiB", value=hole.value).count()
        if count is None:
            c.problem(
                hole, f"attribute 'unit' of <pcihole64> has the value '{hole.unit}'", "KiB, MiB, GiB, TiB", "@unit"
            )
        else:
            hole.value, hole.unit = -(-count // 1024), "KiB"
    if controller.ports is not None or controller.vectors is not None:
        unknown = [slot for slot in ("ports", "vectors") if controller.type not in _WITH[slot]]
        omit(controller, unknown, c, "controllers of this type have no such thing", "此类控制器没有该项")


# Which types of controllers say how many ports, and how many interrupt vectors, they have.
_WITH = {"ports": ("virtio-serial", "usb"), "vectors": ("virtio-serial",)}


def default_scsi(facts: Facts) -> str:
    """Name the SCSI controller for a machine whose owner named none."""
    return facts.usual(facts.board.scsi) or "virtio-scsi"


def default_usb(facts: Facts) -> str | None:
    """Name the USB controller for a machine whose owner named none; None where libvirt names none."""
    board = facts.board
    return facts.usual(board.usb if facts.host.modern else board.usb_of_old or board.usb)


def check(controller: Controller, c: Completion) -> None:
    """Find what cannot be."""
    if controller.type is None:
        c.problem(controller, "element 'controller' has no attribute 'type'", ", ".join(TYPES), "@type")
        return
    known = MODELS.get(controller.type)
    if controller.model is not None and known is not None and controller.model not in known:
        c.problem(
            controller,
            f"attribute 'model' of element 'controller' of type '{controller.type}' has the value '{controller.model}'",
            ", ".join(known),
            "@model",
        )
        return
    if controller.type in ("isa", "xenbus"):
        c.problem(
            controller, f"QEMU's machines have no controller of type '{controller.type}'", "another type", "@type"
        )
    if controller.type == "pci":
        _check_pci(controller, c)
    if controller.model in UNKNOWN:
        what = f"QEMU has no '{controller.model}' controller of type '{controller.type}'"
        c.problem(controller, what, "another model", "@model")
    if controller.type == "scsi" and controller.model == ESP:
        if not c.board.esp:
            what = f"machine type '{c.machine}' has no SCSI controller of model '{ESP}', which cannot be added"
            c.problem(controller, what, "another model", "@model")
        elif controller.index:
            c.problem(controller, f"only the first SCSI controller is of model '{ESP}'", "index='0'", "@index")
    if controller.type == "ide" and controller.index and c.i440fx:
        c.problem(controller, "machine type 'pc' has one IDE controller only", "index='0'", "@index")
    if controller.type == "ide" and not c.board.ide:
        c.problem(
            controller,
            f"machine type '{c.machine}' has no IDE controller",
            "type='scsi'" if c.s390 else "type='sata'",
            "@type",
        )
    if controller.ports is not None and controller.type == "usb":
        _check_ports(controller, controller.ports, c)
    if controller.driver is not None:
        _check_driver(controller, controller.driver, c)
    _check_device(controller, c)


def _check_ports(controller: Controller, ports: int, c: Completion) -> None:
    model, most = controller.model, _PORTS.get(controller.model or "")
    if most is not None and not 1 <= ports <= most:
        what = f"a USB controller of model '{model}' has at most '{most}' ports, not '{ports}'"
        c.problem(controller, what, f"1 to {most}", "@ports")


def _check_driver(controller: Controller, driver: ControllerDriver, c: Completion) -> None:
    virtio_scsi = controller.type == "scsi" and (controller.model or "").startswith("virtio")
    for slot in ("iothread", "iothreads"):
        if getattr(driver, slot) is not None and not virtio_scsi:
            what = f"'{slot}' is for SCSI controllers of model 'virtio-scsi', not for type '{controller.type}'"
            c.problem(driver, what, f"no {slot}", f"@{slot}" if slot == "iothread" else slot, XML_ERROR)
    for slot in ("queues", "cmd_per_lun", "max_sectors", "ioeventfd"):
        if getattr(driver, slot) is not None and not virtio_scsi:
            what = f"'{slot}' is for SCSI controllers of model 'virtio-scsi', not for type '{controller.type}'"
            c.problem(driver, what, f"no {slot}", f"@{slot}")
    for slot in ("iommu", "ats", "packed", "page_per_vq"):
        if getattr(driver, slot) is not None and not (virtio_scsi or controller.type == "virtio-serial"):
            c.problem(
                driver, f"'{slot}' is for virtio devices, not for type '{controller.type}'", f"no {slot}", f"@{slot}"
            )
    if virtio_scsi:
        threads.check(driver, f"SCSI controller '{controller.index}'", "virtio-scsi-pci", c)


# Where QEMU must have one of these devices for a controller, by type and model.
_DEVICES = {
    ("sata", None): ("ich9-ahci",),
    ("scsi", "lsilogic"): ("lsi", "lsi53c895a"),
    ("scsi", "lsisas1068"): ("mptsas1068",),
    ("scsi", "lsisas1078"): ("megasas",),
    ("scsi", "vmpvscsi"): ("pvscsi",),
    ("scsi", "am53c974"): ("am53c974",),
    ("scsi", "dc390"): ("dc390",),
}


def _check_device(controller: Controller, c: Completion) -> None:
    kind, model = controller.type, controller.model
    needed = _DEVICES.get((kind or "", model))
    if needed is not None and not any(c.caps.has_device(device) for device in needed):
        what = f"controller of type '{kind}'" + (f" and model '{model}'" if model is not None else "")
        c.problem(controller, f"a {what} does not exist in this emulator", "another model or type", "@type")


def _check_pci(controller: Controller, c: Completion) -> None:
    if controller.model is None:
        c.problem(
            controller, f"PCI controller with index '{controller.index}' has no model", ", ".join(PCI_MODELS), "@model"
        )
        return
    if controller.index is not None and controller.index > 255:
        c.problem(controller, f"PCI controller has index '{controller.index}'", "0 to 255", "@index")
    root = controller.model in ("pci-root", "pcie-root")
    if root and controller.index != 0 and not c.board.pci_roots:
        c.problem(controller, f"'{controller.model}' has index '{controller.index}'", "index='0'", "@index")
    if root and controller.address is not None:
        c.problem(controller, f"'{controller.model}' has an <address>; the root has none", "no <address>", "address")
    if not root and controller.index == 0:
        want = "pcie-root" if c.pcie else "pci-root"
        c.problem(controller, f"the PCI controller with index='0' has model '{controller.model}'", want, "@model")
    if controller.index == 0 and root and (controller.model == "pcie-root") != c.pcie and (c.x86 or c.pci):
        want = "pcie-root" if c.pcie else "pci-root"
        c.problem(controller, f"machine type '{c.machine}' has no '{controller.model}' with index '0'", want, "@model")
    pci_checks.check(controller, c)


def place(controller: Controller, facts: Facts) -> Want | None:
    """Ask for a PCI slot where the controller is a card; built-in ones and roots ask for none."""
    kind, model = controller.type, controller.model or ""
    if kind == "pci":
        return pci_want(model)
    if kind == "usb":
        if model == "none":
            return None
        if model in ("qemu-xhci", "nec-xhci") and facts.pcie:
            return WantPci(Pci.PCIE | Pci.HOTPLUG)
        return want_legacy()
    if kind == "scsi":
        if model == "ibmvscsi":
            return WantSpaprVio()
        if model == ESP:
            return None
        return want_virtio(controller, facts, model) if model.startswith("virtio") else want_legacy()
    if kind == "virtio-serial":
        return want_virtio(controller, facts, model)
    if kind == "ccid":
        return WantUsb()
    if kind == "sata":
        return want_legacy()
    if kind == "ide":
        return WantPci(Pci.PCI) if facts.i440fx else None
    return None


# Source: QEMU's docs/pcie.txt.
_PLUGGED = {
    "pci-bridge": WantPci(Pci.PCI_BRIDGE | Pci.HOTPLUG),
    "dmi-to-pci-bridge": WantPci(Pci.DMI_BRIDGE),
    "pcie-to-pci-bridge": WantPci(Pci.PCIE_TO_PCI | Pci.HOTPLUG),
    "pcie-root-port": WantPci(Pci.ROOT_PORT | Pci.AGGREGATE),
    "pcie-switch-upstream-port": WantPci(Pci.UPSTREAM),
    "pcie-switch-downstream-port": WantPci(Pci.DOWNSTREAM),
    "pci-expander-bus": WantPci(Pci.PCI_EXPANDER),
    "pcie-expander-bus": WantPci(Pci.PCIE_EXPANDER),
}


def pci_want(model: str) -> WantPci | None:
    """Say what slot a PCI controller itself is plugged into."""
    return _PLUGGED.get(model)


def alias(controller: Controller, index: int, p: Planning) -> str:
    """Name the controller as devices' bus names begin: pci.1, usb, ide, scsi0."""
    number = controller.index or 0
    kind, model = controller.type, controller.model
    if kind == "pci":
        if model == "pcie-root":
            return f"pcie.{number}"
        return f"pci.{number}"
    if kind == "ide" and p.i440fx and number == 0:
        return "ide"
    if kind == "sata" and p.q35 and number == 0:
        return "ide"
    if kind == "scsi" and p.board.esp and number == 0:
        return "scsi"
    if kind == "usb":
        return f"usb{number}" if number else "usb"
    return f"{kind}{number}"
