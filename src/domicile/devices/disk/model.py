"""What a disk element may say. Used by the other files of this slice."""

from __future__ import annotations

from domicile.devices.disk.secret import Auth, Encryption
from domicile.devices.disk.source import FORMATS, SOURCE_TYPES, BackingStore, DiskSource, MetadataCache, Mirror
from domicile.devices.disk.tune import BlockIo, Geometry, IoTune, ThrottleFilters
from domicile.devices.parts.device import Device, VirtioOptions
from domicile.devices.parts.threads import ThreadMap
from domicile.schema import field as f
from domicile.schema.scalar import FILLED, ON_OFF, PUINT, STR, YES_NO, enum
from domicile.schema.shape import Element, element

BUSES = ("ide", "fdc", "scsi", "virtio", "xen", "usb", "uml", "sata", "sd")


@element("transient", "临时写入")
class Transient(Element):
    """What the guest writes is forgotten at stop."""

    shareBacking: bool | None = f.attr(
        "Whether other machines may start from the same image at the same time.",
        "是否可与其他虚拟机共用该映像。",
        YES_NO,
    )


@element("statistic", "统计周期")
class Statistic(Element):
    """A period over which QEMU keeps statistics."""

    interval: int | None = f.attr("The period, in seconds.", "周期（秒）。", PUINT)


@element("statistics", "统计周期")
class Statistics(Element):
    """The periods over which QEMU keeps statistics of the disk."""

    statistic: list[Statistic] = f.children("One period.", "一个周期。", Statistic)


@element("backenddomain", "后端域")
class BackendDomain(Element):
    """The Xen domain that serves the disk."""

    name: str | None = f.attr("Its name.", "名称。", FILLED)


@element("driver", "磁盘驱动选项")
class DiskDriver(VirtioOptions):
    """How the host reads and writes the image."""

    name: str | None = f.attr("The backend; only qemu exists here.", "后端名称，这里只有 qemu。")
    type: str | None = f.attr(
        "The image's format. Left out, it is taken as raw, so that a guest cannot choose it by writing a header.",
        "映像格式。省略时视为 raw，以免客户机写入文件头来改变格式。",
        enum(*FORMATS),
    )
    cache: str | None = f.attr(
        "Which of the host's caches may hold writes.",
        "写入可以停留在主机的哪些缓存中。",
        enum("default", "none", "writethrough", "writeback", "directsync", "unsafe"),
    )
    error_policy: str | None = f.attr(
        "What happens to the guest on a write error.",
        "写入出错时客户机怎么办。",
        enum("stop", "report", "ignore", "enospace"),
    )
    rerror_policy: str | None = f.attr(
        "What happens to the guest on a read error.", "读取出错时客户机怎么办。", enum("stop", "report", "ignore")
    )
    io: str | None = f.attr(
        "How the host does its input and output.", "主机以何种方式读写。", enum("native", "threads", "io_uring")
    )
    ioeventfd: bool | None = f.attr(
        "Whether a thread of its own sees the guest's requests.", "是否由独立线程接收客户机请求。", ON_OFF
    )
    event_idx: bool | None = f.attr("Whether notifications are gathered.", "是否合并通知。", ON_OFF)
    copy_on_read: bool | None = f.attr(
        "Whether what is read from a backing file is kept.", "读自后备文件的数据是否保留。", ON_OFF
    )
    discard: str | None = f.attr(
        "Whether blocks the guest frees are given back to the host.",
        "客户机释放的块是否归还主机。",
        enum("unmap", "ignore"),
    )
    iothread: int | None = f.attr("The I/O thread that serves this disk.", "服务此磁盘的 I/O 线程。", PUINT)
    detect_zeroes: str | None = f.attr(
        "What becomes of writes that are all zeroes.", "全零写入如何处理。", enum("off", "on", "unmap")
    )
    discard_no_unref: bool | None = f.attr(
        "Whether freed clusters stay reserved in a qcow2 file.", "释放的簇是否在 qcow2 文件中保留。", ON_OFF
    )
    queues: int | None = f.attr("How many queues the guest gets.", "客户机有多少个队列。", PUINT, guest=True)
    queue_size: int | None = f.attr("How many requests a queue holds.", "每个队列容纳多少请求。", PUINT, guest=True)
    model: str | None = f.attr("Kept for Xen.", "为 Xen 保留。")
    iothreads: ThreadMap | None = f.child(
        "The I/O threads that share its queues.", "分担其队列的 I/O 线程。", ThreadMap
    )
    metadata_cache: MetadataCache | None = f.child(
        "The cache of a qcow2 file's tables.", "qcow2 元数据缓存。", MetadataCache
    )
    statistics: Statistics | None = f.child("Periods of statistics.", "统计周期。", Statistics)


@element("target", "客户机看到的磁盘", identity=("dev",))
class DiskTarget(Element):
    """What the guest sees."""

    dev: str | None = f.attr(
        "The place in the order of disks, such as hda, sda or vda; the guest may call it otherwise.",
        "磁盘的次序，如 hda、sda、vda；客户机内的名称可能不同。",
        FILLED,
        effect="never",
        guest=True,
    )
    bus: str | None = f.attr("The kind of controller it is on.", "所在控制器的种类。", enum(*BUSES), guest=True)
    tray: str | None = f.attr(
        "Whether the tray is open.", "托盘是否打开。", enum("closed", "open"), effect="live", guest=True
    )
    removable: bool | None = f.attr(
        "Whether a USB disk says it can be removed.", "USB 磁盘是否声称可移除。", ON_OFF, guest=True
    )
    rotation_rate: int | None = f.attr(
        "Revolutions a minute; 1 says it is a solid-state disk.", "转速；1 表示固态硬盘。", PUINT, guest=True
    )
    dpofua: bool | None = f.attr("Whether forced unit access is offered.", "是否支持 FUA。", ON_OFF, guest=True)


@element("disk", "磁盘、光驱或软驱", identity=("target.dev",))
class Disk(Device):
    """A disk, CD-ROM or floppy drive of the guest."""

    type: str | None = f.attr(
        "What kind of thing holds the contents.", "内容存放在何种介质上。", enum(*SOURCE_TYPES), default="file"
    )
    device: str | None = f.attr(
        "What the guest sees: a disk, a drive for CDs or floppies, or a SCSI disk passed through.",
        "客户机看到的是磁盘、光驱、软驱还是直通的 SCSI 盘。",
        enum("disk", "cdrom", "floppy", "lun"),
        default="disk",
        guest=True,
    )
    model: str | None = f.attr(
        "The flavour of virtio.",
        "virtio 的变体。",
        enum("virtio", "virtio-transitional", "virtio-non-transitional"),
        guest=True,
    )
    rawio: bool | None = f.attr("Whether QEMU may send raw SCSI commands.", "QEMU 可否发送原始 SCSI 命令。", YES_NO)
    sgio: str | None = f.attr(
        "Which SCSI commands the guest may send.", "客户机可发送哪些 SCSI 命令。", enum("filtered", "unfiltered")
    )
    snapshot: str | None = f.attr(
        "What snapshots do with this disk.", "快照如何对待此磁盘。", enum("no", "internal", "external", "manual")
    )
    driver: DiskDriver | None = f.child("How the host does its part.", "主机侧的选项。", DiskDriver)
    auth: Auth | None = f.child("Who asks the server for the image.", "访问服务器的身份。", Auth)
    source: DiskSource | None = f.child("Where the contents are.", "内容在哪里。", DiskSource, keep_empty=False)
    backingStore: BackingStore | None = f.child("The layer below.", "下面一层。", BackingStore)
    backenddomain: BackendDomain | None = f.child("Kept for Xen.", "为 Xen 保留。", BackendDomain)
    geometry: Geometry | None = f.child("The old-style geometry.", "旧式几何参数。", Geometry, keep_empty=False)
    blockio: BlockIo | None = f.child("The block sizes.", "块大小。", BlockIo)
    mirror: Mirror | None = f.child("The copy a running job writes.", "运行中的作业写入的副本。", Mirror)
    target: DiskTarget | None = f.child("What the guest sees.", "客户机看到什么。", DiskTarget)
    iotune: IoTune | None = f.child("Limits on traffic.", "限速。", IoTune)
    throttlefilters: ThrottleFilters | None = f.child(
        "Groups of limits it shares.", "共用的限速组。", ThrottleFilters, effect="live"
    )
    readonly: bool = f.flag("The guest cannot write to it.", "客户机不能写入。")
    shareable: bool = f.flag("Other machines may have it at the same time.", "可同时供其他虚拟机使用。")
    transient: Transient | None = f.child(
        "What the guest writes is forgotten at stop.", "停机后丢弃客户机的写入。", Transient
    )
    serial: str | None = f.leaf("The serial number the guest reads.", "客户机读到的序列号。", STR, guest=True)
    wwn: str | None = f.leaf(
        "The disk's world wide name, 16 hexadecimal digits.", "全球唯一名称，16 位十六进制数。", STR, guest=True
    )
    vendor: str | None = f.leaf("The vendor a SCSI guest reads.", "SCSI 客户机读到的厂商。", STR, guest=True)
    product: str | None = f.leaf(
        "The product a SCSI or SATA guest reads.", "SCSI/SATA 客户机读到的产品名。", STR, guest=True
    )
    encryption: Encryption | None = f.child("How the image is encrypted.", "映像的加密方式。", Encryption)


__all__ = [
    "BUSES",
    "FORMATS",
    "BackingStore",
    "BlockIo",
    "Disk",
    "DiskDriver",
    "DiskSource",
    "DiskTarget",
    "Geometry",
    "IoTune",
    "ThreadMap",
    "Transient",
]
