"""Graphics cards. Used through `FAMILY` in devices/__init__; domain/rules calls `arrange`, `check_together`, `default_model`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from domicile.devices.family import Family
from domicile.devices.parts.bus import alias_of, virtio_driver, virtio_props, want_card, want_legacy, want_virtio, where
from domicile.devices.parts.device import CcwAddress, Device, PciAddress, VirtioOptions
from domicile.devices.parts.omit import omit
from domicile.plan.facts import Completion, Facts, Planning
from domicile.plan.need import Helper, Need
from domicile.plan.place import Want
from domicile.plan.qemu import Item, Keyed, Structured
from domicile.schema import field as f
from domicile.schema.scalar import ON_OFF, PATH, PUINT, UINT, YES_NO, enum
from domicile.schema.shape import Element, element

TYPES = ("vga", "cirrus", "vmvga", "qxl", "virtio", "bochs", "ramfb", "none")
_FOREIGN = ("xen", "vbox", "parallels", "gop")
# The card as the machine's first one, which speaks VGA, and as a further one.
_FIRST = {
    "vga": "VGA",
    "cirrus": "cirrus-vga",
    "vmvga": "vmware-svga",
    "qxl": "qxl-vga",
    "bochs": "bochs-display",
    "ramfb": "ramfb",
}
_MOST = 1 << 31  # KiB
_SIZED = ("vga", "cirrus", "vmvga", "bochs")
_SCALED = ("vga", "qxl", "virtio", "bochs")


@element("driver", "显卡的实现")
class VideoDriver(VirtioOptions):
    """Who does the card's work."""

    vgaconf: str | None = f.attr(
        "How a bhyve guest reaches VGA registers.",
        "bhyve 客户机如何访问 VGA 寄存器。",
        enum("io", "on", "off"),
        order=60,
    )
    name: str | None = f.attr(
        "QEMU itself, or a process of its own.", "由 QEMU 自身或独立进程实现。", enum("qemu", "vhostuser"), order=61
    )


@element("acceleration", "加速")
class Acceleration(Element):
    """Help of the host's graphics card."""

    accel2d: bool | None = f.attr(
        "For flat pictures; only VirtualBox has it.", "二维加速，仅 VirtualBox 支持。", YES_NO
    )
    accel3d: bool | None = f.attr("For OpenGL in the guest.", "客户机内的 OpenGL 加速。", YES_NO, guest=True)
    rendernode: str | None = f.attr("The host card's render node.", "主机显卡的渲染节点。", PATH)


@element("resolution", "分辨率")
class Resolution(Element):
    """The size the card proposes to the guest."""

    x: int | None = f.attr("Its width in pixels.", "宽度（像素）。", PUINT, guest=True, required=True)
    y: int | None = f.attr("Its height in pixels.", "高度（像素）。", PUINT, guest=True, required=True)


@element("model", "显卡型号")
class VideoModel(Element):
    """The card the guest sees and its memory, in KiB."""

    type: str | None = f.attr("The card.", "型号。", enum(*TYPES, *_FOREIGN), guest=True)
    ram: int | None = f.attr("QXL's first memory bar.", "QXL 的第一块内存。", UINT, guest=True)
    vram: int | None = f.attr("The card's memory; QXL's second bar.", "显存；对 QXL 为第二块内存。", UINT, guest=True)
    vram64: int | None = f.attr("QXL's memory above 4 GiB.", "QXL 在 4 GiB 以上的内存。", UINT, guest=True)
    vgamem: int | None = f.attr(
        "QXL's frame buffer, part of the first bar.", "QXL 的帧缓冲，位于第一块内存内。", UINT, guest=True
    )
    heads: int | None = f.attr("How many screens it can drive.", "可驱动的屏幕数。", UINT, guest=True)
    primary: bool | None = f.attr(
        "Whether it is the first card, the one firmware uses.", "是否为固件使用的主显卡。", YES_NO, guest=True
    )
    blob: bool | None = f.attr(
        "Whether guest and host share buffers without copying.",
        "客户机与主机是否免拷贝共享缓冲区。",
        ON_OFF,
        guest=True,
    )
    acceleration: Acceleration | None = f.child("Help of the host's card.", "主机显卡加速。", Acceleration)
    resolution: Resolution | None = f.child("The size it proposes.", "建议的分辨率。", Resolution)


@element("video", "显卡")
class Video(Device):
    """A graphics card of the guest."""

    driver: VideoDriver | None = f.child("Who does its work.", "由谁实现。", VideoDriver, keep_empty=False)
    model: VideoModel | None = f.child("The card and its memory.", "型号与显存。", VideoModel)

    @property
    def kind(self) -> str:
        """The card's type, empty while it is open."""
        return (self.model.type if self.model is not None else None) or ""


def default_model(facts: Facts) -> str | None:
    """Name the card for a machine whose owner named none."""
    return facts.usual(facts.board.video)


def arrange(cards: list[Video], c: Completion) -> None:
    """Put the primary card first and mark it alone; the first one where none is marked."""
    marked = [card for card in cards if card.model is not None and card.model.primary]
    if len(marked) > 1:
        c.problem(marked[1], "there is more than one primary card", "one <model primary='yes'/>", "model/@primary")
    if marked and cards[0] is not marked[0]:
        cards.remove(marked[0])
        cards.insert(0, marked[0])
    for card in cards:
        if card.model is None:
            card.model = VideoModel()
        if card is not cards[0] or card.kind == "none":
            card.model.primary = None
    if cards and not marked and cards[0].kind != "none" and cards[0].model is not None:
        c.default(cards[0].model, "primary", True, "the first card is the one firmware uses", "第一块显卡由固件使用")


def defaults(video: Video, c: Completion) -> None:
    """Fill in the card and the sizes of its memory."""
    if video.model is None:
        video.model = VideoModel()
    model = video.model
    if model.type is None:
        kind = default_model(c)
        if kind is not None:
            c.default(
                model, "type", kind, f"the usual card of {c.arch} {c.machine}", f"{c.arch} {c.machine} 的常用显卡"
            )
    if model.type == "none":
        slots = [field.slot for field in model.shape.fields if field.slot != "type"]
        omit(model, slots, c, "there is no card", "没有显卡")
        return
    if not model.heads:
        c.default(model, "heads", 1, "one screen, unless more are asked for", "未指定时为一个屏幕")
    _memory(model, c)


def _memory(model: VideoModel, c: Completion) -> None:
    usual: dict[str, int] = {}
    if model.type == "qxl":
        usual = {"ram": 65536, "vram": 65536, "vgamem": 16384}
    elif model.type in _SIZED:
        usual = {"vram": 16384}
    for slot, size in usual.items():
        if not getattr(model, slot):
            c.default(model, slot, size, f"the usual size for {model.type}", f"{model.type} 的常用大小")
    for slot in ("ram", "vram", "vram64", "vgamem"):
        given = getattr(model, slot)
        if given == 0:
            setattr(model, slot, None)
        elif given is not None and given & (given - 1) and slot in ("ram", "vram") and given < _MOST:
            c.default(model, slot, 1 << given.bit_length(), "memory bars are powers of two", "内存块大小须为 2 的幂")


def check(video: Video, c: Completion) -> None:
    """Find what cannot be."""
    model = video.model or VideoModel()
    kind = video.kind
    if not kind or not _exists(kind, c):
        accepted = ", ".join(word for word in TYPES if _exists(word, c))
        c.problem(model, f"video model '{kind}' does not exist in this emulator", accepted, "@type")
        return
    for slot in ("ram", "vram", "vram64", "vgamem"):
        size = getattr(model, slot)
        if size is not None and size > _MOST:
            c.problem(model, f"attribute '{slot}' has the value '{size}'", f"{_MOST} KiB at most", f"@{slot}")
    for slot in ("ram", "vram64", "vgamem"):
        if getattr(model, slot) is not None and kind != "qxl":
            c.problem(model, f"attribute '{slot}' is only for a card of type 'qxl'", "type='qxl'", f"@{slot}")
    for slot in ("vram",) if kind in ("vga", "vmvga") else ("vgamem",):
        size = getattr(model, slot)
        if size is not None and size < 1024:
            c.problem(model, f"attribute '{slot}' has the value '{size}'", "1024 KiB or more", f"@{slot}")
        elif slot == "vgamem" and size is not None and size & (size - 1):
            c.problem(model, f"attribute 'vgamem' has the value '{size}'", "a power of two", "@vgamem")
    if (model.heads or 1) > 1 and kind not in ("qxl", "virtio"):
        c.problem(
            model, f"a card of type '{kind}' has one screen, not 'heads' of {model.heads}", "qxl, virtio", "@heads"
        )
    if model.resolution is not None and kind not in _SCALED:
        c.problem(model.resolution, f"a card of type '{kind}' has no 'resolution' to propose", ", ".join(_SCALED))
    elif model.resolution is not None and None in (model.resolution.x, model.resolution.y):
        c.problem(model.resolution, "element 'resolution' needs the attributes 'x' and 'y'", "x='…' y='…'")
    if model.blob is not None and kind != "virtio":
        c.problem(model, f"a card of type '{kind}' has no 'blob' buffers", "type='virtio'", "@blob")
    _check_driver(video, model, kind, c)


def _check_driver(video: Video, model: VideoModel, kind: str, c: Completion) -> None:
    driver, help_ = video.driver, model.acceleration
    process = driver is not None and driver.name == "vhostuser"
    if process and kind != "virtio":
        c.problem(driver, f"driver 'vhostuser' is not for a card of type '{kind}'", "type='virtio'", "@name")
    if driver is not None and kind != "virtio":
        for slot in ("iommu", "ats", "packed", "page_per_vq"):
            if getattr(driver, slot) is not None:
                c.problem(driver, f"attribute '{slot}' is only for virtio devices", "type='virtio'", f"@{slot}")
    if help_ is not None:
        if help_.accel2d:
            c.problem(help_, "'accel2d' is not what QEMU's cards have", "accel3d='yes'", "@accel2d")
        if help_.accel3d and kind != "virtio":
            c.problem(help_, f"a card of type '{kind}' has no 3d acceleration", "type='virtio'", "@accel3d")
        if help_.rendernode is not None and not process:
            c.problem(help_, "attribute 'rendernode' is only for the driver 'vhostuser'", "", "@rendernode")
        if (help_.accel2d, help_.accel3d, help_.rendernode) == (None, None, None):
            c.problem(help_, "element 'acceleration' says nothing", "accel3d='yes'")
    if kind == "ramfb" and video.address is not None:
        c.problem(video.address, "a card of type 'ramfb' has no address", "no <address>")


def _exists(kind: str, facts: Facts) -> bool:
    if kind == "none":
        return True
    if kind == "virtio":
        return any(facts.caps.has_device(f"virtio-gpu-{bus}") for bus in ("pci", "ccw", "device"))
    return kind in _FIRST and facts.caps.has_device(_FIRST[kind])


def check_together(cards: list[Video], c: Completion) -> None:
    """Find cards that cannot stand together; called when `arrange` and `defaults` are done."""
    for card in cards[1:] if len(cards) > 1 else ():
        if "none" in (card.kind, cards[0].kind):
            c.problem(card, "a card of type 'none' must be the only one", "one <video>")
        elif card.kind not in ("qxl", "virtio"):
            c.problem(card, f"a card of type '{card.kind}' can only be the primary one", "qxl, virtio", "model/@type")


def place(video: Video, facts: Facts) -> Want | None:
    """Ask for a PCI slot; ramfb and no card at all need none."""
    if video.kind in ("ramfb", "none"):
        return None
    if video.kind == "virtio":
        return want_virtio(video, facts)
    if video.kind == "bochs":
        return want_card(facts)
    return want_legacy()


def special_slot(video: Video, facts: Facts) -> PciAddress | None:
    """Say where the primary card stands on PCs: slot 2 of an i440FX, slot 1 of a Q35."""
    slot = 2 if facts.i440fx else 1 if facts.q35 else None
    if slot is None or video.model is None or not video.model.primary or place(video, facts) is None:
        return None
    return PciAddress(domain=0, bus=0, slot=slot, function=0)


def plan(video: Video, p: Planning) -> Iterator[Item | Need]:
    """Ask for the card; a vhost-user card is reached through a socket."""
    model = video.model or VideoModel()
    kind = video.kind
    if kind in ("", "none"):
        return
    name, origin = alias_of(video), p.origin(video)
    props: dict[str, Any] = {"driver": _driver(video, model, p)}
    if kind == "virtio" and props["driver"] != "vhost-user-vga":
        props |= virtio_props(video.driver)
    props["id"] = name
    if kind == "qxl":
        props |= {
            "max_outputs": model.heads,
            "ram_size": (model.ram or 0) * 1024,
            "vram_size": (model.vram or 0) * 1024,
            "vram64_size_mb": (model.vram64 or 0) // 1024,
            "vgamem_mb": (model.vgamem or 0) // 1024,
        }
    elif kind == "virtio":
        props |= {"max_outputs": model.heads, "blob": model.blob}
        if _by_process(video):
            socket = (("", "socket"), ("id", f"chr-vu-{name}"), ("fd", f"{{fd:vhost-user-gpu-{name}}}"))
            yield _process(model, name, origin)
            yield Keyed("-chardev", socket, origin=origin)
            props["chardev"] = f"chr-vu-{name}"
    elif kind in ("vga", "vmvga"):
        props["vgamem_mb"] = (model.vram or 0) // 1024
    elif kind == "bochs":
        props["vgamem"] = (model.vram or 0) * 1024
    if model.resolution is not None:
        props |= {"xres": model.resolution.x, "yres": model.resolution.y}
    yield Structured("device", {**props, **where(video, p)}, origin=origin)


def _process(model: VideoModel, name: str, origin: str) -> Helper:
    """Ask for the process that draws; it and QEMU are connected before either starts."""
    argv = ["vhost-user-gpu", "--fd={fd:socket}"]
    if model.acceleration is not None and model.acceleration.accel3d:
        argv.append("--virgl")
        if model.acceleration.rendernode is not None:
            argv.append(f"--render-node={model.acceleration.rendernode}")
    token = f"vhost-user-gpu-{name}"
    return Helper(token, tuple(argv), "", token=token, origin=origin)


def _by_process(video: Video) -> bool:
    return video.driver is not None and video.driver.name == "vhostuser"


def _driver(video: Video, model: VideoModel, p: Planning) -> str:
    kind = video.kind
    caps = p.caps
    if kind != "virtio":
        return "qxl" if kind == "qxl" and not model.primary else _FIRST[kind]
    first = bool(model.primary) and not isinstance(video.address, CcwAddress)
    if _by_process(video):
        vga = first and caps.has_device("vhost-user-vga")
        return "vhost-user-vga" if vga else virtio_driver("vhost-user-gpu", video)
    help_ = model.acceleration
    gl = help_ is not None and bool(help_.accel3d)
    if first and caps.has_device("virtio-vga"):
        return "virtio-vga-gl" if gl and caps.has_device("virtio-vga-gl") else "virtio-vga"
    return virtio_driver("virtio-gpu-gl" if gl and caps.has_device("virtio-gpu-gl-device") else "virtio-gpu", video)


FAMILY = Family(
    element=Video, defaults=defaults, check=check, place=place, alias=lambda d, i, p: f"video{i}", plan=plan
)
