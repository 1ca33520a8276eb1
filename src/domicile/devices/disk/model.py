"""What a disk element may say. Used by the other files of this slice."""

from __future__ import annotations

from typing import Any

from domicile.devices.parts.device import Device, VirtioOptions
from domicile.schema import field as f
from domicile.schema.scalar import FILLED, ON_OFF, PATH, PUINT, STR, UINT, ULONG, YES_NO, enum
from domicile.schema.shape import Element, element

BUSES = ("ide", "fdc", "scsi", "virtio", "xen", "usb", "uml", "sata", "sd")
FORMATS = (
    "raw",
    "dir",
    "bochs",
    "cloop",
    "dmg",
    "iso",
    "vpc",
    "vdi",
    "luks",
    "cow",
    "qcow",
    "qcow2",
    "qed",
    "vmdk",
    "vhd",
    "fat",
    "ploop",
    "auto",
)
SOURCE_TYPES = ("file", "block", "dir", "network", "volume", "nvme", "vhostuser", "vhostvdpa")
PROTOCOLS = (
    "nbd",
    "rbd",
    "sheepdog",
    "gluster",
    "iscsi",
    "http",
    "https",
    "ftp",
    "ftps",
    "tftp",
    "ssh",
    "vxhs",
    "nfs",
)


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


@element("host", "存储服务器")
class SourceHost(Element):
    """A server the image is on."""

    name: str | None = f.attr("Its name or address.", "名称或地址。", FILLED)
    port: int | None = f.attr("Its port.", "端口。", UINT)
    transport: str | None = f.attr("How it is reached.", "连接方式。", enum("tcp", "unix", "rdma"))
    socket: str | None = f.attr("The unix socket it listens on.", "它监听的 unix 套接字。", PATH)


@element("reservations", "持久保留")
class Reservations(Element):
    """SCSI persistent reservations."""

    managed: bool | None = f.attr("Whether the helper is started for the machine.", "是否自动启动辅助进程。", YES_NO)


@element("source", "磁盘内容的来源")
class DiskSource(Element):
    """Where the disk's contents are."""

    file: str | None = f.attr("The image file.", "映像文件。", FILLED)
    dev: str | None = f.attr("The host's block device.", "主机的块设备。", FILLED)
    dir: str | None = f.attr("The directory shown as a FAT disk.", "以 FAT 磁盘呈现的目录。", FILLED)
    protocol: str | None = f.attr("The protocol of a network disk.", "网络磁盘的协议。", enum(*PROTOCOLS))
    name: str | None = f.attr("The image's name on the server.", "服务器上的映像名称。", FILLED)
    query: str | None = f.attr("The query of an HTTP address.", "HTTP 地址的查询串。")
    pool: str | None = f.attr("The storage pool.", "存储池。", FILLED)
    volume: str | None = f.attr("The volume in the pool.", "池中的卷。", FILLED)
    mode: str | None = f.attr(
        "How an iSCSI pool's volume is reached.", "如何访问 iSCSI 池的卷。", enum("host", "direct")
    )
    startupPolicy: str | None = f.attr(
        "What to do when the file is missing at start.",
        "启动时文件不存在怎么办。",
        enum("mandatory", "requisite", "optional"),
        order=5,
    )
    index: int | None = f.attr("The layer's number in the chain.", "该层在链中的编号。", UINT, order=6)
    host: list[SourceHost] = f.children("The servers that hold it.", "保存它的服务器。", SourceHost)
    reservations: Reservations | None = f.child("Persistent reservations.", "持久保留。", Reservations)
    encryption: Any = f.raw("How the image is encrypted.", "映像的加密方式。")
    auth: Any = f.raw("Who asks the server for the image.", "访问服务器的身份。")


@element("format", "映像格式")
class LayerFormat(Element):
    """The format of a layer."""

    type: str | None = f.attr("The format's name.", "格式名称。", enum(*FORMATS))


@element("backingStore", "后备层")
class BackingStore(Element):
    """The layer below: what is read where this layer holds nothing."""

    type: str | None = f.attr("What kind of source it is.", "来源的种类。", enum(*SOURCE_TYPES))
    index: int | None = f.attr("The layer's number in the chain.", "该层在链中的编号。", UINT)
    format: LayerFormat | None = f.child("Its format.", "它的格式。", LayerFormat)
    source: DiskSource | None = f.child("Where it is.", "它在哪里。", DiskSource)
    backingStore: BackingStore | None = f.child("The layer below this one.", "再下面一层。", f.SELF)


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


@element("iotune", "读写限速")
class IoTune(Element):
    """Limits on the disk's traffic; 0 is none."""

    total_bytes_sec: int | None = f.leaf("Bytes a second, both ways.", "每秒总字节数。", ULONG, effect="live")
    read_bytes_sec: int | None = f.leaf("Bytes read a second.", "每秒读取字节数。", ULONG, effect="live")
    write_bytes_sec: int | None = f.leaf("Bytes written a second.", "每秒写入字节数。", ULONG, effect="live")
    total_iops_sec: int | None = f.leaf("Requests a second, both ways.", "每秒总请求数。", ULONG, effect="live")
    read_iops_sec: int | None = f.leaf("Reads a second.", "每秒读请求数。", ULONG, effect="live")
    write_iops_sec: int | None = f.leaf("Writes a second.", "每秒写请求数。", ULONG, effect="live")
    total_bytes_sec_max: int | None = f.leaf("Bytes a second in a burst.", "突发每秒总字节数。", ULONG, effect="live")
    read_bytes_sec_max: int | None = f.leaf(
        "Bytes read a second in a burst.", "突发每秒读取字节数。", ULONG, effect="live"
    )
    write_bytes_sec_max: int | None = f.leaf(
        "Bytes written a second in a burst.", "突发每秒写入字节数。", ULONG, effect="live"
    )
    total_iops_sec_max: int | None = f.leaf("Requests a second in a burst.", "突发每秒总请求数。", ULONG, effect="live")
    read_iops_sec_max: int | None = f.leaf("Reads a second in a burst.", "突发每秒读请求数。", ULONG, effect="live")
    write_iops_sec_max: int | None = f.leaf("Writes a second in a burst.", "突发每秒写请求数。", ULONG, effect="live")
    size_iops_sec: int | None = f.leaf(
        "How many bytes count as one request.", "多少字节算一次请求。", ULONG, effect="live"
    )
    group_name: str | None = f.leaf("Disks of one group share their limits.", "同组磁盘共用限额。", effect="live")
    total_bytes_sec_max_length: int | None = f.leaf(
        "Seconds a burst may last.", "突发可持续的秒数。", ULONG, effect="live"
    )
    read_bytes_sec_max_length: int | None = f.leaf(
        "Seconds a burst of reading may last.", "读突发可持续的秒数。", ULONG, effect="live"
    )
    write_bytes_sec_max_length: int | None = f.leaf(
        "Seconds a burst of writing may last.", "写突发可持续的秒数。", ULONG, effect="live"
    )
    total_iops_sec_max_length: int | None = f.leaf(
        "Seconds a burst of requests may last.", "请求突发可持续的秒数。", ULONG, effect="live"
    )
    read_iops_sec_max_length: int | None = f.leaf(
        "Seconds a burst of reads may last.", "读请求突发可持续的秒数。", ULONG, effect="live"
    )
    write_iops_sec_max_length: int | None = f.leaf(
        "Seconds a burst of writes may last.", "写请求突发可持续的秒数。", ULONG, effect="live"
    )


@element("geometry", "磁盘几何参数")
class Geometry(Element):
    """The cylinders, heads and sectors an old guest is told."""

    cyls: int | None = f.attr("Cylinders.", "柱面数。", UINT, guest=True)
    heads: int | None = f.attr("Heads.", "磁头数。", UINT, guest=True)
    secs: int | None = f.attr("Sectors a track.", "每磁道扇区数。", UINT, guest=True)
    trans: str | None = f.attr(
        "How the BIOS translates them.", "BIOS 如何换算。", enum("auto", "none", "lba"), guest=True
    )


@element("blockio", "块大小")
class BlockIo(Element):
    """The block sizes the guest is told."""

    logical_block_size: int | None = f.attr(
        "The smallest the guest may address, in bytes.", "可寻址的最小单位（字节）。", UINT, guest=True
    )
    physical_block_size: int | None = f.attr(
        "The disk's own, in bytes.", "磁盘自身的块大小（字节）。", UINT, guest=True
    )
    discard_granularity: int | None = f.attr(
        "The unit of freeing blocks, in bytes.", "释放块的单位（字节）。", UINT, guest=True
    )


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
    source: DiskSource | None = f.child("Where the contents are.", "内容在哪里。", DiskSource, keep_empty=False)
    backingStore: BackingStore | None = f.child("The layer below.", "下面一层。", BackingStore)
    geometry: Geometry | None = f.child("The old-style geometry.", "旧式几何参数。", Geometry)
    blockio: BlockIo | None = f.child("The block sizes.", "块大小。", BlockIo)
    target: DiskTarget | None = f.child("What the guest sees.", "客户机看到什么。", DiskTarget)
    iotune: IoTune | None = f.child("Limits on traffic.", "限速。", IoTune)
    readonly: bool = f.flag("The guest cannot write to it.", "客户机不能写入。")
    shareable: bool = f.flag("Other machines may have it at the same time.", "可同时供其他虚拟机使用。")
    transient: bool = f.flag("What the guest writes is forgotten at stop.", "停机后丢弃客户机的写入。")
    serial: str | None = f.leaf("The serial number the guest reads.", "客户机读到的序列号。", STR, guest=True)
    wwn: str | None = f.leaf(
        "The disk's world wide name, 16 hexadecimal digits.", "全球唯一名称，16 位十六进制数。", STR, guest=True
    )
    vendor: str | None = f.leaf("The vendor a SCSI guest reads.", "SCSI 客户机读到的厂商。", STR, guest=True)
    product: str | None = f.leaf(
        "The product a SCSI or SATA guest reads.", "SCSI/SATA 客户机读到的产品名。", STR, guest=True
    )
    encryption: Any = f.raw("How the image is encrypted.", "映像的加密方式。")
