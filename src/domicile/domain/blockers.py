"""What of a definition stands against moving the running machine to another host, or against snapshots of it.

Called by the service's forecast. What depends on hosts (shared storage, CPUs, bridges) is not told here.
Source: QEMU's and libvirt's documentation of migration and snapshots.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from domicile.devices.disk import Disk
from domicile.domain.domain import Domain

What = Literal["migration", "snapshot"]


@dataclass(frozen=True, slots=True)
class Blocker:
    """One thing that stands in the way: the path of the element, of what, and why."""

    path: str
    what: What
    en: str
    zh: str


def blockers(domain: Domain) -> Iterator[Blocker]:
    """List all that stands in the way."""
    yield from _whole(domain)
    for name in domain.devices.shape.elements if domain.devices is not None else ():
        found = getattr(domain.devices, name, None)
        if not isinstance(found, list):
            continue
        for number, device in enumerate(found, 1):
            path = f"devices/{name}[{number}]" if len(found) > 1 else f"devices/{name}"
            for what, en, zh in _device(name, device):
                yield Blocker(path, what, en, zh)


def _whole(domain: Domain) -> Iterator[Blocker]:
    cpu = domain.cpu
    if cpu is not None:
        if any(feature.name == "invtsc" and feature.policy in (None, "require", "force") for feature in cpu.feature):
            words = (
                "the CPU feature invtsc ties the guest to this host's clock",
                "CPU 特性 invtsc 将客户机绑定于本主机的时钟",
            )
            yield Blocker("cpu", "migration", *words)
        if cpu.mode == "host-passthrough" and cpu.migratable is False:
            words = "the CPU is the host's own, with what cannot move", "CPU 为主机本身，含不可迁移的特性"
            yield Blocker("cpu", "migration", *words)
    if domain.launchSecurity is not None:
        words = "the guest's memory is sealed to this host", "客户机内存被封存于本主机"
        yield Blocker("launchSecurity", "migration", *words)
        yield Blocker("launchSecurity", "snapshot", *words)
    os = domain.os
    if os is not None and (os.firmware == "efi" or (os.loader is not None and os.loader.type == "pflash")):
        words = "firmware variables in flash have no snapshots within images", "闪存中的固件变量无法做映像内快照"
        yield Blocker("os", "snapshot", *words)


def _device(name: str, device: Any) -> Iterator[tuple[What, str, str]]:
    if isinstance(device, Disk):
        yield from _disk(device)
    elif name == "hostdev" or (name == "interface" and device.type in ("hostdev", "vdpa")):
        if getattr(device, "teaming", None) is None or device.teaming.persistent is None:
            for what in ("migration", "snapshot"):
                yield what, "the state of a host's device cannot be carried along", "主机设备的状态无法随之转移"
    elif name == "filesystem" and device.type in (None, "mount"):
        yield "migration", "a shared directory's open files stay on this host", "共享目录中打开的文件留在本主机"
        yield "snapshot", "a snapshot with memory would not hold the shared directory", "含内存的快照不包括共享目录"
    elif name == "shmem" and device.role != "master":
        yield "migration", "shared memory is that of this host", "共享内存属于本主机"
    elif name == "tpm" and device.backend is not None and device.backend.type in ("passthrough", "external"):
        yield "migration", "the TPM is the host's or another program's", "TPM 属于主机或其他程序"
        yield "snapshot", "the TPM's state is not Domicile's to keep", "TPM 的状态不由 Domicile 保存"
    elif name == "smartcard" and device.mode == "host":
        yield "migration", "the smartcard is the host's", "智能卡属于主机"
    elif name == "video" and device.model is not None and getattr(device.model.acceleration, "accel3d", None):
        yield "migration", "3D rendering lives in this host's graphics driver", "3D 渲染依赖本主机的图形驱动"
        yield "snapshot", "3D rendering cannot be saved with the memory", "3D 渲染无法随内存保存"


def _disk(disk: Disk) -> Iterator[tuple[What, str, str]]:
    if disk.type in ("nvme", "vhostuser", "vhostvdpa"):
        yield "migration", "the disk is a device of this host", "磁盘是本主机的设备"
    if disk.device == "lun":
        yield "snapshot", "a LUN handed through has no snapshots", "直通的 LUN 没有快照"
    if disk.device in ("cdrom", "floppy") or disk.readonly or disk.source is None:
        return
    if disk.transient is not None:
        yield "snapshot", "a transient disk forgets what is written", "临时磁盘不保留写入内容"
    format = disk.driver.type if disk.driver is not None else None
    if format not in (None, "qcow2") and disk.device != "lun":
        words = f"an image of format {format} holds no snapshots within itself (new layers above it would work)"
        yield "snapshot", words, f"{format} 格式的映像不支持映像内快照（可在其上建新层）"
