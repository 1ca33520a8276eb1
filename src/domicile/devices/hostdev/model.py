"""What a hostdev element may say. Used by the other files of this slice."""

from __future__ import annotations

from domicile.devices.parts.device import Device
from domicile.schema import field as f
from domicile.schema.scalar import FILLED, ON_OFF, UINT, YES_NO, enum, hexadecimal
from domicile.schema.shape import Element, element

TYPES = ("usb", "pci", "scsi", "scsi_host", "mdev")


@element("driver", "主机侧驱动")
class HostdevDriver(Element):
    """The host's driver that hands the device over."""

    name: str | None = f.attr(
        "How it is handed over; only vfio exists here.", "移交方式，这里只有 vfio。", enum("vfio", "kvm", "xen")
    )
    model: str | None = f.attr(
        "The kernel module, where a variant of vfio-pci is wanted.", "内核模块，用于 vfio-pci 的变体。", FILLED
    )


@element("vendor", "厂商标识")
class UsbId(Element):
    """A number by which USB devices are known."""

    id: int | None = f.attr("The number.", "编号。", hexadecimal(4, 0xFFFF), required=True)


@element("adapter", "SCSI 适配器")
class Adapter(Element):
    """A SCSI adapter of the host."""

    name: str | None = f.attr("Its name, such as scsi_host0.", "名称，如 scsi_host0。", FILLED, required=True)


@element("address", "设备在主机上的位置")
class HostAddress(Element):
    """Where the host has the device; which attributes count depends on the kind."""

    domain: str | None = f.attr("The PCI domain.", "PCI 域。")
    bus: str | None = f.attr("The PCI, USB or SCSI bus.", "PCI、USB 或 SCSI 总线。")
    slot: str | None = f.attr("The PCI slot.", "PCI 插槽。")
    function: str | None = f.attr("The PCI function.", "PCI 功能号。")
    device: str | None = f.attr("The USB device's number.", "USB 设备号。")
    port: str | None = f.attr("The USB port.", "USB 端口。")
    target: str | None = f.attr("The SCSI target.", "SCSI 目标号。")
    unit: str | None = f.attr("The SCSI unit.", "SCSI 单元号。")
    uuid: str | None = f.attr("The mediated device's UUID.", "中介设备的 UUID。")

    def number(self, slot: str) -> int | None:
        """Read one attribute as a number in any base C knows; None where it is none."""
        text = getattr(self, slot)
        try:
            octal = text is not None and len(text) > 1 and text.isdigit() and text[0] == "0"
            return None if text is None else int(text, 8 if octal else 0)
        except ValueError:
            return None


@element("host", "iSCSI 服务器")
class IscsiHost(Element):
    """The iSCSI server."""

    name: str | None = f.attr("Its name or address.", "名称或地址。", FILLED, required=True)
    port: int | None = f.attr("Its port, 3260 unless told.", "端口，默认 3260。", UINT)


@element("secret", "密钥引用")
class AuthSecret(Element):
    """The stored secret that holds the password."""

    type: str | None = f.attr("What the secret is for.", "密钥的用途。", enum("iscsi"))
    usage: str | None = f.attr("The secret's usage name.", "密钥的用途名称。", FILLED)
    uuid: str | None = f.attr("The secret's UUID.", "密钥的 UUID。", FILLED)


@element("auth", "登录")
class Auth(Element):
    """How the host logs in to the iSCSI server."""

    username: str | None = f.attr("The user.", "用户名。", FILLED)
    secret: AuthSecret | None = f.child("The password.", "密码。", AuthSecret)


@element("iqn", "发起端名称")
class Iqn(Element):
    """An iSCSI name."""

    name: str | None = f.attr("The name.", "名称。", FILLED)


@element("initiator", "iSCSI 发起端")
class Initiator(Element):
    """Who the host says it is."""

    iqn: Iqn | None = f.child("Its iSCSI name.", "iSCSI 名称。", Iqn, keep_empty=False)


@element("source", "主机上的设备")
class HostSource(Element):
    """The device of the host."""

    startupPolicy: str | None = f.attr(
        "What happens at start when a USB device is missing.",
        "启动时缺少 USB 设备如何处理。",
        enum("mandatory", "requisite", "optional"),
    )
    guestReset: str | None = f.attr(
        "When a guest's reset reaches a USB device.",
        "客户机的复位何时传到 USB 设备。",
        enum("off", "uninitialized", "on"),
    )
    writeFiltering: bool | None = f.attr("Whether Xen filters configuration writes.", "Xen 是否过滤配置写入。", YES_NO)
    protocol: str | None = f.attr(
        "How it is reached: vhost or iscsi.", "访问方式：vhost 或 iscsi。", enum("vhost", "iscsi")
    )
    wwpn: str | None = f.attr("The vhost-scsi target's name.", "vhost-scsi 目标名。", FILLED)
    name: str | None = f.attr("The iSCSI target, a slash and the unit.", "iSCSI 目标、斜杠与单元号。", FILLED)
    vendor: UsbId | None = f.child("The USB vendor.", "USB 厂商。", UsbId)
    product: UsbId | None = f.child("The USB product.", "USB 产品。", UsbId)
    adapter: Adapter | None = f.child("The SCSI adapter.", "SCSI 适配器。", Adapter)
    address: HostAddress | None = f.child("Where the host has it.", "在主机上的位置。", HostAddress)
    host: IscsiHost | None = f.child("The iSCSI server.", "iSCSI 服务器。", IscsiHost)
    auth: Auth | None = f.child("How to log in.", "登录方式。", Auth)
    initiator: Initiator | None = f.child("Who the host says it is.", "发起端。", Initiator, keep_empty=False)


@element("teaming", "故障切换组")
class Teaming(Element):
    """The pair with a virtual card that takes over while this one is away."""

    type: str | None = f.attr("The part in the pair.", "在组中的角色。", enum("persistent", "transient"), guest=True)
    persistent: str | None = f.attr("The alias of the card that stays.", "常驻网卡的别名。", FILLED, guest=True)


@element("hostdev", "直通的主机设备")
class Hostdev(Device):
    """A device of the host that the guest has for itself."""

    mode: str | None = f.attr("The kind of passing through.", "直通方式。", enum("subsystem", "capabilities"))
    type: str | None = f.attr(
        "The bus of the host it is on.", "所在的主机总线。", enum(*TYPES, "storage", "misc", "net"), required=True
    )
    managed: bool | None = f.attr(
        "Whether it is taken from the host at start and given back at stop.",
        "是否在启动时从主机取下、停止时归还。",
        YES_NO,
    )
    sgio: str | None = f.attr(
        "Which SCSI commands may be sent.", "可发送哪些 SCSI 命令。", enum("filtered", "unfiltered")
    )
    rawio: bool | None = f.attr("Whether QEMU may send raw SCSI commands.", "QEMU 可否发送原始 SCSI 命令。", YES_NO)
    model: str | None = f.attr(
        "The mediated device's bus, or the flavour of virtio.",
        "中介设备的总线，或 virtio 的变体。",
        enum("vfio-pci", "vfio-ccw", "vfio-ap", "virtio", "virtio-transitional", "virtio-non-transitional"),
        guest=True,
    )
    display: bool | None = f.attr(
        "Whether it draws one of the guest's screens.", "是否绘制客户机的屏幕。", ON_OFF, guest=True
    )
    ramfb: bool | None = f.attr(
        "Whether the firmware gets a frame buffer of it.", "是否为固件提供帧缓冲。", ON_OFF, guest=True
    )
    driver: HostdevDriver | None = f.child("The host's driver.", "主机侧驱动。", HostdevDriver, keep_empty=False)
    source: HostSource | None = f.child("The device.", "设备。", HostSource)
    teaming: Teaming | None = f.child("The pair it belongs to.", "所属的故障切换组。", Teaming)
    readonly: bool = f.flag("The guest cannot write to it.", "客户机不能写入。", guest=True)
    shareable: bool = f.flag("Other machines may have it at the same time.", "可同时供其他虚拟机使用。")
