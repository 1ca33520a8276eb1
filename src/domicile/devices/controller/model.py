"""What a controller element may say. Used by the other files of this slice."""

from __future__ import annotations

from domicile.devices.parts.device import Device, VirtioOptions
from domicile.devices.parts.threads import ThreadMap
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
    iothreads: ThreadMap | None = f.child(
        "The I/O threads that serve its queues.", "服务其队列的 I/O 线程。", ThreadMap, order=60
    )


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
        return self.master is not None or (self.model or "").startswith("ich9-uhci")
