"""What a graphics element may say. Used by the other files of this slice."""

from __future__ import annotations

from domicile.devices.parts.audio import AudioReference
from domicile.devices.parts.device import Device
from domicile.schema import field as f
from domicile.schema.scalar import FILLED, INT, ON_OFF, PATH, STR, YES_NO, enum
from domicile.schema.shape import Element, element

TYPES = ("sdl", "vnc", "rdp", "desktop", "spice", "egl-headless", "dbus")
CHANNELS = ("main", "display", "inputs", "cursor", "playback", "record", "smartcard", "usbredir")
MODES = ("any", "secure", "insecure")


@element("listen", "监听位置")
class Listen(Element):
    """Where the display server waits for viewers."""

    type: str | None = f.attr(
        "An address, the host's address on a network, a unix socket, or nowhere.",
        "监听一个地址、某网络上的主机地址、unix 套接字，或不监听。",
        enum("none", "address", "network", "socket"),
        required=True,
    )
    address: str | None = f.attr("The host name or address.", "主机名或地址。", effect="live")
    network: str | None = f.attr("The network whose host address is taken.", "取其主机地址的网络。", FILLED)
    socket: str | None = f.attr(
        "The unix socket; left out, one is made for each run.", "unix 套接字；省略时每次运行新建一个。", PATH
    )


@element("channel", "SPICE 通道")
class Channel(Element):
    """How one channel of SPICE may be reached."""

    name: str | None = f.attr("The channel.", "通道名。", enum(*CHANNELS), required=True)
    mode: str | None = f.attr(
        "Only over TLS, only in the clear, or either.", "仅 TLS、仅明文，或均可。", enum(*MODES), required=True
    )


@element("image", "图像压缩")
class Image(Element):
    """How SPICE compresses pictures."""

    compression: str | None = f.attr(
        "The method, or off.",
        "压缩方法，或关闭。",
        enum("auto_glz", "auto_lz", "quic", "glz", "lz", "off"),
        required=True,
    )


@element("jpeg", "广域网上的 JPEG 压缩")
class Jpeg(Element):
    """Whether SPICE uses JPEG over slow links."""

    compression: str | None = f.attr("When it does.", "何时使用。", enum("auto", "never", "always"), required=True)


@element("zlib", "广域网上的 zlib 压缩")
class Zlib(Element):
    """Whether SPICE packs compressed pictures again with zlib over slow links."""

    compression: str | None = f.attr("When it does.", "何时使用。", enum("auto", "never", "always"), required=True)


@element("playback", "音频压缩")
class Playback(Element):
    """Whether SPICE compresses sound."""

    compression: bool | None = f.attr("Whether it does.", "是否压缩。", ON_OFF, required=True)


@element("streaming", "视频流")
class Streaming(Element):
    """Whether SPICE sends changing areas as video."""

    mode: str | None = f.attr(
        "Which areas: those that look like video, all, or none.",
        "哪些区域：像视频的、全部，或不用。",
        enum("filter", "all", "off"),
        required=True,
    )


@element("mouse", "鼠标模式")
class Mouse(Element):
    """Who moves the pointer of a SPICE viewer."""

    mode: str | None = f.attr(
        "The guest (server) or the viewer (client).",
        "由客户机（server）或查看器（client）移动。",
        enum("server", "client"),
        required=True,
    )


@element("clipboard", "剪贴板")
class Clipboard(Element):
    """Whether SPICE shares the clipboard."""

    copypaste: bool | None = f.attr("Whether it does.", "是否共享。", YES_NO, required=True)


@element("filetransfer", "文件传送")
class FileTransfer(Element):
    """Whether files may be dragged into the guest over SPICE."""

    enable: bool | None = f.attr("Whether they may.", "是否允许。", YES_NO, required=True)


@element("gl", "OpenGL 绘制")
class Gl(Element):
    """Whether the display is drawn with the host's graphics card."""

    enable: bool | None = f.attr("Whether it is.", "是否使用。", YES_NO)
    rendernode: str | None = f.attr("The card's render node, such as /dev/dri/renderD128.", "显卡的渲染节点。", PATH)


@element("graphics", "图形显示", identity=("type",))
class Graphics(Device):
    """A way to see the guest's screens."""

    type: str | None = f.attr(
        "The protocol, or the window on the host.",
        "协议，或主机上的窗口。",
        enum(*TYPES),
        effect="never",
        required=True,
    )
    socket: str | None = f.attr(
        "The unix socket; the same as in the first <listen>.", "unix 套接字，与首个 <listen> 相同。", PATH
    )
    port: int | None = f.attr(
        "The TCP port; -1 takes a free one at each start.", "TCP 端口；-1 表示每次启动取一个空闲端口。", INT
    )
    tlsPort: int | None = f.attr(
        "SPICE's port for TLS; -1 takes a free one at each start.", "SPICE 的 TLS 端口；-1 表示取空闲端口。", INT
    )
    autoport: bool | None = f.attr(
        "Whether the ports are taken from the free ones at each start.", "是否在每次启动时自动取空闲端口。", YES_NO
    )
    websocket: int | None = f.attr(
        "VNC's port for browsers; -1 takes a free one.", "VNC 的 WebSocket 端口；-1 表示取空闲端口。", INT
    )
    replaceUser: bool | None = f.attr(
        "Whether a new RDP viewer takes the place of the old one.", "新的 RDP 连接是否替换旧连接。", YES_NO
    )
    multiUser: bool | None = f.attr("Whether several RDP viewers may look at once.", "是否允许多个 RDP 连接。", YES_NO)
    listen: str | None = f.attr(
        "The address to listen on; the same as in the first <listen>.", "监听地址，与首个 <listen> 相同。", STR
    )
    keymap: str | None = f.attr(
        "The keyboard layout, for viewers that send letters and not keys.",
        "键盘布局，供只发送字符的查看器使用。",
        FILLED,
    )
    defaultMode: str | None = f.attr(
        "How SPICE channels that are not named may be reached.", "未列出的 SPICE 通道的默认模式。", enum(*MODES)
    )
    sharePolicy: str | None = f.attr(
        "What becomes of other VNC viewers when one asks to be alone.",
        "某个 VNC 查看器要求独占时如何对待其他查看器。",
        enum("allow-exclusive", "force-shared", "ignore"),
    )
    powerControl: bool | None = f.attr(
        "Whether VNC viewers may shut down and reset the guest.", "VNC 查看器可否关闭和重置客户机。", YES_NO
    )
    username: str | None = f.attr("The name an RDP viewer must give.", "RDP 查看器须给出的用户名。", STR)
    passwd: str | None = f.attr(
        "The password a viewer must give.", "查看器须给出的密码。", STR, secret=True, effect="live"
    )
    passwdValidTo: str | None = f.attr("When the password ends, in UTC.", "密码的失效时间（UTC）。", STR, effect="live")
    connected: str | None = f.attr(
        "What becomes of present viewers when the password changes.",
        "更改密码时如何对待已连接的查看器。",
        enum("keep", "disconnect", "fail"),
        effect="live",
    )
    display: str | None = f.attr("The X display of the window.", "窗口所在的 X 显示。", STR)
    xauth: str | None = f.attr("The X authority file.", "X 授权文件。", STR)
    fullscreen: bool | None = f.attr("Whether the window fills the screen.", "窗口是否全屏。", YES_NO)
    p2p: bool | None = f.attr(
        "Whether D-Bus viewers connect to QEMU without a bus.", "D-Bus 查看器是否不经总线直接连接。", YES_NO
    )
    address_of_bus: str | None = f.attr("The D-Bus address.", "D-Bus 地址。", STR, name="address")
    listens: list[Listen] = f.children("Where viewers may connect.", "查看器可在何处连接。", Listen, name="listen")
    channels: list[Channel] = f.children(
        "Rules for single SPICE channels.", "各 SPICE 通道的规则。", Channel, name="channel"
    )
    image: Image | None = f.child("How pictures are compressed.", "图像压缩方式。", Image)
    jpeg: Jpeg | None = f.child("Whether JPEG is used over slow links.", "慢速链路上是否使用 JPEG。", Jpeg)
    zlib: Zlib | None = f.child("Whether zlib is used over slow links.", "慢速链路上是否使用 zlib。", Zlib)
    playback: Playback | None = f.child("Whether sound is compressed.", "是否压缩声音。", Playback)
    streaming: Streaming | None = f.child("Which areas are sent as video.", "哪些区域作为视频发送。", Streaming)
    mouse: Mouse | None = f.child("Who moves the pointer.", "由谁移动指针。", Mouse)
    clipboard: Clipboard | None = f.child("Whether the clipboard is shared.", "是否共享剪贴板。", Clipboard)
    filetransfer: FileTransfer | None = f.child("Whether files may be dragged in.", "是否可拖入文件。", FileTransfer)
    gl: Gl | None = f.child("Whether the host's graphics card draws.", "是否由主机显卡绘制。", Gl, keep_empty=False)
    audio: AudioReference | None = f.child(
        "The audio backend of the viewers.", "查看器使用的音频后端。", AudioReference
    )

    @property
    def first(self) -> Listen:
        """The place that counts: QEMU listens in one place only."""
        return self.listens[0] if self.listens else Listen(type="address")
