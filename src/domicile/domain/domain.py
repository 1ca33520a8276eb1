"""The domain element: everything a definition may say. Read and written by domain/document."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from itertools import chain
from operator import attrgetter
from typing import Any, TypeVar

from domicile.base.errors import CONFIG_UNSUPPORTED, INTERNAL_ERROR, NO_NAME
from domicile.devices import FAMILIES
from domicile.devices.disk.tune import ThrottleGroups
from domicile.devices.parts.device import Device
from domicile.devices.redirdev import RedirDev, RedirFilter
from domicile.domain.clock import Clock
from domicile.domain.cpu import Cpu
from domicile.domain.features import Features
from domicile.domain.idmap import IdMap
from domicile.domain.keywrap import KeyWrap
from domicile.domain.memory import Memory, Vcpu, Vcpus
from domicile.domain.os import Os
from domicile.domain.power import ON_CRASH, ON_LOCKFAILURE, ON_POWEROFF, Pm
from domicile.domain.sysinfo import SYSINFO, FirmwareInfo, SmbiosInfo
from domicile.domain.tuning import BlkioTune, CpuTune, MemoryBacking, MemTune, NumaTune, Resource
from domicile.schema import field as f
from domicile.schema.field import KEY
from domicile.schema.scalar import FILLED, INT, NAME, PUINT, UINT, ULONG, UUID, UUID_OR_NEW, enum
from domicile.schema.shape import Element, element
from domicile.schema.verbatim import VERBATIM

#: The namespace of what is said to QEMU itself.
QEMU = "http://libvirt.org/schemas/domain/qemu/1.0"

D = TypeVar("D", bound=Device)
TYPES = (
    "qemu",
    "kvm",
    "xen",
    "lxc",
    "uml",
    "openvz",
    "test",
    "vmware",
    "hyperv",
    "vbox",
    "phyp",
    "parallels",
    "bhyve",
    "vz",
    "hvf",
    "kqemu",
)


_families: Callable[[DeviceLists], tuple[list[Device], ...]] = attrgetter(*(family.tag for family in FAMILIES))


class DeviceLists(Element):
    """The devices, a list for each family."""

    emulator: str | None

    def of(self, kind: type[D]) -> list[D]:
        """List the devices of one family; the list itself, so that it can be changed."""
        found: list[D] = getattr(self, kind.shape.tag)
        return found

    def families(self) -> tuple[list[Device], ...]:
        """Give the lists themselves, in the order of `devices.FAMILIES`."""
        return _families(self)

    def every(self) -> Iterator[Device]:
        """Walk all devices, family after family."""
        return chain.from_iterable(_families(self))


def _devices() -> type[DeviceLists]:
    fields: list[Any] = [
        ("emulator", Any, f.leaf("The QEMU program that runs it.", "运行它的 QEMU 程序。", FILLED)),
    ]
    for family in FAMILIES:
        shape = family.element.shape
        fields.append((family.tag, Any, f.children(shape.en, shape.zh, family.element)))
        if family.element is RedirDev:
            en, zh = "Which USB devices may be redirected.", "允许重定向的 USB 设备。"
            fields.append(("redirfilter", Any, f.child(en, zh, RedirFilter)))
    made = dataclasses.make_dataclass(
        "Devices", fields, bases=(DeviceLists,), namespace={"__doc__": "The devices of the machine."}
    )
    made_any: Any = made
    del made_any.__init__
    for name, _, spec in fields:
        setattr(made, name, spec)
        assert KEY in spec.metadata
    made.__annotations__ = {name: "Any" for name, _, _ in fields}
    return element("devices", "虚拟机的设备")(made)


Devices = _devices()


@element("poll", "轮询")
class Polling(Element):
    """How long a thread looks for requests before it sleeps."""

    max: int | None = f.attr("Nanoseconds at most.", "最长纳秒数。", ULONG)
    grow: int | None = f.attr("How fast the time grows.", "时间的增长倍数。", ULONG)
    shrink: int | None = f.attr("How fast the time shrinks.", "时间的缩短倍数。", ULONG)


@element("iothread", "I/O 线程")
class IoThread(Element):
    """A thread that serves disks and controllers."""

    id: int | None = f.attr("The number by which they name it.", "磁盘与控制器引用它的编号。", PUINT, required=True)
    thread_pool_min: int | None = f.attr("Helper threads that are kept.", "保留的辅助线程数。", UINT)
    thread_pool_max: int | None = f.attr("Helper threads at most.", "辅助线程的上限。", UINT)
    poll: Polling | None = f.child(
        "How long it looks for requests before it sleeps.", "休眠之前轮询请求的时间。", Polling
    )


@element("defaultiothread", "默认线程")
class DefaultThread(Element):
    """The thread for everything that has none of its own."""

    thread_pool_min: int | None = f.attr("Helper threads that are kept.", "保留的辅助线程数。", UINT)
    thread_pool_max: int | None = f.attr("Helper threads at most.", "辅助线程的上限。", UINT)


@element("iothreadids", "I/O 线程编号")
class IoThreadIds(Element):
    """The I/O threads one by one."""

    iothread: list[IoThread] = f.children("One I/O thread.", "单个 I/O 线程。", IoThread)


@element("domain", "虚拟机定义", identity=("uuid",))
class Domain(Element):
    """The definition of one virtual machine."""

    type: str | None = f.attr(
        "Who runs the guest's code: KVM or QEMU itself.",
        "由谁执行客户机代码：KVM 或 QEMU 自身。",
        enum(*TYPES),
        code=CONFIG_UNSUPPORTED,
    )
    id: int | None = f.attr("Its number while it runs.", "运行时的编号。", INT, effect="never")
    name: str | None = f.leaf(
        "Its name, unique on the host.", "名称，在主机上唯一。", NAME, effect="never", empty_code=NO_NAME
    )
    uuid: str | None = f.leaf(
        "Its identity for ever.", "永久标识。", UUID, effect="never", guest=True, code=INTERNAL_ERROR
    )
    genid: str | None = f.leaf(
        "Changes when the guest goes back in time.", "客户机时间回退时变化的标识。", UUID_OR_NEW, guest=True
    )
    title: str | None = f.leaf("A short title for people.", "供人阅读的短标题。", effect="live")
    description: str | None = f.leaf("What it is for.", "用途说明。", effect="live")
    metadata: Any = f.raw("What other programs note here.", "其他程序的记录。", effect="live", foreign=True)
    maxMemory: Memory | None = f.child(
        "The most memory it may grow to with modules.", "借助内存条可扩展到的上限。", Memory
    )
    memory: Memory | None = f.child(
        "The memory the guest boots with, and the balloon's upper end.", "客户机启动时的内存，也是气球的上限。", Memory
    )
    currentMemory: Memory | None = f.child(
        "What the balloon leaves the guest.", "气球留给客户机的内存。", Memory, effect="live"
    )
    blkiotune: BlkioTune | None = f.child(
        "The host's scheduling of its disk traffic.", "主机对其磁盘流量的调度。", BlkioTune, effect="live"
    )
    memtune: MemTune | None = f.child(
        "Limits on the host memory it takes.", "占用主机内存的上限。", MemTune, effect="live", keep_empty=False
    )
    memoryBacking: MemoryBacking | None = f.child(
        "How its memory is held on the host.", "内存在主机上的存放方式。", MemoryBacking, keep_empty=False
    )
    vcpu: Vcpu | None = f.child("How many virtual CPUs.", "虚拟 CPU 数量。", Vcpu)
    vcpus: Vcpus | None = f.child("The virtual CPUs one by one.", "各虚拟 CPU。", Vcpus)
    iothreads: int | None = f.leaf("How many threads serve disks.", "服务磁盘的线程数。", UINT)
    iothreadids: IoThreadIds | None = f.child("These threads one by one.", "各 I/O 线程。", IoThreadIds)
    defaultiothread: DefaultThread | None = f.child(
        "The thread for everything else.", "其余工作的线程。", DefaultThread
    )
    throttlegroups: ThrottleGroups | None = f.child(
        "Limits on traffic that disks share.", "多个磁盘共用的限速。", ThrottleGroups, effect="live"
    )
    cputune: CpuTune | None = f.child(
        "The host's scheduling of its CPUs.", "主机对其 CPU 的调度。", CpuTune, effect="live", keep_empty=False
    )
    numatune: NumaTune | None = f.child(
        "Which NUMA nodes of the host its memory is on.", "内存位于主机的哪些 NUMA 节点。", NumaTune, keep_empty=False
    )
    resource: Resource | None = f.child("The control group it is in.", "所在的控制组。", Resource)
    sysinfo: list[SmbiosInfo | FirmwareInfo] = f.children(
        "What the guest reads about its maker.", "客户机读到的厂商信息。", SYSINFO, guest=True
    )
    bootloader: str | None = f.leaf("Kept for Xen.", "为 Xen 保留。")
    bootloader_args: str | None = f.leaf("Kept for Xen.", "为 Xen 保留。")
    os: Os | None = f.child("What machine it is and how it starts.", "机型与启动方式。", Os)
    idmap: IdMap | None = f.child("Kept for containers.", "为容器保留。", IdMap)
    features: Features | None = f.child(
        "What the machine offers beside devices.", "设备之外的特性。", Features, keep_empty=False
    )
    cpu: Cpu | None = f.child("The CPU the guest sees.", "客户机看到的 CPU。", Cpu)
    clock: Clock | None = f.child("The clock.", "时钟。", Clock)
    on_poweroff: str | None = f.leaf(
        "What happens when the guest powers off.", "客户机关机时如何处理。", ON_POWEROFF, code=CONFIG_UNSUPPORTED
    )
    on_reboot: str | None = f.leaf(
        "What happens when the guest reboots.", "客户机重启时如何处理。", ON_POWEROFF, code=CONFIG_UNSUPPORTED
    )
    on_crash: str | None = f.leaf(
        "What happens when the guest crashes.", "客户机崩溃时如何处理。", ON_CRASH, code=CONFIG_UNSUPPORTED
    )
    on_lockfailure: str | None = f.leaf(
        "What happens when a lock is lost.", "失去锁时如何处理。", ON_LOCKFAILURE, code=CONFIG_UNSUPPORTED
    )
    pm: Pm | None = f.child("Ways of sleeping.", "睡眠方式。", Pm, keep_empty=False)
    perf: Any = f.raw("Performance events that are counted.", "统计的性能事件。")
    devices: DeviceLists | None = f.child("The devices.", "设备。", Devices)
    seclabel: list[Any] = f.children("How the host protects itself from it.", "主机的安全标签。", VERBATIM)
    keywrap: KeyWrap | None = f.child("Key wrapping of s390.", "s390 的密钥包装。", KeyWrap, guest=True)
    launchSecurity: Any = f.raw("Protection of the guest from the host.", "保护客户机免受主机窥探。", guest=True)
    qemu_commandline: Any = f.raw(
        "Arguments and variables of your own for QEMU.",
        "自行附加的 QEMU 参数与环境变量。",
        name=f"{{{QEMU}}}commandline",
    )
    qemu_capabilities: Any = f.raw(
        "Capabilities of QEMU to add or leave out.", "增减的 QEMU 能力。", name=f"{{{QEMU}}}capabilities"
    )
    qemu_override: Any = f.raw(
        "Properties of devices set past the document.", "绕过文档设置的设备属性。", name=f"{{{QEMU}}}override"
    )
    qemu_deprecation: Any = f.raw(
        "What QEMU does with deprecated things.", "QEMU 如何对待弃用功能。", name=f"{{{QEMU}}}deprecation"
    )
