"""The base of every device: alias, boot order, ROM, address. All families derive from Device."""

from __future__ import annotations

import string

from domicile.schema import field as f
from domicile.schema.scalar import INT, ON_OFF, PUINT, STR, UINT, YES_NO, Scalar, enum, hexadecimal
from domicile.schema.shape import Element, Variant, element

HEX4 = hexadecimal(4, 0xFFFFFFFF)
HEX2 = hexadecimal(2, 0xFF)
HEX1 = hexadecimal(1, 0xFF)
# Parts of addresses that are checked together, as one number.
HEX1_WIDE = hexadecimal(1, 0xFFFFFFFF)


@element("alias", "设备在运行时的名字")
class Alias(Element):
    """The name of the device in the running machine; names of your own begin with ua-."""

    name: str = f.attr("The name QEMU and the events use.", "QEMU 与事件使用的名字。", default="")


@element("zpci", "s390 的 PCI 标识")
class Zpci(Element):
    """The identifiers an s390 guest knows a PCI device by."""

    uid: int | None = f.attr("The user-chosen identifier.", "用户指定的标识。", HEX4, guest=True)
    fid: int | None = f.attr("The function identifier.", "功能标识。", hexadecimal(8, 0xFFFFFFFF), guest=True)


@element("address", "PCI 地址", identity=())
class PciAddress(Element):
    """A place on a PCI bus."""

    type: str = f.attr("The kind of address.", "地址的种类。", enum("pci"), default="pci", guest=True)
    domain: int | None = f.attr("The PCI domain.", "PCI 域。", HEX4, guest=True)
    bus: int | None = f.attr(
        "The bus, which is the index of a PCI controller.", "总线，即 PCI 控制器的序号。", HEX2, guest=True
    )
    slot: int | None = f.attr("The slot on the bus.", "总线上的插槽。", HEX2, guest=True)
    function: int | None = f.attr("The function in the slot.", "插槽内的功能号。", HEX1, guest=True)
    multifunction: bool | None = f.attr(
        "Whether the slot holds more than one function.", "该插槽是否有多个功能。", ON_OFF, guest=True
    )
    zpci: Zpci | None = f.child("The s390 identifiers of this device.", "该设备的 s390 标识。", Zpci)

    @property
    def given(self) -> bool:
        """Whether a place is named: all zero says no more than the kind of address."""
        return bool(self.domain or self.bus or self.slot)


@element("address", "驱动器地址")
class DriveAddress(Element):
    """A place on a disk controller."""

    type: str = f.attr("The kind of address.", "地址的种类。", enum("drive"), default="drive", guest=True)
    controller: int = f.attr("The index of the controller.", "控制器的序号。", UINT, default=0, guest=True)
    bus: int = f.attr("The bus of the controller.", "控制器的总线。", UINT, default=0, guest=True)
    target: int = f.attr("The SCSI target.", "SCSI 目标号。", UINT, default=0, guest=True)
    unit: int = f.attr("The unit on the bus.", "总线上的单元号。", UINT, default=0, guest=True)
    diskbus: str | None = f.attr(
        "The bus a SCSI host device pretends to be on.", "SCSI 直通设备所在的总线。", guest=True
    )


@element("address", "virtio 串口地址")
class VirtioSerialAddress(Element):
    """A port of a virtio-serial controller."""

    type: str = f.attr(
        "The kind of address.", "地址的种类。", enum("virtio-serial"), default="virtio-serial", guest=True
    )
    controller: int = f.attr("The index of the controller.", "控制器的序号。", UINT, default=0, guest=True)
    bus: int = f.attr("The bus of the controller.", "控制器的总线。", UINT, default=0, guest=True)
    port: int | None = f.attr("The port's number.", "端口号。", UINT, guest=True)


@element("address", "智能卡地址")
class CcidAddress(Element):
    """A slot of a smartcard reader."""

    type: str = f.attr("The kind of address.", "地址的种类。", enum("ccid"), default="ccid", guest=True)
    controller: int = f.attr("The index of the controller.", "控制器的序号。", UINT, default=0, guest=True)
    slot: int = f.attr("The slot of the reader.", "读卡器的插槽。", UINT, default=0, guest=True)


@element("address", "USB 地址")
class UsbAddress(Element):
    """A port of a USB controller or hub."""

    type: str = f.attr("The kind of address.", "地址的种类。", enum("usb"), default="usb", guest=True)
    bus: int = f.attr("The index of the USB controller.", "USB 控制器的序号。", UINT, default=0, guest=True)
    port: str | None = f.attr("The port, dotted behind hubs.", "端口，集线器之后以点分隔。", guest=True)


@element("address", "spapr-vio 地址")
class SpaprVioAddress(Element):
    """A register of the pseries virtual I/O bus."""

    type: str = f.attr("The kind of address.", "地址的种类。", enum("spapr-vio"), default="spapr-vio", guest=True)
    reg: int | None = f.attr("The register.", "寄存器。", hexadecimal(8, 2**64 - 1), guest=True)


@element("address", "CCW 地址")
class CcwAddress(Element):
    """A place on an s390 channel."""

    type: str = f.attr("The kind of address.", "地址的种类。", enum("ccw"), default="ccw", guest=True)
    cssid: int | None = f.attr("The channel subsystem.", "通道子系统。", HEX1_WIDE, guest=True)
    ssid: int | None = f.attr("The subchannel set.", "子通道集。", HEX1_WIDE, guest=True)
    devno: int | None = f.attr("The device number.", "设备号。", HEX4, guest=True)


@element("address", "virtio-mmio 地址")
class VirtioMmioAddress(Element):
    """A memory-mapped virtio slot; QEMU chooses which."""

    type: str = f.attr("The kind of address.", "地址的种类。", enum("virtio-mmio"), default="virtio-mmio", guest=True)


@element("address", "ISA 地址")
class IsaAddress(Element):
    """A place on the ISA bus."""

    type: str = f.attr("The kind of address.", "地址的种类。", enum("isa"), default="isa", guest=True)
    iobase: int | None = f.attr("The first I/O port.", "起始 I/O 端口。", hexadecimal(1, 0xFFFF), guest=True)
    irq: int | None = f.attr("The interrupt line.", "中断号。", hexadecimal(1, 0xFF), guest=True)


@element("address", "内存插槽地址")
class DimmAddress(Element):
    """A slot and place of a memory module."""

    type: str = f.attr("The kind of address.", "地址的种类。", enum("dimm"), default="dimm", guest=True)
    slot: int | None = f.attr("The slot's number.", "插槽号。", UINT, guest=True)
    base: int | None = f.attr(
        "Where in the guest's address space it begins.",
        "在客户机地址空间的起点。",
        hexadecimal(1, 2**64 - 1),
        guest=True,
    )


@element("address", "未分配的地址")
class UnassignedAddress(Element):
    """No address: the host device is not given to the guest."""

    type: str = f.attr("The kind of address.", "地址的种类。", enum("unassigned"), default="unassigned", guest=True)


ADDRESS = Variant(
    "type",
    {
        "pci": PciAddress,
        "drive": DriveAddress,
        "virtio-serial": VirtioSerialAddress,
        "ccid": CcidAddress,
        "usb": UsbAddress,
        "spapr-vio": SpaprVioAddress,
        "ccw": CcwAddress,
        "virtio-mmio": VirtioMmioAddress,
        "isa": IsaAddress,
        "dimm": DimmAddress,
        "unassigned": UnassignedAddress,
    },
)
Address = (
    PciAddress
    | DriveAddress
    | VirtioSerialAddress
    | CcidAddress
    | UsbAddress
    | SpaprVioAddress
    | CcwAddress
    | VirtioMmioAddress
    | IsaAddress
    | DimmAddress
    | UnassignedAddress
)


_LOADPARM = frozenset(string.ascii_uppercase + string.digits + ". ")
LOADPARM = Scalar("loadparm", str.upper, str, "1 to 8 characters of A to Z, 0 to 9, blank and .")


def is_loadparm(text: str) -> bool:
    """Say whether this is a load parameter; it is kept in capitals."""
    return 1 <= len(text) <= 8 and _LOADPARM.issuperset(text)


@element("boot", "启动顺序")
class DeviceBoot(Element):
    """The device's turn when the firmware looks for something to boot."""

    order: int | None = f.attr("The turn, 1 first.", "顺序，1 最先。", PUINT, guest=True)
    loadparm: str | None = f.attr(
        "What an s390 boot loader should load.", "s390 引导程序的加载参数。", LOADPARM, guest=True
    )


@element("rom", "设备的扩展 ROM")
class Rom(Element):
    """The device's option ROM."""

    enabled: bool | None = f.attr("Whether there is one.", "是否存在。", YES_NO, guest=True)
    bar: bool | None = f.attr(
        "Whether the guest sees it in the PCI configuration.", "客户机能否在 PCI 配置中看到它。", ON_OFF, guest=True
    )
    file: str | None = f.attr("An image to use in place of the built-in one.", "替代内置 ROM 的映像文件。", guest=True)


@element("acpi", "ACPI 序号")
class AcpiIndex(Element):
    """The device's index in the firmware's tables, from which guests name network cards."""

    index: int | None = f.attr("The index, unique in the machine.", "序号，在虚拟机内唯一。", UINT, guest=True)


@element("master", "主控制器")
class Master(Element):
    """The companion relation of USB 1 controllers to their USB 2 controller."""

    startport: int = f.attr(
        "The first port of the master this companion serves.", "从主控制器的哪个端口开始。", UINT, default=0, guest=True
    )


@element("device", "设备")
class Device(Element):
    """Any device of a virtual machine."""

    boot: DeviceBoot | None = f.child(
        "When the firmware tries to boot from it.", "固件何时尝试由它启动。", DeviceBoot, order=90
    )
    alias: Alias | None = f.child("Its name in the running machine.", "运行时的名字。", Alias, order=91)
    master: Master | None = f.child("The USB controller it accompanies.", "所伴随的 USB 主控制器。", Master, order=92)
    rom: Rom | None = f.child("Its option ROM.", "扩展 ROM。", Rom, keep_empty=False, order=93)
    acpi: AcpiIndex | None = f.child(
        "Its index in the ACPI tables.", "ACPI 表中的序号。", AcpiIndex, keep_empty=False, order=94
    )
    address: Address | None = f.child("Where the guest finds it.", "客户机在何处找到它。", ADDRESS, order=95)


@element("driver", "virtio 选项")
class VirtioOptions(Element):
    """What every virtio device lets its owner choose."""

    iommu: bool | None = f.attr(
        "Whether it stands behind the virtual IOMMU.", "是否位于虚拟 IOMMU 之后。", ON_OFF, guest=True, order=50
    )
    ats: bool | None = f.attr(
        "Whether it may cache address translations.", "是否可缓存地址转换。", ON_OFF, guest=True, order=51
    )
    packed: bool | None = f.attr("Whether it uses packed rings.", "是否使用 packed 环。", ON_OFF, guest=True, order=52)
    page_per_vq: bool | None = f.attr(
        "Whether each queue notifies through a page of its own.",
        "每个队列是否使用独立的通知页。",
        ON_OFF,
        guest=True,
        order=53,
    )


__all__ = [
    "ADDRESS",
    "INT",
    "STR",
    "AcpiIndex",
    "Address",
    "Alias",
    "CcidAddress",
    "CcwAddress",
    "Device",
    "DeviceBoot",
    "DimmAddress",
    "DriveAddress",
    "IsaAddress",
    "Master",
    "PciAddress",
    "Rom",
    "SpaprVioAddress",
    "UnassignedAddress",
    "UsbAddress",
    "VirtioMmioAddress",
    "VirtioOptions",
    "VirtioSerialAddress",
    "Zpci",
    "is_loadparm",
]
