"""The host's health for virtual machines, as findings: each with what is so, and what to do about it.

Called by the service for `domicile doctor`, and by the command line itself where no daemon answers.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from domicile.base.errors import DomicileError
from domicile.host import inspect, kvm, tap, user
from domicile.qemu import cache
from domicile.service.paths import Paths

Level = Literal["good", "note", "bad"]
_LITTLE_SPACE = 2 * 1024**3


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding in both languages; `remedy` is empty where nothing is to be done."""

    subject: str
    level: Level
    en: str
    zh: str
    remedy_en: str = ""
    remedy_zh: str = ""


async def examine(paths: Paths) -> list[Finding]:
    """Look at everything that running machines needs."""
    runs = await kvm.check()
    findings = [_kvm(runs)]
    findings += await _emulators(paths.cache, runs.works)
    findings += [*_user(), *_devices(), *_bridges(), *_space(paths), *_programs()]
    return findings


def _kvm(runs: kvm.Kvm) -> Finding:
    if runs.works:
        return Finding("kvm", "good", runs.reason, "虚拟 CPU 已实际运行" if runs.verified else "可打开 /dev/kvm")
    if "may not be opened" in runs.reason:
        return Finding(
            "kvm", "bad", "/dev/kvm may not be opened by this user", "当前用户无权打开 /dev/kvm",
            "add the user to the group kvm: usermod -aG kvm USER", "将用户加入 kvm 组：usermod -aG kvm 用户名",
        )  # fmt: skip
    return Finding(
        "kvm", "bad", f"KVM does not work: {runs.reason}", f"KVM 不可用：{runs.reason}",
        "guests run by emulation (type='qemu'), many times slower; enable virtualization in the firmware or on the outer host",
        "客户机只能以模拟方式运行（type='qemu'），慢许多倍；请在固件或外层主机上启用虚拟化",
    )  # fmt: skip


async def _emulators(directory: Path, works: bool) -> list[Finding]:
    found = []
    for arch, path in sorted(inspect.emulators().items()):
        try:
            caps = await cache.capabilities(path, directory, kvm=works)
        except DomicileError as error:
            found.append(Finding(f"qemu {arch}", "bad", f"{path}: {error.message}", f"{path}：{error.message}"))
            continue
        version = ".".join(map(str, caps.version))
        accelerators = "kvm, tcg" if caps.kvm else "tcg"
        words = f"{path}, QEMU {version} {caps.package}".rstrip() + f" ({accelerators})"
        found.append(Finding(f"qemu {arch}", "good", words, words))
    if not found:
        found.append(
            Finding(
                "qemu",
                "bad",
                "no QEMU is installed",
                "未安装 QEMU",
                "apt install qemu-system-x86",
                "apt install qemu-system-x86",
            )
        )
    return found


def _user() -> Iterator[Finding]:
    if os.geteuid() != 0:
        yield Finding(
            "user",
            "good",
            f"this is a session of user id {os.geteuid()}; machines run as this user",
            f"会话模式，虚拟机以当前用户（{os.geteuid()}）运行",
        )
        return
    try:
        chosen = user.qemu_user()
    except DomicileError as error:
        yield Finding(
            "user",
            "bad",
            error.message,
            error.message,
            "create a user for QEMU: useradd --system domicile-qemu",
            "请为 QEMU 创建用户：useradd --system domicile-qemu",
        )
        return
    if chosen is None:
        yield Finding("user", "note", "QEMU would run as root", "QEMU 将以 root 运行")
    else:
        yield Finding(
            "user", "good", f"QEMU runs unprivileged, as user id {chosen.uid}", f"QEMU 以非特权用户（{chosen.uid}）运行"
        )


def _devices() -> Iterator[Finding]:
    what = {
        "/dev/kvm": ("hardware virtualization", "硬件虚拟化"),
        "/dev/net/tun": ("networking by bridge", "桥接网络"),
        "/dev/vhost-net": ("fast networking", "高速网络"),
    }
    for device in inspect.devices():
        words = what.get(device.path)
        if words is None:
            continue
        if device.accessible:
            yield Finding(device.path, "good", f"can be opened ({words[0]})", f"可以打开（{words[1]}）")
        elif device.exists:
            yield Finding(
                device.path,
                "bad",
                f"may not be opened by this user ({words[0]})",
                f"当前用户无权打开（{words[1]}）",
                "add the user to the device's group",
                "请将用户加入该设备所属的组",
            )
        else:
            yield Finding(device.path, "note", f"is not here: no {words[0]}", f"不存在：无法使用{words[1]}")


def _bridges() -> Iterator[Finding]:
    found = tap.bridges()
    if found:
        yield Finding("bridges", "good", ", ".join(found), "、".join(found))
    else:
        yield Finding(
            "bridges", "note", "there are none: guests can use user networking only", "没有网桥，客户机只能使用用户态网络",
            "ip link add br0 type bridge", "ip link add br0 type bridge",
        )  # fmt: skip


def _space(paths: Paths) -> Iterator[Finding]:
    for name, path in (("state", paths.state), ("run", paths.run), ("log", paths.log)):
        space = inspect.space(path)
        free = f"{space.free / 1024**3:.1f} GiB"
        if not space.writable:
            yield Finding(
                name,
                "bad",
                f"{path} cannot be written",
                f"{path} 不可写",
                "run as its owner, or name another --root",
                "请以其所有者身份运行，或用 --root 指定其他目录",
            )
        elif space.free < _LITTLE_SPACE:
            yield Finding(
                name, "bad", f"only {free} are free at {path}", f"{path} 仅剩 {free}", "make room", "请腾出空间"
            )
        else:
            yield Finding(name, "good", f"{path}: {free} free", f"{path}：剩余 {free}")


def _programs() -> Iterator[Finding]:
    path = shutil.which("qemu-img")
    if path is None:
        yield Finding(
            "qemu-img",
            "bad",
            "is not installed: no disk images can be made",
            "未安装：无法创建磁盘映像",
            "apt install qemu-utils",
            "apt install qemu-utils",
        )
    else:
        yield Finding("qemu-img", "good", path, path)
