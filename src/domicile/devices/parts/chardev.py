"""The host's side of every character device: where its bytes go to and come from.

Serial and parallel ports, consoles, channels, redirected USB devices, smartcards and EGD random sources have one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from domicile.devices.parts.demand import demand
from domicile.devices.parts.device import Device
from domicile.devices.parts.omit import omit
from domicile.plan.facts import Completion
from domicile.schema import field as f
from domicile.schema.scalar import ON_OFF, STR, UINT, YES_NO, enum
from domicile.schema.shape import Element, element

TYPES = (
    "null",
    "vc",
    "pty",
    "dev",
    "file",
    "pipe",
    "stdio",
    "udp",
    "tcp",
    "unix",
    "spicevmc",
    "spiceport",
    "nmdm",
    "qemu-vdagent",
    "dbus",
)
# Which attributes and children of <source> have a meaning for each type; what else stands there is dropped.
_MEANT: dict[str, tuple[str, ...]] = {
    "dev": ("path", "seclabel"),
    "file": ("path", "append", "seclabel"),
    "pipe": ("path", "seclabel"),
    "udp": ("mode", "host", "service"),
    "tcp": ("mode", "host", "service", "tls", "reconnect"),
    "unix": ("mode", "path", "reconnect", "seclabel"),
    "spiceport": ("channel",),
    "nmdm": ("master", "slave"),
    "qemu-vdagent": ("clipboard", "mouse"),
    "dbus": ("channel",),
}


@element("seclabel", "该来源的安全标签")
class SourceSecLabel(Element):
    """How a security driver treats this one source."""

    model: str | None = f.attr("The security driver.", "安全驱动。")
    labelskip: bool | None = f.attr("Whether the file keeps the label it has.", "文件是否保留原有标签。", YES_NO)
    relabel: bool | None = f.attr(
        "Whether the file is given a label for the machine.", "是否为虚拟机重新标记该文件。", YES_NO
    )
    label: str | None = f.leaf("The label to give it.", "要设置的标签。", STR)


@element("reconnect", "断线重连")
class Reconnect(Element):
    """Whether a lost connection is made again."""

    enabled: bool | None = f.attr("Whether to connect again.", "是否重新连接。", YES_NO)
    timeout: int | None = f.attr("Seconds between two attempts.", "两次尝试之间的秒数。", UINT)


@element("clipboard", "剪贴板")
class Clipboard(Element):
    """The clipboard shared with the viewer."""

    copypaste: bool | None = f.attr("Whether it is shared.", "是否共享剪贴板。", YES_NO)


@element("mouse", "鼠标模式")
class AgentMouse(Element):
    """Who draws the pointer."""

    mode: str | None = f.attr(
        "client: the viewer knows where the pointer is; server: the guest does.",
        "client 由查看器掌握指针位置，server 由客户机掌握。",
        enum("server", "client"),
    )


@element("source", "字符设备的主机端")
class CharSource(Element):
    """The host's end of a character device."""

    mode: str | None = f.attr(
        "Whether QEMU listens there (bind) or calls there (connect).",
        "QEMU 在此监听（bind）还是主动连接（connect）。",
        enum("connect", "bind"),
    )
    host: str | None = f.attr("The name or address.", "主机名或地址。")
    service: str | None = f.attr("The port's number or service name.", "端口号或服务名。")
    path: str | None = f.attr(
        "The host's file, device, pipe or unix socket.", "主机上的文件、设备、管道或 unix 套接字。"
    )
    append: bool | None = f.attr(
        "Whether output is added to what the file holds already, or replaces it.",
        "输出追加到文件末尾，还是覆盖原内容。",
        ON_OFF,
    )
    master: str | None = f.attr("One end of a null modem pair of BSD.", "BSD 空调制解调器对的主端。")
    slave: str | None = f.attr("The other end of that pair.", "该设备对的从端。")
    channel: str | None = f.attr(
        "The name under which a SPICE or D-Bus client finds it.", "SPICE 或 D-Bus 客户端所见的名称。"
    )
    tls: bool | None = f.attr(
        "Whether the connection is encrypted; left out, the host's setting holds.",
        "连接是否加密；省略时采用主机的设置。",
        YES_NO,
    )
    tlsFromConfig: bool | None = f.attr(
        "Whether that came from the host's setting.",
        "该选择是否来自主机的设置。",
        enum("0", "1"),
    )
    clipboard: Clipboard | None = f.child("The shared clipboard.", "共享剪贴板。", Clipboard)
    mouse: AgentMouse | None = f.child("Who draws the pointer.", "由谁绘制指针。", AgentMouse)
    reconnect: Reconnect | None = f.child("What follows a lost connection.", "连接断开后如何处理。", Reconnect)
    seclabel: list[SourceSecLabel] = f.children("Security labels of this source.", "该来源的安全标签。", SourceSecLabel)


@element("protocol", "TCP 连接的协议")
class CharProtocol(Element):
    """What is spoken over a TCP connection."""

    type: str | None = f.attr(
        "Plain bytes or telnet.", "原始字节流或 telnet。", enum("raw", "telnet", "telnets", "tls")
    )


@element("log", "输出日志")
class CharLog(Element):
    """A file that also receives everything the guest writes."""

    file: str | None = f.attr("The file.", "日志文件。")
    append: bool | None = f.attr(
        "Whether it is continued at a start, or begun anew.", "启动时续写，还是清空重写。", ON_OFF
    )


class Backed(Protocol):
    """Anything with a host's end: a device, or the backend of a random number source."""

    type: str | None
    source: list[CharSource]
    protocol: CharProtocol | None
    log: CharLog | None


TYPE_EN = "Where its bytes go: a pseudo-terminal, a socket, a file, a device of the host, a SPICE client and others."
TYPE_ZH = "数据的去向：伪终端、套接字、文件、主机设备、SPICE 客户端等。"


@element("chardev", "字符设备")
class CharDevice(Device):
    """A device that carries bytes between the guest and the host."""

    type: str | None = f.attr(TYPE_EN, TYPE_ZH, enum(*TYPES))
    source: list[CharSource] = f.children(
        "The host's end; a datagram socket may have two, for both directions.",
        "主机端；UDP 可有收发两个。",
        CharSource,
        keep_empty=False,
    )
    protocol: CharProtocol | None = f.child("What is spoken over TCP.", "TCP 上的协议。", CharProtocol)
    log: CharLog | None = f.child("A copy of the guest's output.", "客户机输出的副本。", CharLog)


def sole(device: Backed) -> CharSource | None:
    """Return the host's end where there is one."""
    return device.source[0] if device.source else None


def wants_spice(device: Backed) -> bool:
    """Say whether the host's end only exists beside a SPICE display."""
    return device.type in ("spicevmc", "spiceport")


def defaults(device: Any, c: Completion) -> None:
    """Fill in the type, the mode of sockets and the protocol; drop what has no meaning for the type."""
    if device.type is None:
        c.default(device, "type", "pty", "a pseudo-terminal unless told otherwise", "未指定时为伪终端")
    kind: str = device.type
    meant = _MEANT.get(kind, ())
    useless = (f"has no meaning for type {kind} in a definition", f"在定义中对类型 {kind} 没有意义")
    if not meant:
        omit(device, ("source",), c, *useless)
    for source in device.source:
        omit(source, (f.slot for f in source.shape.fields if f.slot not in meant), c, *useless)
        if any(label.labelskip for label in source.seclabel):
            source.seclabel = [label for label in source.seclabel if not label.labelskip]
        if kind in ("tcp", "udp", "unix") and source.mode is None:
            c.default(source, "mode", "connect", "QEMU connects unless told to listen", "未指定监听时由 QEMU 主动连接")
        if source.reconnect is not None and not source.reconnect.enabled:
            omit(source.reconnect, ("timeout",), c, "nothing is waited for", "不重连则无需间隔")
    if kind == "udp":
        device.source.sort(key=lambda source: source.mode != "bind")
    if kind != "tcp":
        omit(device, ("protocol",), c, *useless)
    elif device.protocol is None or device.protocol.type is None:
        device.protocol = device.protocol or CharProtocol()
        c.default(device.protocol, "type", "raw", "plain bytes unless told otherwise", "未指定时为原始字节流")


def number_ports(devices: Sequence[Any], c: Completion, *, behind: bool = True) -> None:
    """Number the ports of all serial (or all parallel) devices: after the highest that was given, in their order.

    Without `behind`, only those before a device count.
    """
    given = [d.target.port for d in devices if d.target is not None and d.target.port is not None]
    highest = max(given, default=-1) if behind else -1
    for device in devices:
        if device.target is not None and device.target.port is not None:
            highest = max(highest, device.target.port)
        if device.target is not None and device.target.port is None:
            highest += 1
            c.allocate(device.target, "port", highest, "the next free port of its kind", "同类端口中的下一个")


def check(device: Any, c: Completion, *, path_optional: bool = False) -> None:
    """Find what cannot be; `path_optional` says that a unix socket's path may be left to Domicile."""
    tag, kind, source = device.shape.tag, device.type, sole(device)
    if kind == "nmdm":
        c.problem(device, f"<{tag}> has the type 'nmdm', which QEMU does not have", "pty, file, tcp, unix", "@type")
        return
    if kind == "spicevmc" and tag in ("serial", "parallel", "console"):
        c.problem(device, f"<{tag}> has the type 'spicevmc', which only virtio channels have", "spiceport", "@type")
    if kind == "dbus" and not c.caps.has_schema("chardev-add/arg-type/backend/+dbus"):
        c.problem(device, f"<{tag}> has the type 'dbus', which this QEMU does not have", "pty, unix, tcp", "@type")
    if kind in ("dev", "file", "pipe") or (kind == "unix" and not path_optional):
        _demand(device, source, "path", "an absolute path", c)
    elif kind == "tcp":
        _demand(device, source, "host", "a name or address", c)
        _demand(device, source, "service", "a port", c)
    elif kind == "udp":
        calls = next((s for s in device.source if s.mode == "connect"), None)
        _demand(device, calls, "service", "a port", c)
    elif kind in ("spiceport", "dbus"):
        _demand(device, source, "channel", "a name such as org.qemu.console.serial.0", c)
    if kind == "tcp" and device.protocol is not None and device.protocol.type not in ("raw", "telnet"):
        word = device.protocol.type
        c.problem(device.protocol, f"protocol '{word}' of <{tag}> is not possible over 'tcp'", "raw, telnet", "@type")
    if source is not None:
        demand(source.mouse, ("mode",), f"a <{tag}>", c)
        demand(source.clipboard, ("copypaste",), f"a <{tag}>", c)
        _check_reconnect(source, tag, c)
        if kind == "spiceport" and source.channel and not source.channel.replace(".", "").replace("-", "").isalnum():
            c.problem(
                source, f"channel '{source.channel}' of <{tag}> is no name", "letters, digits, '.', '-'", "@channel"
            )
    if device.log is not None and not device.log.file:
        c.problem(device.log, f"<log> of <{tag}> has no attribute 'file'", "a path", "@file")


def _demand(device: Any, source: CharSource | None, slot: str, accepted: str, c: Completion) -> None:
    if source is None or not getattr(source, slot):
        where = source if source is not None else device
        step = f"@{slot}" if source is not None else f"source/@{slot}"
        message = f"<source> of <{device.shape.tag}> of type '{device.type}' has no attribute '{slot}'"
        c.problem(where, message, accepted, step)


def _check_reconnect(source: CharSource, tag: str, c: Completion) -> None:
    again = source.reconnect
    if again is None:
        return
    if again.enabled is None:
        c.problem(again, f"<reconnect> of <{tag}> does not say whether it is 'enabled'", "yes, no", "@enabled")
    elif again.enabled and again.timeout is None:
        c.problem(again, f"<reconnect> of <{tag}> has no attribute 'timeout'", "seconds, 1 or more", "@timeout")
    elif again.enabled and again.timeout == 0:
        c.problem(again, f"<reconnect> of <{tag}> has the timeout '0'", "seconds, 1 or more", "@timeout")
    if again.enabled and source.mode == "bind":
        c.problem(again, f"<reconnect> of <{tag}> is only for mode 'connect', not 'bind'", "mode='connect'")
