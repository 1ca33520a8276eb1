"""Controllers: what disks, USB devices, serial ports and PCI cards are plugged into.

Used through `FAMILY` in devices/__init__; PCI topology itself is domain/address.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from domicile.devices.family import Family
from domicile.devices.parts.bus import alias_of, virtio_driver, virtio_props, want_legacy, want_virtio, where
from domicile.devices.parts.device import CcwAddress, Device, Master, VirtioOptions
from domicile.plan.facts import Completion, Facts, Planning
from domicile.plan.need import Need
from domicile.plan.place import Pci, Want, WantPci
from domicile.plan.qemu import Item, Structured
from domicile.schema import field as f
from domicile.schema.scalar import INT, ON_OFF, PUINT, UINT, ULONG, enum, hexadecimal
from domicile.schema.shape import Element, element

TYPES = ("ide", "fdc", "scsi", "sata", "virtio-serial", "ccid", "usb", "pci", "xenbus", "isa", "nvme")
PCI_MODELS = (
    "pci-root",
    "pcie-root",
    "pci-bridge",
    "dmi-to-pci-bridge",
    "pcie-to-pci-bridge",
    "pcie-root-port",
    "pcie-switch-upstream-port",
    "pcie-switch-downstream-port",
    "pci-expander-bus",
    "pcie-expander-bus",
)
USB_MODELS = (
    "piix3-uhci",
    "piix4-uhci",
    "ehci",
    "ich9-ehci1",
    "ich9-uhci1",
    "ich9-uhci2",
    "ich9-uhci3",
    "vt82c686b-uhci",
    "pci-ohci",
    "nec-xhci",
    "qusb1",
    "qusb2",
    "qemu-xhci",
    "none",
)
SCSI_MODELS = (
    "auto",
    "buslogic",
    "lsilogic",
    "lsisas1068",
    "vmpvscsi",
    "ibmvscsi",
    "virtio-scsi",
    "lsisas1078",
    "virtio-transitional",
    "virtio-non-transitional",
    "ncr53c90",
    "dc390",
    "am53c974",
)
MODELS: dict[str, tuple[str, ...]] = {
    "pci": PCI_MODELS,
    "usb": USB_MODELS,
    "scsi": SCSI_MODELS,
    "ide": ("piix3", "piix4", "ich6"),
    "virtio-serial": ("virtio", "virtio-transitional", "virtio-non-transitional"),
    "isa": (),
}
ICH9_COMPANIONS = {"ich9-uhci1": 0, "ich9-uhci2": 2, "ich9-uhci3": 4}
_MODEL_NAMES = (
    "pci-bridge",
    "i82801b11-bridge",
    "ioh3420",
    "x3130-upstream",
    "xio3130-downstream",
    "pxb",
    "pxb-pcie",
    "pcie-root-port",
    "spapr-pci-host-bridge",
    "pcie-pci-bridge",
)


@element("driver", "控制器驱动选项")
class ControllerDriver(VirtioOptions):
    """How the controller does its work."""

    queues: int | None = f.attr("How many request queues the guest gets.", "客户机有多少请求队列。", UINT, guest=True)
    cmd_per_lun: int | None = f.attr(
        "Commands queued for one LUN at most.", "每个 LUN 排队命令的上限。", UINT, guest=True
    )
    max_sectors: int | None = f.attr("Sectors one request may move.", "单个请求可传输的扇区数。", UINT, guest=True)
    ioeventfd: bool | None = f.attr(
        "Whether a thread of its own sees the requests.", "是否由独立线程接收请求。", ON_OFF
    )
    iothread: int | None = f.attr("The I/O thread that serves it.", "服务它的 I/O 线程。", PUINT)


@element("model", "PCI 控制器的具体型号")
class ControllerModelName(Element):
    """QEMU's device behind a PCI controller."""

    name: str | None = f.attr("Its name.", "名称。", enum(*_MODEL_NAMES), guest=True)


@element("target", "PCI 控制器的位置参数")
class ControllerTarget(Element):
    """What the guest sees of a PCI controller."""

    chassisNr: int | None = f.attr("The chassis of a conventional bridge.", "传统桥的机箱号。", UINT, guest=True)
    chassis: int | None = f.attr(
        "The chassis of a port; with the port it must be unique.", "端口的机箱号，与端口一起须唯一。", UINT, guest=True
    )
    port: int | None = f.attr("The port's number.", "端口号。", hexadecimal(1, 255), guest=True)
    busNr: int | None = f.attr("The first bus of an expander.", "扩展器的首个总线号。", UINT, guest=True)
    index: int | None = f.attr("The index of a pSeries host bridge.", "pSeries 主桥的序号。", UINT, guest=True)
    hotplug: bool | None = f.attr(
        "Whether devices may come and go while it runs.", "运行时可否热插拔。", ON_OFF, guest=True
    )
    memReserve: int | None = f.attr(
        "KiB of address space kept for devices to come.", "为将来的设备预留的地址空间（KiB）。", ULONG, guest=True
    )
    node: int | None = f.leaf("The NUMA node it belongs to.", "所属 NUMA 节点。", INT, guest=True)


@element("pcihole64", "64 位 PCI 窗口")
class PciHole(Element):
    """The room for 64-bit PCI addresses."""

    unit: str | None = f.attr("The unit of the size.", "大小的单位。", guest=True)
    value: int | None = f.text("The size.", "大小。", ULONG, guest=True)


@element("controller", "控制器", identity=("type", "index", "model"))
class Controller(Device):
    """Something other devices are plugged into."""

    type: str | None = f.attr("The kind of controller.", "控制器的种类。", enum(*TYPES), effect="never", guest=True)
    index: int | None = f.attr(
        "Its number among its kind; devices name it by this.",
        "同类中的序号，设备以此引用。",
        UINT,
        effect="never",
        guest=True,
    )
    model: str | None = f.attr("What it is exactly.", "具体型号。", guest=True)
    ports: int | None = f.attr("How many ports it has.", "端口数。", INT, guest=True)
    vectors: int | None = f.attr("How many interrupt vectors it has.", "中断向量数。", INT, guest=True)
    maxGrantFrames: int | None = f.attr("Kept for Xen.", "为 Xen 保留。", INT)
    maxEventChannels: int | None = f.attr("Kept for Xen.", "为 Xen 保留。", INT)
    model_name: ControllerModelName | None = f.child(
        "QEMU's device behind it.", "背后的 QEMU 设备。", ControllerModelName, name="model"
    )
    target: ControllerTarget | None = f.child("What the guest sees of it.", "客户机看到的参数。", ControllerTarget)
    driver: ControllerDriver | None = f.child("How it does its work.", "驱动选项。", ControllerDriver, keep_empty=False)
    pcihole64: PciHole | None = f.child("The room for 64-bit addresses.", "64 位地址窗口。", PciHole, order=96)

    @property
    def companion(self) -> bool:
        """Whether it accompanies another controller of the same index."""
        return self.master is not None


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
        model = default_usb(c)
        if model is not None:
            c.default(
                controller, "model", model, "the USB controller this machine type comes with", "此机型自带的 USB 控制器"
            )
    if controller.type == "usb" and controller.model in ICH9_COMPANIONS and controller.master is None:
        start = Master(startport=ICH9_COMPANIONS[controller.model])
        c.default(
            controller,
            "master",
            start,
            "the companion serves these ports of the USB 2 controller",
            "伴随控制器服务 USB 2 控制器的这些端口",
        )
    hole = controller.pcihole64
    if hole is not None and hole.value is not None and hole.unit not in (None, "KiB"):
        hole.value = hole.value * _UNITS.get(hole.unit.lower(), 1024) // 1024
        hole.unit = "KiB"
    elif hole is not None:
        hole.unit = "KiB"


_UNITS = {"b": 1, "bytes": 1, "kib": 1024, "k": 1024, "mib": 1024**2, "m": 1024**2, "gib": 1024**3, "g": 1024**3}


def default_scsi(facts: Facts) -> str:
    """Name the SCSI controller for a machine whose owner named none."""
    if facts.pseries:
        return "ibmvscsi"
    if facts.s390 or facts.arm_virt or facts.riscv_virt or facts.loongarch_virt:
        return "virtio-scsi"
    for model, driver in (("lsilogic", "lsi"), ("virtio-scsi", "virtio-scsi-pci")):
        if facts.caps.has_device(driver) or (driver == "lsi" and facts.caps.has_device("lsi53c895a")):
            return model
    return "virtio-scsi"


def default_usb(facts: Facts) -> str | None:
    """Name the USB controller for a machine whose owner named none; None where libvirt names none."""
    if facts.i440fx or facts.arch in ("i686", "x86_64"):
        if facts.q35 and facts.host.libvirt >= (10, 9):
            return "qemu-xhci"
        return "piix3-uhci" if facts.caps.has_device("piix3-usb-uhci") else None
    if facts.pseries:
        return "qemu-xhci" if facts.caps.has_device("qemu-xhci") else "pci-ohci"
    if facts.arm_virt or facts.riscv_virt or facts.loongarch_virt:
        return "qemu-xhci" if facts.caps.has_device("qemu-xhci") else "nec-xhci"
    if facts.arch in ("ppc", "ppc64"):
        return "pci-ohci"
    return None


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
    if controller.type == "pci":
        _check_pci(controller, c)
    if controller.type == "ide" and controller.index and c.i440fx:
        c.problem(controller, "machine type 'pc' has one IDE controller only", "index='0'", "@index")
    if controller.type == "ide" and c.pcie:
        c.problem(controller, f"machine type '{c.machine}' has no IDE controller", "type='sata'", "@type")
    if controller.ports is not None and controller.type == "usb" and controller.ports > 15:
        c.problem(controller, f"'ports' of the USB controller is '{controller.ports}'", "1 to 15", "@ports")


def _check_pci(controller: Controller, c: Completion) -> None:
    if controller.model is None:
        c.problem(
            controller, f"PCI controller with index '{controller.index}' has no model", ", ".join(PCI_MODELS), "@model"
        )
        return
    root = controller.model in ("pci-root", "pcie-root")
    if root and controller.index != 0 and not c.pseries:
        c.problem(controller, f"'{controller.model}' has index '{controller.index}'", "index='0'", "@index")
    if root and controller.address is not None:
        c.problem(controller, f"'{controller.model}' has an <address>; the root has none", "no <address>", "address")
    if not root and controller.index == 0:
        want = "pcie-root" if c.pcie else "pci-root"
        c.problem(controller, f"the PCI controller with index='0' has model '{controller.model}'", want, "@model")
    if controller.index == 0 and root and (controller.model == "pcie-root") != c.pcie and (c.x86 or c.pcie):
        want = "pcie-root" if c.pcie else "pci-root"
        c.problem(controller, f"machine type '{c.machine}' has no '{controller.model}' with index '0'", want, "@model")


def place(controller: Controller, facts: Facts) -> Want | None:
    """Ask for a PCI slot where the controller is a card; built-in ones and roots ask for none."""
    kind, model = controller.type, controller.model or ""
    if isinstance(controller.address, CcwAddress):
        return None
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
            return None
        return want_virtio(facts, model) if model.startswith("virtio") else want_legacy()
    if kind == "virtio-serial":
        return want_virtio(facts, model)
    if kind == "sata":
        return want_legacy()
    if kind == "ide":
        return WantPci(Pci.PCI) if facts.i440fx else None
    return None


def pci_want(model: str) -> WantPci | None:
    """Say what slot a PCI controller itself is plugged into. Source: QEMU's docs/pcie.txt."""
    flags = {
        "pci-bridge": Pci.PCI_BRIDGE | Pci.HOTPLUG,
        "dmi-to-pci-bridge": Pci.DMI_BRIDGE,
        "pcie-to-pci-bridge": Pci.PCIE_TO_PCI | Pci.HOTPLUG,
        "pcie-root-port": Pci.ROOT_PORT | Pci.AGGREGATE,
        "pcie-switch-upstream-port": Pci.UPSTREAM,
        "pcie-switch-downstream-port": Pci.DOWNSTREAM | Pci.AGGREGATE,
        "pci-expander-bus": Pci.PCI_EXPANDER,
        "pcie-expander-bus": Pci.PCIE_EXPANDER,
    }.get(model)
    return WantPci(flags) if flags is not None else None


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
    if kind == "usb":
        return f"usb{number}" if number else "usb"
    return f"{kind}{number}"


_USB_DRIVERS = {
    "piix3-uhci": "piix3-usb-uhci",
    "piix4-uhci": "piix4-usb-uhci",
    "ehci": "usb-ehci",
    "ich9-ehci1": "ich9-usb-ehci1",
    "ich9-uhci1": "ich9-usb-uhci1",
    "ich9-uhci2": "ich9-usb-uhci2",
    "ich9-uhci3": "ich9-usb-uhci3",
    "vt82c686b-uhci": "vt82c686b-usb-uhci",
    "pci-ohci": "pci-ohci",
    "nec-xhci": "nec-usb-xhci",
    "qemu-xhci": "qemu-xhci",
}
_SCSI_DRIVERS = {
    "lsilogic": "lsi",
    "lsisas1068": "mptsas1068",
    "lsisas1078": "megasas",
    "vmpvscsi": "pvscsi",
    "ibmvscsi": "spapr-vscsi",
    "dc390": "dc390",
    "am53c974": "am53c974",
}
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
    }.get(controller.type or "", lambda _controller, _planning: None)(controller, p)
    if props is not None:
        if controller.type != "pci":
            identity = None if controller.master is not None else alias_of(controller)
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
        **virtio_props(driver),
    }


def _scsi(controller: Controller, p: Planning) -> dict[str, Any]:
    model = controller.model or ""
    if model.startswith("virtio"):
        return {"driver": virtio_driver("virtio-scsi", controller, model.removesuffix("-scsi")), **_driver(controller)}
    return {"driver": _SCSI_DRIVERS[model]}


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
    props: dict[str, Any] = {"driver": _USB_DRIVERS[model or ""]}
    if model in ("nec-xhci", "qemu-xhci") and controller.ports is not None:
        props |= {"p2": controller.ports, "p3": controller.ports}
    if controller.master is not None:
        number = controller.index or 0
        props |= {"masterbus": f"usb{number}.0" if number else "usb.0", "firstport": controller.master.startport}
    return props


def _sata(controller: Controller, p: Planning) -> dict[str, Any] | None:
    return None if p.q35 and controller.index == 0 else {"driver": "ahci"}


def _ccid(controller: Controller, p: Planning) -> dict[str, Any]:
    return {"driver": "usb-ccid"}


def _pci(controller: Controller, p: Planning) -> dict[str, Any] | None:
    model = controller.model or ""
    if model in ("pci-root", "pcie-root"):
        return None
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


FAMILY = Family(element=Controller, defaults=defaults, check=check, place=place, alias=alias, plan=plan)
