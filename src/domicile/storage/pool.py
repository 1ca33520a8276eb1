"""The document of a storage pool: its elements, reading with checks, writing as libvirt does. Called by the service."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from domicile.base import ids
from domicile.base.errors import CONFIG_UNSUPPORTED, INTERNAL_ERROR, InvalidDocument
from domicile.base.problem import Problem
from domicile.devices.disk.secret import SecretRef
from domicile.devices.disk.source import SourceInitiator
from domicile.devices.parts.device import HEX1, HEX2, HEX4
from domicile.schema import field as f
from domicile.schema import read as reading
from domicile.schema import write as writing
from domicile.schema.scalar import INT, UINT, ULONG, UUID, YES_NO, enum
from domicile.schema.shape import Element, element
from domicile.storage.failure import StorageDocument
from domicile.storage.kinds import KINDS
from domicile.storage.parts import ANY_PATH, Amount, Permissions, bytes_of, judged

_NAMESPACES = {
    "fs": "http://libvirt.org/schemas/storagepool/fs/1.0",
    "rbd": "http://libvirt.org/schemas/storagepool/rbd/1.0",
}
_WWN = re.compile(r"[0-9a-fA-F]{16}\Z")
_Tell = Callable[..., None]
_EMPTY = re.compile(r"^( *)<source/>$", re.MULTILINE)


@element("host", "存储服务器")
class PoolHost(Element):
    """A server that holds the pool."""

    name: str | None = f.attr("Its name or address.", "名称或地址。")
    port: int | None = f.attr("Its port.", "端口。", INT)


@element("freeExtent", "空闲区段")
class FreeExtent(Element):
    """A part of the device that no volume has."""

    start: int | None = f.attr("Where it begins, in bytes.", "起点（字节）。", ULONG)
    end: int | None = f.attr("Where it ends, in bytes.", "终点（字节）。", ULONG)


@element("device", "源设备")
class PoolDevice(Element):
    """A device the pool is on, or the name of an iSCSI target."""

    path: str | None = f.attr("The device.", "设备。", ANY_PATH)
    part_separator: bool | None = f.attr("Whether partitions are called with a 'p'.", "分区名是否带 'p'。", YES_NO)
    freeExtent: list[FreeExtent] = f.children("A part that is free.", "空闲区段。", FreeExtent)


@element("dir", "源目录")
class PoolDir(Element):
    """A directory on the server."""

    path: str | None = f.attr("Its path.", "路径。", ANY_PATH)


@element("address", "SCSI 适配器的位置")
class ParentAddress(Element):
    """The PCI place of a SCSI adapter."""

    domain: int | None = f.attr("The PCI domain.", "PCI 域。", HEX4)
    bus: int | None = f.attr("The PCI bus.", "PCI 总线。", HEX2)
    slot: int | None = f.attr("The PCI slot.", "PCI 插槽。", HEX2)
    function: int | None = f.attr("The PCI function.", "PCI 功能号。", HEX1)


@element("parentaddr", "适配器父设备")
class ParentAddr(Element):
    """The SCSI adapter, known by its PCI device."""

    unique_id: int | None = f.attr("Which adapter of that device.", "该设备的第几个适配器。", UINT)
    address: ParentAddress | None = f.child("Where the device is.", "设备的位置。", ParentAddress)


@element("adapter", "SCSI 适配器")
class Adapter(Element):
    """The SCSI adapter whose disks are the volumes."""

    type: str | None = f.attr("What kind of adapter.", "适配器种类。", enum("scsi_host", "fc_host"))
    name: str | None = f.attr("The adapter's name.", "适配器名称。")
    parent: str | None = f.attr("The adapter a virtual one is made on.", "虚拟适配器的父适配器。")
    managed: bool | None = f.attr("Whether it goes with the pool.", "是否随池一起移除。", YES_NO)
    parent_wwnn: str | None = f.attr("The parent's node name.", "父适配器的节点 WWN。")
    parent_wwpn: str | None = f.attr("The parent's port name.", "父适配器的端口 WWN。")
    parent_fabric_wwn: str | None = f.attr("The parent's fabric.", "父适配器的交换网 WWN。")
    wwnn: str | None = f.attr("The node's name.", "节点 WWN。")
    wwpn: str | None = f.attr("The port's name.", "端口 WWN。")
    parentaddr: ParentAddr | None = f.child("The adapter by its PCI device.", "以 PCI 设备指明的适配器。", ParentAddr)


@element("auth", "登录身份")
class PoolAuth(Element):
    """Who logs in to the server."""

    type: str | None = f.attr("The kind of login.", "登录方式。", enum("chap", "ceph"), code=CONFIG_UNSUPPORTED)
    username: str | None = f.attr("The user.", "用户名。")
    secret: SecretRef | None = f.child("The secret that holds the password.", "保存密码的密钥。", SecretRef)


@element("format", "源格式")
class PoolFormat(Element):
    """How the source is laid out."""

    type: str | None = f.attr("The format's name.", "格式名称。")


@element("protocol", "协议版本")
class Protocol(Element):
    """The version of the protocol."""

    ver: str | None = f.attr("The version.", "版本。")


@element("vendor", "厂商")
class Vendor(Element):
    """Who made the storage."""

    name: str | None = f.attr("The maker's name.", "厂商名称。")


@element("product", "型号")
class Product(Element):
    """Which storage it is."""

    name: str | None = f.attr("The product's name.", "产品名称。")


@element("source", "存储池的来源")
class PoolSource(Element):
    """Where the pool's storage comes from."""

    host: list[PoolHost] = f.children("A server.", "服务器。", PoolHost)
    device: list[PoolDevice] = f.children("A device.", "设备。", PoolDevice)
    dir: PoolDir | None = f.child("A directory on the server.", "服务器上的目录。", PoolDir)
    adapter: Adapter | None = f.child("A SCSI adapter.", "SCSI 适配器。", Adapter)
    name: str | None = f.leaf("The volume group's or the cluster pool's name.", "卷组或集群存储池的名称。")
    initiator: SourceInitiator | None = f.child("Who the host says it is.", "本机的发起端名称。", SourceInitiator)
    auth: PoolAuth | None = f.child("Who logs in.", "登录身份。", PoolAuth)
    format: PoolFormat | None = f.child("The source's format.", "源格式。", PoolFormat)
    protocol: Protocol | None = f.child("The protocol's version.", "协议版本。", Protocol)
    vendor: Vendor | None = f.child("The maker.", "厂商。", Vendor)
    product: Product | None = f.child("The product.", "型号。", Product)


@element("target", "存储池的目标")
class PoolTarget(Element):
    """Where the pool is found on the host."""

    path: str | None = f.leaf("The directory.", "目录。", ANY_PATH)
    permissions: Permissions | None = f.child("Who may open it.", "访问权限。", Permissions)


@element("cow", "写时复制")
class Cow(Element):
    """Whether files are copied when written."""

    state: bool | None = f.attr("On or off.", "开启或关闭。", YES_NO)


@element("features", "存储池特性")
class PoolFeatures(Element):
    """What the pool does beyond the usual."""

    cow: Cow | None = f.child("Copy on write of a Btrfs directory.", "Btrfs 目录的写时复制。", Cow)


@element("volume", "卷的刷新")
class RefreshVolume(Element):
    """How a volume's size is found."""

    allocation: str | None = f.attr(
        "Count what is taken, or take the capacity for it.", "统计实际占用或以容量代之。", enum("default", "capacity"), code=CONFIG_UNSUPPORTED
    )  # fmt: skip


@element("refresh", "刷新方式")
class Refresh(Element):
    """How the pool is looked through."""

    volume: RefreshVolume | None = f.child("How volumes are measured.", "如何测量卷。", RefreshVolume)


@element("pool", "存储池")
class Pool(Element):
    """A storage pool: a place that volumes are in."""

    type: str | None = f.attr("What kind of storage it is.", "存储的种类。", enum(*KINDS))
    name: str | None = f.leaf("Its name.", "名称。")
    uuid: str | None = f.leaf("Its UUID.", "其 UUID。", UUID)
    capacity: Amount | None = f.child("How much it holds in all.", "总容量。", Amount)
    allocation: Amount | None = f.child("How much is taken.", "已分配。", Amount)
    available: Amount | None = f.child("How much is free.", "可用。", Amount)
    features: PoolFeatures | None = f.child("What it does beyond the usual.", "特性。", PoolFeatures)
    source: PoolSource | None = f.child("Where the storage comes from.", "来源。", PoolSource)
    target: PoolTarget | None = f.child("Where it is found on the host.", "在主机上的位置。", PoolTarget)
    refresh: Refresh | None = f.child("How it is looked through.", "刷新方式。", Refresh)
    mount_opts: object = f.raw(
        "Options of the mount.", "挂载选项。", name=f"{{{_NAMESPACES['fs']}}}mount_opts", foreign=False
    )
    config_opts: object = f.raw(
        "Options of Ceph's library.", "Ceph 客户端选项。", name=f"{{{_NAMESPACES['rbd']}}}config_opts", foreign=False
    )

    @property
    def path(self) -> str:
        """Where it is found on the host."""
        return (self.target.path if self.target is not None else None) or ""

    @property
    def device_paths(self) -> list[str]:
        """The devices it is on."""
        return [d.path for d in self.source.device if d.path] if self.source is not None else []

    def options(self) -> list[str]:
        """The options of its mount."""
        return [] if self.mount_opts is None else [o.get("name") or "" for o in self.mount_opts]  # type: ignore[attr-defined]


def read(text: str, *, strict: bool = False) -> Pool:
    """Read and complete a document; with `strict` nothing in it may be unknown. Raises: StorageDocument."""
    try:
        root: Any = reading.parse(text)
    except InvalidDocument as error:
        raise StorageDocument(error.problems, "storage_pool") from None
    if root.tag != "pool":
        found = Problem("", f"expecting root element of 'pool', not '{root.tag}'", root.sourceline or 0, "<pool>")
        raise StorageDocument([found], "storage_pool")
    reader = reading.Reader()
    pool: Pool = reader.element(Pool.shape, root)
    problems = judged(reader.problems, strict=strict)
    if not problems:
        problems = list(_complete(pool))
    if problems:
        raise StorageDocument(problems, "storage_pool")
    return pool


def read_stored(text: str) -> Pool:
    """Read a document that this program wrote itself."""
    pool: Pool = reading.Reader().element(Pool.shape, reading.parse(text))
    return pool


def write(pool: Pool) -> str:
    """Write a document in libvirt's text form."""
    text = _EMPTY.sub(r"\1<source>\n\1</source>", writing.write(pool))
    for prefix, namespace, value in (
        ("fs", _NAMESPACES["fs"], pool.mount_opts),
        ("rbd", _NAMESPACES["rbd"], pool.config_opts),
    ):
        if value is not None:
            head, _, rest = text.partition(">")
            text = f"{head} xmlns:{prefix}='{namespace}'>{rest}"
    return text


def _missing(pool: Pool, part: str) -> str | None:
    """Say what a part of <source> lacks."""
    source = pool.source or PoolSource()
    if part == "host":
        if not source.host:
            return "missing storage pool source host name"
    elif part == "device":
        if not source.device:
            return "missing storage pool source device name"
    elif part == "dir":
        if source.dir is None or not source.dir.path:
            return "missing storage pool source path"
    elif part == "name":
        if not source.name:
            return f"element 'name' is mandatory for a pool of type '{pool.type}'"
    elif part == "initiator":
        if source.initiator is None or source.initiator.iqn is None or not source.initiator.iqn.name:
            return "missing storage pool initiator iqn"
    elif source.adapter is None or (source.adapter.type is None and not source.adapter.name):
        return "missing storage pool source adapter"
    return None


def _complete(pool: Pool) -> list[Problem]:
    """Fill in what libvirt fills in, drop what means nothing to this type, and say what is wrong."""
    wrong: list[Problem] = []

    def problem(path: str, words: str, accepted: str = "", code: int = 0) -> None:
        wrong.append(Problem(path, words, pool.source_line, accepted, code=code))

    if pool.type is None:
        problem("@type", "element 'pool' has no attribute 'type'", ", ".join(KINDS))
        return wrong
    kind = KINDS[pool.type]
    source = pool.source = pool.source or PoolSource()
    pool.capacity, pool.allocation, pool.available = bytes_of(0), bytes_of(0), bytes_of(0)
    pool.uuid = pool.uuid or ids.new_uuid()
    if not pool.name:
        pool.name = source.name if "name" in kind.source else None
    if not pool.name:
        problem("name", "the pool has no name", "<name>")
    elif "/" in pool.name:
        problem("name", f"name {pool.name} cannot contain '/'", "a name without a slash")
    if "name" in kind.source and not source.name and pool.type == "logical":
        source.name = pool.name
    for host in source.host:
        if not host.name:
            problem("source/host", "element 'host' has no attribute 'name'", "a name or address")
    for device in source.device:
        if not device.path:
            problem("source/device", "element 'device' has no attribute 'path'", "the path of a device")
        device.freeExtent = []
    for part in kind.required:
        words = _missing(pool, part)
        if words:
            problem("source", words, f"<{part}> in <source>")
    _format(pool, kind.formats, kind.format, problem)
    if source.auth is not None:
        _auth(source.auth, problem)
    if source.adapter is not None:
        _adapter(source.adapter, problem)
    _target(pool, problem)
    for part in ("host", "device"):
        if part not in kind.source:
            setattr(source, part, [])
    for part in ("dir", "adapter", "name", "initiator", "auth", "protocol"):
        if part not in kind.source:
            setattr(source, part, None)
    return wrong


def _format(pool: Pool, formats: tuple[str, ...], default: str | None, problem: _Tell) -> None:
    source = pool.source
    assert source is not None
    said = source.format.type if source.format is not None else None
    if not formats:
        source.format = None
    elif said is None:
        source.format = PoolFormat(type=default)
    elif said not in formats:
        words = f"unknown pool format type {said}"
        problem("source/format/@type", words, ", ".join(formats), CONFIG_UNSUPPORTED)


def _auth(auth: PoolAuth, problem: _Tell) -> None:
    if not auth.username:
        problem("source/auth", "element 'auth' has no attribute 'username'", "the user's name")
    elif auth.type is None:
        words = "element 'auth' of a pool has no attribute 'type'"
        problem("source/auth", words, "chap, ceph", CONFIG_UNSUPPORTED)


def _adapter(adapter: Adapter, problem: _Tell) -> None:
    adapter.type = adapter.type or "scsi_host"
    if adapter.type != "fc_host":
        return
    if not adapter.wwnn or not adapter.wwpn:
        words = "an adapter of type 'fc_host' needs 'wwnn' and 'wwpn'"
        problem("source/adapter", words, "two names of 16 hexadecimal digits")
        return
    for slot in ("wwnn", "wwpn", "parent_wwnn", "parent_wwpn", "parent_fabric_wwn"):
        value = getattr(adapter, slot)
        if value is not None and not _WWN.match(value):
            words = f"attribute '{slot}' of element 'adapter' has the value '{value}'"
            problem(f"source/adapter/@{slot}", words, "16 hexadecimal digits", INTERNAL_ERROR)


def _target(pool: Pool, problem: _Tell) -> None:
    kind, source, target = KINDS[pool.type or ""], pool.source, pool.target
    assert source is not None
    if not kind.target:
        pool.target = None
        return
    if pool.type in ("logical", "zfs"):
        target = target or PoolTarget()
        target.path = f"/dev/{'zvol/' if pool.type == 'zfs' else ''}{source.name or pool.name}"
    if target is None or not target.path:
        problem("target/path", "missing storage pool target path", "<target> with a <path>")
        return
    rights = target.permissions
    if rights is not None:
        rights.owner = None if rights.owner == -1 else rights.owner
        rights.group = None if rights.group == -1 else rights.group
        if rights.mode is None and rights.owner is None and rights.group is None and rights.label is None:
            target.permissions = None
    pool.target = target
