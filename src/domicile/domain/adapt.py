"""A document from another host made to run on this one: each change with its reason and what the guest will notice.

Called by `domicile adapt`. Pure: what exists on the host comes in as values and questions; nothing is written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from domicile.base.errors import InvalidDocument
from domicile.base.problem import Problem
from domicile.domain import nearest, source
from domicile.domain.complete import complete_text
from domicile.domain.rules.machine import FindCapabilities
from domicile.domain.source import drop
from domicile.plan.capabilities import Capabilities
from domicile.plan.host import Host
from domicile.schema.read import path_of


@dataclass(frozen=True, slots=True)
class Why:
    """A reason in both languages of the product."""

    en: str
    zh: str


NOTHING = Why("nothing", "无变化")
_KEPT = Why("", "")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is to be known of the host; `maps` says by what a path or a bridge is to be replaced."""

    host: Host
    find: FindCapabilities
    bridges: frozenset[str]
    networks: frozenset[str]
    exists: Callable[[str], bool]
    kvm_reason: str = ""
    maps: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Adjustment:
    """One change: where, from what to what, why, and what the guest will notice. An `open` one is left to its owner."""

    path: str
    line: int
    old: str
    new: str
    why: Why
    notice: Why
    open: bool = False


@dataclass(slots=True)
class Adapted:
    """The changed document, its changes, and the problems that are left."""

    text: str
    adjustments: list[Adjustment]
    problems: list[Problem]

    @property
    def runnable(self) -> bool:
        """Whether nothing is left to do."""
        return not self.problems and not any(a.open for a in self.adjustments)


def adapt(text: str, around: Surroundings) -> Adapted:
    """Adapt a document.

    Raises:
        InvalidDocument: it cannot be read at all.
    """
    root = source.parse(text)
    work = _Work(root, around)
    work.accelerator()
    caps = work.emulator()
    if caps is not None:
        work.machine(caps)
        work.cpu(caps)
    work.networks()
    work.files()
    work.finish()
    adapted = source.write(root) if work.found else text
    try:
        complete_text(adapted, around.host, around.find)
        problems = []
    except InvalidDocument as error:
        problems = error.problems
    return Adapted(adapted, sorted(work.found, key=lambda a: a.line), problems)


@dataclass(slots=True)
class _Work:
    root: Any
    around: Surroundings
    found: list[Adjustment] = field(default_factory=list)
    gone: list[Any] = field(default_factory=list)

    def finish(self) -> None:
        """Take out what is to go; until then every path is that of the author's document."""
        for node in self.gone:
            drop(node)

    def _note(
        self, node: Any, step: str, old: str, new: str, why: Why, notice: Why = NOTHING, *, open: bool = False
    ) -> None:
        self.found.append(Adjustment(path_of(node, step), node.sourceline or 0, old, new, why, notice, open))

    @property
    def _kvm(self) -> bool:
        return bool(self.root.get("type") == "kvm")

    def accelerator(self) -> None:
        """KVM becomes QEMU's own emulation where no virtual CPU runs."""
        if self._kvm and not self.around.host.kvm:
            reason = self.around.kvm_reason
            why = Why(
                f"KVM does not work on this host: {reason}" if reason else "KVM does not work on this host",
                f"本机 KVM 不可用：{reason}" if reason else "本机 KVM 不可用",
            )
            notice = Why("it runs the same but many times slower", "功能相同，但慢许多倍")
            self._note(self.root, "@type", "kvm", "qemu", why, notice)
            self.root.set("type", "qemu")

    def emulator(self) -> Capabilities | None:
        """The emulator's path is this host's."""
        kind = self.root.find("os/type")
        arch = (kind.get("arch") if kind is not None else None) or self.around.host.arch
        node = self.root.find("devices/emulator")
        path = (node.text or "").strip() if node is not None else None
        caps = self.around.find(path, arch)
        if caps is not None or node is None:
            return caps
        caps = self.around.find(None, arch)
        if caps is None:
            why = Why(f"no QEMU for {arch} is installed here", f"本机未安装 {arch} 的 QEMU")
            self._note(node, "", path or "", "", why, _KEPT, open=True)
            return None
        self._note(
            node,
            "",
            path or "",
            caps.binary,
            Why("there is no such program here; this is the host's QEMU", "本机没有该程序，改用本机的 QEMU"),
        )
        node.text = caps.binary
        return caps

    def machine(self, caps: Capabilities) -> None:
        """A machine type that this QEMU does not have becomes the nearest of its family."""
        node = self.root.find("os/type")
        name = node.get("machine") if node is not None else None
        if name is None or caps.machine(name, self._kvm) is not None:
            return
        version = ".".join(map(str, caps.version))
        why = Why(
            f"QEMU {version} here has no such machine type; this is the nearest of its family",
            f"本机 QEMU {version} 没有该机型，取同系列中最接近者",
        )
        found = nearest.machine(caps, name, self._kvm)
        if found is None:
            self._note(
                node,
                "@machine",
                name,
                "",
                Why(f"QEMU {version} here has nothing like it", f"本机 QEMU {version} 没有类似的机型"),
                _KEPT,
                open=True,
            )
            return
        notice = Why(
            "chipset and firmware of another version; Windows may ask to be activated again",
            "芯片组与固件版本不同，Windows 可能要求重新激活",
        )
        self._note(node, "@machine", name, found.name, why, notice)
        node.set("machine", found.name)

    def cpu(self, caps: Capabilities) -> None:
        """A CPU that the host cannot give becomes the nearest that it can; features it lacks are left out."""
        node = self.root.find("cpu")
        if node is None:
            return
        mode = node.get("mode", "custom" if node.find("model") is not None else "")
        if mode == "host-passthrough" and not self._kvm:
            why = Why(
                "without KVM there is no host CPU to pass through; this is all that QEMU can imitate",
                "没有 KVM 就无法直通主机 CPU，改为 QEMU 能模拟的全部特性",
            )
            self._note(node, "@mode", mode, "maximum", why, Why("another CPU", "CPU 不同"))
            node.set("mode", "maximum")
        for feature in node.findall("feature"):
            self._feature(caps, feature)
        model = node.find("model")
        if mode == "custom" and model is not None:
            self._model(caps, node, model)

    def _feature(self, caps: Capabilities, node: Any) -> None:
        policy, name = node.get("policy", "require"), node.get("name", "")
        if policy not in ("require", "force") or nearest.feature(caps, name, self._kvm):
            return
        giver = (
            Why("the host's CPU", "主机 CPU")
            if self._kvm
            else Why("QEMU's own emulation (TCG)", "QEMU 自身的模拟（TCG）")
        )
        why = Why(f"{giver.en} cannot give it", f"{giver.zh}无法提供")
        self._note(node, "", f"{policy} {name}", "", why, Why(f"the CPU has no {name}", f"CPU 没有 {name}"))
        self.gone.append(node)

    def _model(self, caps: Capabilities, cpu: Any, node: Any) -> None:
        name = (node.text or "").strip()
        off = frozenset(f.get("name", "") for f in cpu.findall("feature") if f.get("policy") in ("disable", "forbid"))
        model = caps.cpu(name, self._kvm)
        if model is not None and nearest.runs(model, off):
            return
        lacks = ", ".join(model.blockers) if model is not None else ""
        why = (
            Why(f"this host cannot give it (missing: {lacks})", f"本机无法提供（缺少：{lacks}）")
            if lacks
            else Why("QEMU here does not know it", "本机 QEMU 不认识该型号")
        )
        found = nearest.cpu(caps, name, self._kvm, off)
        if found is None:
            self._note(
                cpu,
                "",
                name,
                "",
                Why(f"{why.en}; the machine type's own CPU stands in", f"{why.zh}；改用机型默认 CPU"),
                Why("another CPU", "CPU 不同"),
            )
            self.gone.append(cpu)
            return
        notice = Why(
            "an older CPU with fewer instructions; programs built for the old one alone will not run",
            "CPU 较旧、指令较少，只为原型号编译的程序无法运行",
        )
        self._note(node, "", name, found.name, why, notice)
        node.text = found.name

    def networks(self) -> None:
        """A bridge or network that is not here is replaced as mapped, else by QEMU's user networking."""
        for node in self.root.findall("devices/interface"):
            kind, place = node.get("type"), node.find("source")
            if kind not in ("bridge", "network") or place is None:
                continue
            name = place.get(kind, "")
            here = self.around.bridges if kind == "bridge" else self.around.networks
            mapped = self.around.maps.get(name)
            if mapped is not None:
                self._bridge(node, place, kind, name, mapped)
            elif name not in here:
                self._user(node, place, kind, name)

    def _bridge(self, node: Any, place: Any, kind: str, name: str, mapped: str) -> None:
        self._note(
            place,
            f"@{kind}",
            name,
            mapped,
            Why("as you mapped it", "按您的映射"),
            Why("it is on another network", "接入另一网络"),
        )
        node.set("type", "bridge")
        for key in ("network", "portgroup"):
            place.attrib.pop(key, None)
        place.set("bridge", mapped)

    def _user(self, node: Any, place: Any, kind: str, name: str) -> None:
        what = Why("bridge", "网桥") if kind == "bridge" else Why("network", "网络")
        why = Why(
            f"there is no {what.en} '{name}' here; user networking needs none (or say --map {name}=BRIDGE)",
            f"本机没有{what.zh}“{name}”，用户态网络无需它（或用 --map {name}=网桥 指定）",
        )
        notice = Why(
            "it is behind QEMU's address translation: it reaches out, and is not reached",
            "位于 QEMU 的地址转换之后：可访问外部，外部不可访问它",
        )
        self._note(node, "@type", f"{kind} {name}", "user", why, notice)
        node.set("type", "user")
        self.gone.append(place)
        for tag in ("virtualport", "target", "vlan", "portForward", "script"):
            self.gone += node.findall(tag)

    def files(self) -> None:
        """Files that are elsewhere are found by the map; what is missing is left to the owner."""
        for node in self.root.iterfind("devices/disk/source"):
            for key in ("file", "dev"):
                if node.get(key):
                    self._file(node, key, node.get(key))
        for path in ("os/kernel", "os/initrd", "os/dtb", "os/loader"):
            node = self.root.find(path)
            if node is not None and (node.text or "").strip().startswith("/"):
                self._file(node, "", node.text.strip())

    def _file(self, node: Any, key: str, path: str) -> None:
        mapped, step = self._mapped(path), f"@{key}" if key else ""
        if mapped is not None:
            why = Why("as you mapped it", "按您的映射")
            if not self.around.exists(mapped):
                why = Why("as you mapped it, but there is no such file", "按您的映射，但该文件不存在")
            self._note(
                node,
                step,
                path,
                mapped,
                why,
                Why("nothing, if the contents are the same", "内容相同则无变化"),
                open=not self.around.exists(mapped),
            )
            if key:
                node.set(key, mapped)
            else:
                node.text = mapped
        elif not self.around.exists(path):
            why = Why(
                f"there is no such file here; say where it is: --map {path}=PATH",
                f"本机没有该文件，请指明位置：--map {path}=路径",
            )
            self._note(node, step, path, "", why, _KEPT, open=True)

    def _mapped(self, path: str) -> str | None:
        """The map's word for a path: the path itself, or the nearest directory above it."""
        if path in self.around.maps:
            return self.around.maps[path]
        inside = [old for old in self.around.maps if old.startswith("/") and path.startswith(old.rstrip("/") + "/")]
        if not inside:
            return None
        old = max(inside, key=len)
        return self.around.maps[old].rstrip("/") + path[len(old.rstrip("/")) :]
