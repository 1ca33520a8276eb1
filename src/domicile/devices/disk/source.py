"""Where a disk's contents are: a source of any type, and the layers below it. Used by the other files of this slice."""

from __future__ import annotations

from domicile.devices.disk.secret import Auth, Encryption
from domicile.devices.parts.device import HEX1, HEX2, HEX4
from domicile.devices.parts.size import Size
from domicile.schema import field as f
from domicile.schema.scalar import FILLED, PATH, PUINT, STR, UINT, ULONG, YES_NO, enum
from domicile.schema.shape import Element, element, hold

FORMATS = (
    "raw", "dir", "bochs", "cloop", "dmg", "iso", "vpc", "vdi", "luks", "cow", "qcow", "qcow2", "qed", "vmdk", "vhd", "fat",
    "ploop", "auto",
)  # fmt: skip
SOURCE_TYPES = ("file", "block", "dir", "network", "volume", "nvme", "vhostuser", "vhostvdpa")
PROTOCOLS = (
    "nbd", "rbd", "sheepdog", "gluster", "iscsi", "http", "https", "ftp", "ftps", "tftp", "ssh", "vxhs", "nfs",
)  # fmt: skip


@element("host", "存储服务器")
class SourceHost(Element):
    """A server the image is on."""

    name: str | None = f.attr("Its name or address.", "名称或地址。", FILLED)
    port: int | None = f.attr("Its port.", "端口。", UINT)
    transport: str | None = f.attr("How it is reached.", "连接方式。", enum("tcp", "unix", "rdma"))
    socket: str | None = f.attr("The unix socket it listens on.", "它监听的 unix 套接字。", PATH)


@element("snapshot", "存储快照")
class SourceSnapshot(Element):
    """A snapshot the storage keeps under its own name."""

    name: str | None = f.attr("The snapshot's name.", "快照名称。", FILLED, required=True)


@element("config", "存储配置")
class SourceConfig(Element):
    """The configuration the storage's library reads."""

    file: str | None = f.attr("The file.", "配置文件。", FILLED, required=True)


@element("iqn", "发起端名称")
class SourceIqn(Element):
    """An iSCSI name."""

    name: str | None = f.attr("The name.", "名称。", FILLED, required=True)


@element("initiator", "iSCSI 发起端")
class SourceInitiator(Element):
    """Who the host says it is."""

    iqn: SourceIqn | None = f.child("Its iSCSI name.", "iSCSI 名称。", SourceIqn, keep_empty=False)


@element("ssl", "TLS 验证")
class SourceSsl(Element):
    """How the server's certificate is looked at."""

    verify: bool | None = f.attr("Whether it must be valid.", "是否必须有效。", YES_NO)


@element("cookie", "网页 Cookie", identity=("name",))
class Cookie(Element):
    """A cookie sent to the web server."""

    name: str | None = f.attr("Its name.", "名称。", FILLED, required=True)
    value: str | None = f.text("Its value.", "值。", STR, secret=True)


@element("cookies", "发送的 HTTP Cookie")
class Cookies(Element):
    """The cookies sent to the web server."""

    cookie: list[Cookie] = f.children("One cookie.", "一个 Cookie。", Cookie)


@element("readahead", "预读")
class Readahead(Element):
    """How far the host reads ahead."""

    size: int | None = f.attr("How many bytes.", "字节数。", PUINT)


@element("timeout", "超时")
class SourceTimeout(Element):
    """How long an answer may take."""

    seconds: int | None = f.attr("The time, in seconds.", "秒数。", PUINT)


@element("reconnect", "重新连接")
class SourceReconnect(Element):
    """What happens when the server goes away."""

    enabled: bool | None = f.attr(
        "Whether a vhost-user server is looked for again.", "是否重连 vhost-user 服务。", YES_NO
    )
    timeout: int | None = f.attr("Seconds between two tries.", "两次尝试间隔的秒数。", PUINT)
    delay: int | None = f.attr("Seconds requests wait for an NBD server.", "请求等待 NBD 服务器的秒数。", UINT)


@element("knownHosts", "已知主机文件")
class KnownHosts(Element):
    """The file of known SSH hosts."""

    path: str | None = f.attr("The file.", "文件。", FILLED)


@element("identity", "访问身份")
class Identity(Element):
    """As whom the storage is reached."""

    user: str | None = f.attr(
        "The user on an NFS server; a number begins with +.", "NFS 服务器上的用户，数字以 + 开头。"
    )
    group: str | None = f.attr("The group on an NFS server.", "NFS 服务器上的组。")
    username: str | None = f.attr("The SSH user.", "SSH 用户。", FILLED)
    keyfile: str | None = f.attr("The SSH key.", "SSH 密钥文件。", FILLED)
    agentsock: str | None = f.attr("The SSH agent's socket.", "SSH 代理的套接字。", FILLED)


@element("address", "NVMe 控制器的位置")
class NvmeAddress(Element):
    """The host's PCI place of an NVMe controller."""

    domain: int | None = f.attr("The PCI domain.", "PCI 域。", HEX4)
    bus: int | None = f.attr("The PCI bus.", "PCI 总线。", HEX2)
    slot: int | None = f.attr("The PCI slot.", "PCI 插槽。", HEX2)
    function: int | None = f.attr("The PCI function.", "PCI 功能号。", HEX1)


@element("seclabel", "安全标签")
class SourceLabel(Element):
    """The security label of the image."""

    model: str | None = f.attr("The security driver.", "安全驱动。", FILLED)
    labelskip: bool | None = f.attr("Whether it is left as it is.", "是否保持不变。", YES_NO)
    relabel: bool | None = f.attr("Whether it is labelled at start.", "启动时是否重设标签。", YES_NO)
    label: str | None = f.leaf("The label.", "标签。")


@element("slice", "映像区段")
class Slice(Element):
    """A part of the file that holds the image."""

    type: str | None = f.attr("What is cut; only storage.", "区段种类，仅 storage。", enum("storage"), required=True)
    offset: int | None = f.attr("Where it begins, in bytes.", "起点（字节）。", ULONG, required=True)
    size: int | None = f.attr("How long it is, in bytes.", "长度（字节）。", ULONG, required=True)


@element("slices", "映像区段")
class Slices(Element):
    """The part of the source that is used."""

    slice: list[Slice] = f.children("One part.", "一个区段。", Slice)


@element("source", "持久保留的套接字")
class ReservationsSource(Element):
    """The socket of a helper for reservations that somebody else runs."""

    type: str | None = f.attr("The kind of socket.", "套接字种类。", enum("unix"))
    path: str | None = f.attr("Its path.", "路径。", PATH)
    mode: str | None = f.attr("Who connects.", "由谁连接。", enum("client"))


@element("reservations", "持久保留")
class Reservations(Element):
    """SCSI persistent reservations."""

    managed: bool | None = f.attr("Whether the helper is started for the machine.", "是否自动启动辅助进程。", YES_NO)
    migration: bool | None = f.attr("Whether they move with a migration.", "迁移时是否转移。", YES_NO)
    source: ReservationsSource | None = f.child("The helper's socket.", "辅助进程的套接字。", ReservationsSource)


@element("metadata_cache", "元数据缓存")
class MetadataCache(Element):
    """The cache of a qcow2 file's tables."""

    max_size: Size | None = f.child("The most it may hold.", "上限。", Size)


@element("format", "映像格式")
class LayerFormat(Element):
    """The format of a layer."""

    type: str | None = f.attr("The format's name.", "格式名称。", enum(*FORMATS))
    metadata_cache: MetadataCache | None = f.child(
        "The cache of its tables.", "元数据缓存。", MetadataCache, keep_empty=False
    )


@element("source", "磁盘内容的来源")
class DiskSource(Element):
    """Where the disk's contents are."""

    type: str | None = f.attr(
        "The bus of an NVMe disk, or a socket's kind.", "NVMe 磁盘的总线或套接字种类。", enum("pci", "unix")
    )
    path: str | None = f.attr("The socket of a vhost-user server.", "vhost-user 服务的套接字。", PATH)
    managed: bool | None = f.attr(
        "Whether an NVMe disk is taken from the host at start.", "启动时是否从主机取下 NVMe 盘。", YES_NO
    )
    namespace: int | None = f.attr("The NVMe namespace, from 1.", "NVMe 命名空间，从 1 起。", PUINT)
    file: str | None = f.attr("The image file.", "映像文件。", FILLED)
    fdgroup: str | None = f.attr("Open descriptors given for the image.", "为映像提供的已打开描述符。", FILLED)
    dev: str | None = f.attr("The host's block device.", "主机的块设备。", FILLED)
    dir: str | None = f.attr("The directory shown as a FAT disk.", "以 FAT 磁盘呈现的目录。", FILLED)
    protocol: str | None = f.attr("The protocol of a network disk.", "网络磁盘的协议。", enum(*PROTOCOLS))
    name: str | None = f.attr("The image's name on the server.", "服务器上的映像名称。", FILLED)
    query: str | None = f.attr("The query of an HTTP address.", "HTTP 地址的查询串。")
    tls: bool | None = f.attr("Whether the way to the server is encrypted.", "到服务器的连接是否加密。", YES_NO)
    tlsHostname: str | None = f.attr("The name in the server's certificate.", "服务器证书中的名称。", FILLED)
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
    snapshot: SourceSnapshot | None = f.child("A snapshot of the storage.", "存储快照。", SourceSnapshot)
    config: SourceConfig | None = f.child("The storage's configuration.", "存储配置。", SourceConfig)
    initiator: SourceInitiator | None = f.child(
        "The iSCSI initiator.", "iSCSI 发起端。", SourceInitiator, keep_empty=False
    )
    ssl: SourceSsl | None = f.child("How certificates are looked at.", "证书验证。", SourceSsl, keep_empty=False)
    cookies: Cookies | None = f.child("Cookies for the web server.", "发送给网站服务器的 HTTP Cookie。", Cookies)
    readahead: Readahead | None = f.child("How far to read ahead.", "预读。", Readahead, keep_empty=False)
    timeout: SourceTimeout | None = f.child(
        "How long to wait for an answer.", "等待应答的时间。", SourceTimeout, keep_empty=False
    )
    reconnect: SourceReconnect | None = f.child(
        "What to do when the server goes away.", "断开后如何。", SourceReconnect
    )
    knownHosts: KnownHosts | None = f.child("Known SSH hosts.", "SSH 已知主机。", KnownHosts)
    identity: Identity | None = f.child("As whom it is reached.", "访问身份。", Identity)
    address: NvmeAddress | None = f.child("The NVMe controller.", "NVMe 控制器。", NvmeAddress)
    seclabel: list[SourceLabel] = f.children("Security labels.", "安全标签。", SourceLabel)
    slices: Slices | None = f.child("The part that is used.", "使用的区段。", Slices, keep_empty=False)
    reservations: Reservations | None = f.child("Persistent reservations.", "持久保留。", Reservations)
    auth: Auth | None = f.child("Who asks the server for the image.", "访问服务器的身份。", Auth)
    encryption: Encryption | None = f.child("How the image is encrypted.", "映像的加密方式。", Encryption)
    dataStore: DataStore | None = f.child(
        "Where a qcow2 file keeps the guest's data.", "qcow2 的外部数据文件。", f.SELF
    )


@element("dataStore", "外部数据文件")
class DataStore(Element):
    """The file or device that holds a qcow2 file's data."""

    type: str | None = f.attr("What kind of source it is.", "来源的种类。", enum(*SOURCE_TYPES), required=True)
    format: LayerFormat | None = f.child("Its format.", "它的格式。", LayerFormat)
    source: DiskSource | None = f.child("Where it is.", "它在哪里。", DiskSource)


# The two contain each other, so one of them learns of the other afterwards.
hold(DiskSource.shape.elements["dataStore"], DataStore)


@element("backingStore", "后备层")
class BackingStore(Element):
    """The layer below: what is read where this layer holds nothing."""

    type: str | None = f.attr("What kind of source it is.", "来源的种类。", enum(*SOURCE_TYPES))
    index: int | None = f.attr("The layer's number in the chain.", "该层在链中的编号。", UINT)
    format: LayerFormat | None = f.child("Its format.", "它的格式。", LayerFormat)
    source: DiskSource | None = f.child("Where it is.", "它在哪里。", DiskSource)
    backingStore: BackingStore | None = f.child("The layer below this one.", "再下面一层。", f.SELF)


@element("mirror", "镜像作业的副本")
class Mirror(Element):
    """The copy a running job writes; never part of a stored definition."""

    type: str | None = f.attr("What kind of source it is.", "来源的种类。", enum(*SOURCE_TYPES))
    file: str | None = f.attr("The copy's file.", "副本文件。")
    format_name: str | None = f.attr("The copy's format.", "副本格式。", name="format")
    job: str | None = f.attr("The kind of job.", "作业种类。", enum("copy", "active-commit"))
    ready: str | None = f.attr("How far the job is.", "作业进度。", enum("yes", "abort", "pivot", "no"))
    format: LayerFormat | None = f.child("Its format.", "它的格式。", LayerFormat)
    source: DiskSource | None = f.child("Where it is.", "它在哪里。", DiskSource)
    backingStore: BackingStore | None = f.child("The layer below it.", "其下一层。", BackingStore)
