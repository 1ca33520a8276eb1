"""What the machine is and how it starts: type, machine type, boot order, kernel, firmware. Part of `domain.Domain`."""

from __future__ import annotations

from domicile.base.errors import CONFIG_UNSUPPORTED
from domicile.devices.disk.model import DiskSource
from domicile.schema import field as f
from domicile.schema.scalar import FILLED, INT, PATH, UINT, YES_NO, enum
from domicile.schema.shape import Element, element


@element("type", "操作系统类型")
class OsType(Element):
    """Full virtualisation, and the machine it imitates."""

    arch: str | None = f.attr("The processor architecture.", "处理器架构。", FILLED, effect="never", guest=True)
    machine: str | None = f.attr(
        "QEMU's machine type; a versioned one stays the same over QEMU's releases.",
        "QEMU 机型；带版本的机型在 QEMU 升级后保持不变。",
        FILLED,
        guest=True,
    )
    value: str | None = f.text(
        "hvm: the guest runs as on a real machine.",
        "hvm 表示完全虚拟化。",
        enum("hvm", "xen", "linux", "exe", "uml", "xenpvh"),
        effect="never",
        code=CONFIG_UNSUPPORTED,
    )


@element("boot", "启动设备")
class Boot(Element):
    """A kind of device to boot from; the first wins."""

    dev: str | None = f.attr(
        "The kind of device.", "设备种类。", enum("fd", "hd", "cdrom", "network"), guest=True, required=True
    )


@element("bootmenu", "启动菜单")
class BootMenu(Element):
    """The firmware's menu of boot devices."""

    enable: bool | None = f.attr("Whether it is shown.", "是否显示。", YES_NO, guest=True)
    timeout: int | None = f.attr("Milliseconds it waits.", "等待的毫秒数。", UINT, guest=True)


@element("bios", "BIOS 设置")
class Bios(Element):
    """Settings of a BIOS."""

    useserial: bool | None = f.attr(
        "Whether it talks on the first serial port.", "是否使用第一个串口输出。", YES_NO, guest=True
    )
    rebootTimeout: int | None = f.attr(
        "Milliseconds after which it tries again when nothing boots; -1 is never.",
        "无可启动设备时多少毫秒后重试，-1 表示从不。",
        INT,
        guest=True,
    )


@element("loader", "固件映像")
class Loader(Element):
    """The firmware the machine starts with."""

    readonly: bool | None = f.attr("Whether the image is only read.", "映像是否只读。", YES_NO)
    secure: bool | None = f.attr(
        "Whether it needs system management mode.", "是否需要系统管理模式。", YES_NO, guest=True
    )
    type: str | None = f.attr(
        "How it is shown to the guest.", "以何种方式呈现给客户机。", enum("rom", "pflash"), guest=True
    )
    stateless: bool | None = f.attr("Whether it keeps no variables.", "是否不保存变量。", YES_NO, guest=True)
    format: str | None = f.attr("The image's format.", "映像格式。", enum("raw", "qcow2"))
    path: str | None = f.text("The image.", "映像路径。", guest=True)


@element("nvram", "固件变量")
class Nvram(Element):
    """The file that holds the firmware's variables."""

    template: str | None = f.attr("The file it is first copied from.", "初次复制的模板。")
    templateFormat: str | None = f.attr("The template's format.", "模板的格式。", enum("raw", "qcow2"))
    type: str | None = f.attr("What kind of source it is.", "来源的种类。", enum("file", "block", "network"))
    format: str | None = f.attr("Its format.", "格式。", enum("raw", "qcow2"))
    source: DiskSource | None = f.child("Where it is, when not a plain path.", "非普通路径时的位置。", DiskSource)
    path: str | None = f.text("The file.", "文件路径。")

    @property
    def local(self) -> bool:
        """Whether it is on this host."""
        return self.type != "network"

    @property
    def place(self) -> str | None:
        """The path of the file or block device it is, where it is on this host and known yet."""
        if self.type is None:
            return self.path or None
        return (self.source.file or self.source.dev) if self.source is not None and self.local else None


@element("feature", "一项固件特性")
class FirmwareFeature(Element):
    """A feature that the firmware must have or must not have."""

    enabled: bool | None = f.attr("Whether it must have it.", "须具备还是须不具备。", YES_NO, guest=True)
    name: str | None = f.attr(
        "Secure boot, or the keys for it enrolled from the start.",
        "安全启动，或预先登记其密钥。",
        enum("enrolled-keys", "secure-boot"),
        guest=True,
    )


@element("firmware", "固件特性")
class FirmwareFeatures(Element):
    """What the firmware chosen must or must not have."""

    feature: list[FirmwareFeature] = f.children("One feature.", "一项特性。", FirmwareFeature)

    def wants(self, name: str) -> bool | None:
        """Say what is asked of a feature, None where nothing is."""
        return next((feature.enabled for feature in self.feature if feature.name == name), None)


@element("table", "ACPI 表")
class AcpiTable(Element):
    """A file with an ACPI table that the guest gets."""

    type: str | None = f.attr(
        "slic, msdm: the table of that name; raw: a table with its own header; rawset: several of them.",
        "slic、msdm 为同名表；raw 为自带表头的单张表；rawset 为多张。",
        enum("slic", "msdm", "raw", "rawset"),
        guest=True,
    )
    path: str | None = f.text("The file.", "文件路径。", PATH, guest=True)


@element("acpi", "自带的 ACPI 表")
class AcpiTables(Element):
    """ACPI tables of your own."""

    table: list[AcpiTable] = f.children("One file.", "一个文件。", AcpiTable)


@element("smbios", "SMBIOS 来源")
class Smbios(Element):
    """Where the guest's system information comes from."""

    mode: str | None = f.attr(
        "Made up, the host's, or from <sysinfo>.",
        "虚构、取自主机或取自 <sysinfo>。",
        enum("emulate", "host", "sysinfo"),
        guest=True,
    )


@element("os", "启动方式与机型")
class Os(Element):
    """What machine this is and how it starts."""

    firmware: str | None = f.attr(
        "Which kind of firmware to choose by itself.", "自动选择哪类固件。", enum("bios", "efi"), guest=True
    )
    type: OsType | None = f.child("What it runs and on which machine.", "运行类型与机型。", OsType)
    firmware_features: FirmwareFeatures | None = f.child(
        "What the firmware must have.", "固件须具备的特性。", FirmwareFeatures, name="firmware"
    )
    loader: Loader | None = f.child("The firmware.", "固件。", Loader)
    nvram: Nvram | None = f.child("The firmware's variables.", "固件变量。", Nvram)
    kernel: str | None = f.leaf(
        "A kernel to start without any boot loader.", "不经引导程序直接启动的内核。", guest=True
    )
    initrd: str | None = f.leaf("Its initial RAM disk.", "初始内存盘。", guest=True)
    cmdline: str | None = f.leaf("Its command line.", "内核命令行。", guest=True)
    shim: str | None = f.leaf("A boot shim for the kernel.", "内核的引导 shim。", guest=True)
    dtb: str | None = f.leaf("A device tree.", "设备树。", guest=True)
    acpi: AcpiTables | None = f.child("ACPI tables of your own.", "自带的 ACPI 表。", AcpiTables)
    boot: list[Boot] = f.children("What to boot from, in order.", "启动设备，按次序。", Boot)
    bootmenu: BootMenu | None = f.child("The firmware's menu.", "启动菜单。", BootMenu)
    bios: Bios | None = f.child("Settings of the BIOS.", "BIOS 设置。", Bios, keep_empty=False)
    smbios: Smbios | None = f.child("Where system information comes from.", "系统信息来源。", Smbios)
