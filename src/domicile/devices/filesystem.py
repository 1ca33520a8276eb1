"""Host directories given to the guest: 9p and virtiofs. Used through `FAMILY` in devices/__init__ and by domain/rules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from domicile.devices.family import Family
from domicile.devices.parts.bus import alias_of, virtio_driver, virtio_props, want_virtio, where
from domicile.devices.parts.device import Device, PciAddress, VirtioOptions
from domicile.devices.parts.omit import omit
from domicile.devices.parts.size import Size
from domicile.plan.facts import Completion, Facts, Planning
from domicile.plan.need import Directory, Helper, Need
from domicile.plan.place import Want
from domicile.plan.qemu import Item, Keyed, Structured
from domicile.schema import field as f
from domicile.schema.scalar import FILLED, ON_OFF, PATH, UINT, ULONG, Scalar, enum
from domicile.schema.shape import Element, element

_SECURITY = {"passthrough": "passthrough", "mapped": "mapped", "squash": "none"}
_DRIVERS = {None: "local", "path": "local", "handle": "handle"}


def _mode(text: str) -> int:
    value = int(text, 8)
    if not 0 <= value <= 0o7777 or not text.isdecimal():
        raise ValueError
    return value


OCTAL = Scalar("mode", _mode, lambda value: f"{value:04o}", "an octal mode such as 0644")


@element("driver", "文件系统驱动")
class FilesystemDriver(VirtioOptions):
    """Who serves the directory to the guest."""

    type: str | None = f.attr(
        "QEMU itself over 9p (path, handle) or the virtiofs daemon.",
        "由 QEMU 以 9p 提供（path、handle），或由 virtiofs 守护进程提供。",
        enum("path", "handle", "loop", "nbd", "ploop", "virtiofs", "mtp"),
    )
    format: str | None = f.attr("The format of an image, for containers.", "映像格式，用于容器。")
    wrpolicy: str | None = f.attr(
        "Whether each write goes to the disk at once.", "每次写入是否立即落盘。", enum("immediate")
    )
    queue: int | None = f.attr("How many requests virtiofs queues.", "virtiofs 队列容纳的请求数。", ULONG, guest=True)


@element("cache", "缓存策略")
class Cache(Element):
    """What the guest may remember of the directory."""

    mode: str | None = f.attr("Nothing, or always.", "不缓存或始终缓存。", enum("none", "always"))


@element("sandbox", "沙箱")
class Sandbox(Element):
    """How the daemon is kept inside the directory."""

    mode: str | None = f.attr("By a namespace or by chroot.", "使用命名空间或 chroot。", enum("namespace", "chroot"))


@element("lock", "文件锁")
class Lock(Element):
    """Which locks of the guest reach the host."""

    posix: bool | None = f.attr("POSIX locks.", "POSIX 锁。", ON_OFF)
    flock: bool | None = f.attr("BSD locks.", "BSD 锁。", ON_OFF)


@element("thread_pool", "线程池")
class ThreadPool(Element):
    """The daemon's threads."""

    size: int | None = f.attr("How many at most.", "最大线程数。", UINT)


@element("openfiles", "打开文件数")
class OpenFiles(Element):
    """The daemon's open files."""

    max: int | None = f.attr("How many at most.", "最大打开文件数。", UINT)


@element("binary", "virtiofs 守护进程")
class Binary(Element):
    """The virtiofs daemon and its options."""

    path: str | None = f.attr("The program.", "程序路径。", PATH)
    xattr: bool | None = f.attr("Whether extended attributes are kept.", "是否支持扩展属性。", ON_OFF)
    cache: Cache | None = f.child("What the guest may remember.", "缓存策略。", Cache, keep_empty=False)
    sandbox: Sandbox | None = f.child("How the daemon is confined.", "沙箱方式。", Sandbox, keep_empty=False)
    lock: Lock | None = f.child("Which locks reach the host.", "文件锁。", Lock, keep_empty=False)
    thread_pool: ThreadPool | None = f.child("Its threads.", "线程池。", ThreadPool, keep_empty=False)
    openfiles: OpenFiles | None = f.child("Its open files.", "打开文件数。", OpenFiles, keep_empty=False)


@element("uid", "ID 映射")
class IdRange(Element):
    """A range of the guest's ids and the host's that stand for them."""

    start: int | None = f.attr("The first in the guest.", "客户机侧的起始 ID。", UINT, required=True)
    target: int | None = f.attr("The first on the host.", "主机侧的起始 ID。", UINT, required=True)
    count: int | None = f.attr("How many.", "个数。", UINT, required=True)


@element("idmap", "用户与组映射")
class IdMap(Element):
    """Which of the host's users and groups stand for the guest's."""

    uid: list[IdRange] = f.children("Users.", "用户。", IdRange)
    gid: list[IdRange] = f.children("Groups.", "组。", IdRange)


@element("source", "共享内容的来源")
class FilesystemSource(Element):
    """What is shared."""

    dir: str | None = f.attr("The host's directory.", "主机目录。", FILLED)
    socket: str | None = f.attr("The socket of a daemon that runs already.", "已运行的守护进程的套接字。", PATH)
    file: str | None = f.attr("An image, for containers.", "映像文件，用于容器。", FILLED)
    dev: str | None = f.attr("A block device, for containers.", "块设备，用于容器。", FILLED)
    name: str | None = f.attr("A template, for containers.", "模板名，用于容器。", FILLED)
    usage: str | None = f.attr("The size of a RAM disk, for containers.", "内存盘大小，用于容器。")
    units: str | None = f.attr("The unit of that size.", "该大小的单位。")
    pool: str | None = f.attr("A storage pool, for containers.", "存储池，用于容器。", FILLED)
    volume: str | None = f.attr("A volume of the pool.", "池中的卷。", FILLED)


@element("target", "客户机中的标签")
class FilesystemTarget(Element):
    """How the guest finds it."""

    dir: str | None = f.attr("The tag the guest mounts by.", "客户机挂载用的标签。", FILLED, guest=True, required=True)


@element("filesystem", "共享文件系统", identity=("target.dir",))
class Filesystem(Device):
    """A directory of the host that the guest can mount."""

    type: str | None = f.attr(
        "What is shared; QEMU's guests get directories.",
        "共享的种类；QEMU 客户机使用目录。",
        enum("mount", "block", "file", "template", "ram", "bind", "volume"),
        default="mount",
    )
    accessmode: str | None = f.attr(
        "How owners and modes are kept: as they are, in extended attributes, or not at all.",
        "属主与权限的保存方式：原样、扩展属性，或不保存。",
        enum("passthrough", "mapped", "squash"),
    )
    model: str | None = f.attr(
        "The flavour of virtio.",
        "virtio 的变体。",
        enum("virtio", "virtio-transitional", "virtio-non-transitional"),
        guest=True,
    )
    multidevs: str | None = f.attr(
        "What happens when several host file systems lie below.",
        "目录下有多个主机文件系统时如何处理。",
        enum("default", "remap", "forbid", "warn"),
    )
    fmode: int | None = f.attr("The host's mode of new files, if mapped.", "映射模式下新文件的主机权限。", OCTAL)
    dmode: int | None = f.attr("The host's mode of new directories, if mapped.", "映射模式下新目录的主机权限。", OCTAL)
    driver: FilesystemDriver | None = f.child("Who serves it.", "由谁提供。", FilesystemDriver, keep_empty=False)
    binary: Binary | None = f.child("The virtiofs daemon.", "virtiofs 守护进程。", Binary, keep_empty=False)
    idmap: IdMap | None = f.child("Users and groups.", "用户与组映射。", IdMap, keep_empty=False)
    source: FilesystemSource | None = f.child("What is shared.", "共享的内容。", FilesystemSource)
    target: FilesystemTarget | None = f.child("How the guest finds it.", "客户机如何找到它。", FilesystemTarget)
    readonly: bool = f.flag("The guest cannot write to it.", "客户机不能写入。")
    space_hard_limit: Size | None = f.child("The most it may hold.", "空间硬限制。", Size, order=96)
    space_soft_limit: Size | None = f.child("What it should hold.", "空间软限制。", Size, order=97)

    @property
    def virtiofs(self) -> bool:
        """Whether the virtiofs daemon serves it, which needs memory that can be shared."""
        return self.driver is not None and self.driver.type == "virtiofs"


def defaults(filesystem: Filesystem, c: Completion) -> None:
    """Fill in how owners and modes are kept."""
    source = filesystem.source
    if filesystem.accessmode is None and not (source is not None and source.socket is not None):
        c.default(filesystem, "accessmode", "passthrough", "owners and modes stay as they are", "属主与权限保持原样")
    if filesystem.multidevs == "default":
        filesystem.multidevs = None
    if not filesystem.virtiofs:
        omit(filesystem, ("binary",), c, "no daemon serves it", "没有守护进程")
    for slot in ("space_hard_limit", "space_soft_limit"):
        limit = getattr(filesystem, slot)
        if limit is not None and limit.unit != "bytes" and limit.count() is not None:
            limit.value, limit.unit = limit.count(), "bytes"


def check(filesystem: Filesystem, c: Completion) -> None:
    """Find what cannot be."""
    source, target = filesystem.source or FilesystemSource(), filesystem.target
    if filesystem.type != "mount":
        c.problem(filesystem, f"a filesystem of type '{filesystem.type}' is for containers", "mount", "@type")
        return
    if target is None or target.dir is None:
        c.problem(filesystem, f"filesystem '{source.dir or ''}' has no target", "<target dir='…'/>", "target/@dir")
        return
    tag = target.dir
    if source.dir is None and source.socket is None:
        c.problem(filesystem, f"filesystem '{tag}' has no source", "<source dir='…'/>", "source/@dir")
    driver = filesystem.driver or FilesystemDriver()
    if driver.type not in (*_DRIVERS, "virtiofs"):
        c.problem(driver, f"driver '{driver.type}' of filesystem '{tag}' is for containers", "path, virtiofs", "@type")
    if (filesystem.fmode, filesystem.dmode) != (None, None) and filesystem.accessmode != "mapped":
        c.problem(
            filesystem, "attributes 'fmode' and 'dmode' need accessmode 'mapped'", "accessmode='mapped'", "@accessmode"
        )
    if filesystem.virtiofs:
        _check_virtiofs(filesystem, tag, source, c)
    elif source.socket is not None:
        c.problem(source, f"filesystem '{tag}' has a 'socket', which only virtiofs serves", "dir='…'", "@socket")


def _check_virtiofs(filesystem: Filesystem, tag: str, source: FilesystemSource, c: Completion) -> None:
    if not any(c.caps.has_device(f"vhost-user-fs-{bus}") for bus in ("pci", "device", "ccw")):
        c.problem(filesystem.driver, "driver 'virtiofs' does not exist in this emulator", "path", "@type")
    if filesystem.accessmode not in (None, "passthrough"):
        c.problem(filesystem, f"virtiofs filesystem '{tag}' has accessmode '{filesystem.accessmode}'", "passthrough")
    if filesystem.readonly and source.socket is None and c.host.libvirt < (11, 0):
        c.problem(filesystem, f"virtiofs filesystem '{tag}' cannot be 'readonly'", "no <readonly/>", "readonly")
    if filesystem.boot is not None and not isinstance(filesystem.address, PciAddress | None):
        c.problem(filesystem.boot, f"virtiofs filesystem '{tag}' boots only from a PCI bus", "address type='pci'")
    elif filesystem.boot is not None and filesystem.address is None and c.board.virtio != "pci":
        c.problem(filesystem.boot, "virtiofs boots only from a 'pci' bus", "no <boot>")
    if filesystem.model is not None:
        c.problem(filesystem, f"virtiofs filesystem '{tag}' has a 'model'", "no model", "@model")


def place(filesystem: Filesystem, facts: Facts) -> Want | None:
    """Ask for a place on the bus of virtio devices."""
    return want_virtio(filesystem, facts, filesystem.model)


def plan(filesystem: Filesystem, p: Planning) -> Iterator[Item | Need]:
    """Ask for the host's end and for the device."""
    name, origin = alias_of(filesystem), p.origin(filesystem)
    source, driver = filesystem.source or FilesystemSource(), filesystem.driver or FilesystemDriver()
    tag = filesystem.target.dir if filesystem.target is not None else None
    if filesystem.virtiofs:
        yield from _virtiofs(filesystem, name, tag, source, driver, p, origin)
        return
    if source.dir:
        yield Directory(source.dir, origin=origin)
    local = _DRIVERS.get(driver.type, "local") == "local"
    backend: tuple[tuple[str, Any], ...] = (
        ("", _DRIVERS.get(driver.type, "local")),
        ("security_model", _SECURITY.get(filesystem.accessmode or "passthrough") if local else None),
        ("multidevs", filesystem.multidevs),
        ("fmode", f"{filesystem.fmode:04o}" if filesystem.fmode is not None else None),
        ("dmode", f"{filesystem.dmode:04o}" if filesystem.dmode is not None else None),
        ("writeout", driver.wrpolicy),
        ("id", f"fsdev-{name}"),
        ("path", source.dir),
        ("readonly", True if filesystem.readonly else None),
    )
    yield Keyed("-fsdev", backend, origin=origin)
    props = {
        "driver": virtio_driver("virtio-9p", filesystem, filesystem.model),
        **virtio_props(driver),
        "id": name,
        "fsdev": f"fsdev-{name}",
        "mount_tag": tag,
        **where(filesystem, p),
    }
    yield Structured("device", props, origin=origin)


def _virtiofs(
    filesystem: Filesystem,
    name: str,
    tag: str | None,
    source: FilesystemSource,
    driver: FilesystemDriver,
    p: Planning,
    origin: str,
) -> Iterator[Item | Need]:
    socket = source.socket
    if socket is None:
        helper = virtiofsd(filesystem, name, source, p, origin)
        socket = helper.socket
        yield helper
    yield Keyed("-chardev", (("", "socket"), ("id", f"chr-vu-{name}"), ("path", socket)), origin=origin)
    props = {
        "driver": virtio_driver("vhost-user-fs", filesystem),
        **virtio_props(driver),
        "id": name,
        "chardev": f"chr-vu-{name}",
        "queue-size": driver.queue,
        "tag": tag,
        "bootindex": p.boot_index(filesystem),
        **where(filesystem, p),
    }
    yield Structured("device", props, origin=origin)


def virtiofsd(filesystem: Filesystem, name: str, source: FilesystemSource, p: Planning, origin: str) -> Helper:
    """Ask for the daemon beside QEMU: it serves the directory with the rights of QEMU's user, as root of a namespace."""
    binary = filesystem.binary or Binary()
    cache, sandbox, lock = binary.cache or Cache(), binary.sandbox or Sandbox(), binary.lock or Lock()
    options = [f"source={source.dir}"]
    if cache.mode is not None:
        options.append(f"cache={cache.mode}")
    options.append(f"sandbox={sandbox.mode or 'namespace'}")
    for word, value in (("xattr", binary.xattr), ("flock", lock.flock), ("posix_lock", lock.posix)):
        if value is not None:
            options.append(word if value else f"no_{word}")
    argv = [binary.path or "virtiofsd", "--fd={fd:socket}", "-o", ",".join(options)]
    if binary.thread_pool is not None and binary.thread_pool.size is not None:
        argv.append(f"--thread-pool-size={binary.thread_pool.size}")
    if binary.openfiles is not None and binary.openfiles.max is not None:
        argv.append(f"--rlimit-nofile={binary.openfiles.max}")
    for word, ranges in (("uid", filesystem.idmap.uid), ("gid", filesystem.idmap.gid)) if filesystem.idmap else ():
        argv += [f"--{word}-map=:{one.start}:{one.target}:{one.count}:" for one in ranges]
    if filesystem.readonly:
        argv.append("--readonly")
    path = f"{p.host.directories.state}/domain-{p.short_name}/{name}-fs.sock"
    return Helper(f"virtiofsd-{name}", tuple(argv), path, rooted=True, origin=origin)


FAMILY = Family(
    element=Filesystem, defaults=defaults, check=check, place=place, alias=lambda d, i, p: f"fs{i}", plan=plan
)
