"""Network interfaces. Used through `FAMILY` in devices/__init__."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from domicile.devices.family import Family
from domicile.devices.parts.bus import alias_of, virtio_driver, virtio_props, want_legacy, want_virtio, where
from domicile.devices.parts.device import CcwAddress, Device, VirtioOptions
from domicile.plan.facts import Completion, Facts, Planning
from domicile.plan.need import Need, Tap
from domicile.plan.place import Want, WantUsb
from domicile.plan.qemu import Command, Item, Structured
from domicile.schema import field as f
from domicile.schema.scalar import FILLED, MAC, ON_OFF, PUINT, UINT, ULONG, YES_NO, enum
from domicile.schema.shape import Element, element

TYPES = (
    "bridge",
    "user",
    "network",
    "ethernet",
    "direct",
    "hostdev",
    "vhostuser",
    "server",
    "client",
    "mcast",
    "udp",
    "internal",
    "vdpa",
    "null",
    "vds",
)
_MODEL_WORD = re.compile(r"[a-zA-Z0-9_-]+\Z")


@element("mac", "MAC 地址")
class Mac(Element):
    """The card's hardware address."""

    address: str | None = f.attr(
        "Six bytes; a unicast address.", "六个字节的单播地址。", MAC, effect="never", guest=True
    )
    type: str | None = f.attr(
        "How it was given, kept for VMware.", "来源方式，为 VMware 保留。", enum("generated", "static")
    )
    check: str | None = f.attr("Whether VMware checks it.", "VMware 是否检查。", YES_NO)


@element("address", "主机设备地址")
class SourceAddress(Element):
    """The host's device behind the interface."""

    type: str | None = f.attr("The kind of address.", "地址的种类。", enum("pci", "usb"))
    domain: str | None = f.attr("The PCI domain.", "PCI 域。")
    bus: str | None = f.attr("The bus.", "总线。")
    slot: str | None = f.attr("The slot.", "插槽。")
    function: str | None = f.attr("The function.", "功能号。")


@element("local", "本地端")
class LocalEnd(Element):
    """The local end of a UDP tunnel."""

    address: str | None = f.attr("Its address.", "地址。", FILLED)
    port: int | None = f.attr("Its port.", "端口。", PUINT)


@element("ip", "IP 地址")
class Ip(Element):
    """An IP address."""

    address: str | None = f.attr("The address.", "地址。", FILLED)
    family: str | None = f.attr("Which kind of IP.", "IP 的种类。", enum("ipv4", "ipv6"))
    prefix: int | None = f.attr("How many bits name the network.", "网络前缀位数。", UINT)
    peer: str | None = f.attr("The other end of a point-to-point link.", "点对点链路的对端。")


@element("source", "网络的来源")
class InterfaceSource(Element):
    """What the interface is connected to on the host."""

    network: str | None = f.attr("The virtual network.", "虚拟网络。", FILLED)
    portgroup: str | None = f.attr("The network's group of settings.", "网络的设置分组。")
    bridge: str | None = f.attr("The host's bridge.", "主机的网桥。", FILLED)
    dev: str | None = f.attr("The host's device.", "主机的网络设备。", FILLED)
    mode: str | None = f.attr(
        "How a macvtap shares its device, or who listens on a socket.", "macvtap 的共享方式，或由谁监听套接字。"
    )
    type: str | None = f.attr(
        "The kind of socket of a vhost-user interface.", "vhost-user 套接字的种类。", enum("unix")
    )
    path: str | None = f.attr("The socket.", "套接字路径。")
    address: str | None = f.attr("The address of a tunnel.", "隧道地址。", FILLED)
    port: int | None = f.attr("The port of a tunnel.", "隧道端口。", PUINT)
    name: str | None = f.attr("The internal network.", "内部网络。")
    local: LocalEnd | None = f.child("The local end of a tunnel.", "隧道本地端。", LocalEnd)
    reconnect: Any = f.raw("How a lost socket is tried again.", "套接字断开后如何重连。")
    hostaddress: SourceAddress | None = f.child(
        "The host's PCI device.", "主机的 PCI 设备。", SourceAddress, name="address"
    )
    ip: list[Ip] = f.children("Addresses of the host's end.", "主机端的地址。", Ip)


@element("target", "主机侧接口")
class InterfaceTarget(Element):
    """The interface's end on the host."""

    dev: str | None = f.attr(
        "Its name; vnet… names are given anew at each start.", "名称；vnet… 名称每次启动重新分配。", FILLED
    )
    managed: bool | None = f.attr(
        "Whether it is made and removed with the machine.", "是否随虚拟机创建与删除。", YES_NO
    )


@element("model", "网卡型号")
class InterfaceModel(Element):
    """The card the guest sees."""

    type: str | None = f.attr(
        "Its name, such as virtio, e1000e or rtl8139.", "名称，如 virtio、e1000e、rtl8139。", FILLED, guest=True
    )


@element("host", "主机侧卸载功能")
class Offloads(Element):
    """Which work the card takes off one side."""

    csum: bool | None = f.attr("Checksums.", "校验和。", ON_OFF, guest=True)
    gso: bool | None = f.attr("Generic segmentation.", "通用分段。", ON_OFF, guest=True)
    tso4: bool | None = f.attr("TCP segmentation for IPv4.", "IPv4 的 TCP 分段。", ON_OFF, guest=True)
    tso6: bool | None = f.attr("TCP segmentation for IPv6.", "IPv6 的 TCP 分段。", ON_OFF, guest=True)
    ecn: bool | None = f.attr("Explicit congestion notification.", "显式拥塞通知。", ON_OFF, guest=True)
    ufo: bool | None = f.attr("UDP fragmentation.", "UDP 分片。", ON_OFF, guest=True)
    mrg_rxbuf: bool | None = f.attr("Merging of receive buffers.", "合并接收缓冲。", ON_OFF, guest=True)


@element("driver", "网卡驱动选项")
class InterfaceDriver(VirtioOptions):
    """How the host moves packets."""

    name: str | None = f.attr(
        "Who moves them: the kernel or QEMU.", "由内核还是 QEMU 转发。", enum("vhost", "qemu", "vfio", "kvm", "xen")
    )
    txmode: str | None = f.attr("When sending happens.", "何时发送。", enum("iothread", "timer"))
    ioeventfd: bool | None = f.attr(
        "Whether a thread of its own sees the requests.", "是否由独立线程接收请求。", ON_OFF
    )
    event_idx: bool | None = f.attr("Whether notifications are gathered.", "是否合并通知。", ON_OFF)
    queues: int | None = f.attr("How many queue pairs the card has.", "队列对的数目。", UINT, guest=True)
    rx_queue_size: int | None = f.attr("Packets a receive queue holds.", "接收队列的长度。", UINT, guest=True)
    tx_queue_size: int | None = f.attr("Packets a send queue holds.", "发送队列的长度。", UINT, guest=True)
    rss: bool | None = f.attr(
        "Whether packets are spread over the queues.", "是否把包分散到各队列。", ON_OFF, guest=True
    )
    rss_hash_report: bool | None = f.attr(
        "Whether the guest is told the hash.", "是否向客户机报告散列值。", ON_OFF, guest=True
    )
    host: Offloads | None = f.child("What the host may leave undone.", "主机侧的卸载。", Offloads)
    guest: Offloads | None = f.child("What the guest may leave undone.", "客户机侧的卸载。", Offloads)


@element("backend", "后端")
class InterfaceBackend(Element):
    """The host's side of the interface."""

    type: str | None = f.attr("Who does user networking.", "由谁实现用户网络。", enum("default", "passt"))
    tap: str | None = f.attr("The tap device's node.", "tap 设备节点。")
    vhost: str | None = f.attr("The vhost device's node.", "vhost 设备节点。")
    logFile: str | None = f.attr("Where passt logs.", "passt 的日志文件。")
    hostname: str | None = f.attr("The name passt gives to the guest.", "passt 提供给客户机的主机名。")
    fqdn: str | None = f.attr("The full name passt gives to the guest.", "passt 提供的完整域名。")


@element("inbound", "带宽")
class Rate(Element):
    """A limit on traffic."""

    average: int | None = f.attr("KiB a second on average.", "平均每秒 KiB。", ULONG, effect="live")
    peak: int | None = f.attr("KiB a second at most.", "峰值每秒 KiB。", ULONG, effect="live")
    floor: int | None = f.attr("KiB a second at least.", "保证的每秒 KiB。", ULONG, effect="live")
    burst: int | None = f.attr("KiB that may go at peak speed.", "可按峰值发送的 KiB。", ULONG, effect="live")


@element("bandwidth", "带宽限制")
class Bandwidth(Element):
    """Limits on the interface's traffic."""

    inbound: Rate | None = f.child("To the guest.", "发往客户机。", Rate)
    outbound: Rate | None = f.child("From the guest.", "来自客户机。", Rate)


@element("port", "端口隔离")
class PortIsolation(Element):
    """Isolation among the ports of a bridge."""

    isolated: bool | None = f.attr("Whether it reaches no other isolated port.", "是否与其他隔离端口互不可达。", YES_NO)


@element("link", "链路状态")
class Link(Element):
    """The virtual cable."""

    state: str | None = f.attr("Plugged in or not.", "是否插好。", enum("up", "down"), effect="live", guest=True)


@element("mtu", "最大传输单元")
class Mtu(Element):
    """The largest packet."""

    size: int | None = f.attr("Bytes.", "字节数。", UINT, guest=True)


@element("sndbuf", "发送缓冲")
class Tune(Element):
    """The host's tuning of the interface."""

    sndbuf: int | None = f.leaf("Bytes the host holds for the guest.", "主机为客户机保留的发送字节数。", ULONG)


@element("script", "脚本")
class Script(Element):
    """A script the host runs for an interface of type ethernet."""

    path: str | None = f.attr("The program.", "程序路径。", FILLED)


@element("guest", "客户机内的名称")
class GuestEnd(Element):
    """What a container calls the interface."""

    dev: str | None = f.attr("The name wanted.", "期望的名称。")
    actual: str | None = f.attr("The name it got.", "实际名称。")


@element("teaming", "主备组合")
class Teaming(Element):
    """A pair of a virtio card and a passed-through one."""

    type: str | None = f.attr(
        "Which of the two this is.", "两者中的哪一个。", enum("persistent", "transient"), guest=True
    )
    persistent: str | None = f.attr("The alias of the virtio card.", "virtio 网卡的别名。", guest=True)


@element("interface", "网卡", identity=("mac.address",))
class Interface(Device):
    """A network card of the guest and what it is connected to."""

    type: str | None = f.attr("What it is connected to.", "连接到什么。", enum(*TYPES))
    managed: bool | None = f.attr(
        "Whether the host device is taken and given back with the machine.", "主机设备是否随虚拟机接管与归还。", YES_NO
    )
    trustGuestRxFilters: bool | None = f.attr(
        "Whether the guest may change its address and filters.", "是否信任客户机更改地址与过滤。", YES_NO, effect="live"
    )
    mac: Mac | None = f.child("The card's hardware address.", "硬件地址。", Mac)
    source: InterfaceSource | None = f.child(
        "What it is connected to.", "连接对象。", InterfaceSource, keep_empty=False
    )
    vlan: Any = f.raw("The VLANs it is on.", "所在的 VLAN。")
    virtualport: Any = f.raw("The switch port it becomes.", "交换机端口。")
    bandwidth: Bandwidth | None = f.child("Limits on its traffic.", "带宽限制。", Bandwidth)
    port: PortIsolation | None = f.child("Isolation from other ports.", "端口隔离。", PortIsolation)
    ip: list[Ip] = f.children("Addresses of the guest's end.", "客户机端的地址。", Ip)
    route: Any = f.raw("A route of the guest's end.", "客户机端的路由。")
    script: Script | None = f.child("What the host runs when it comes up.", "接口启用时主机运行的脚本。", Script)
    downscript: Script | None = f.child("What the host runs when it goes down.", "接口停用时主机运行的脚本。", Script)
    backenddomain: Any = f.raw("Kept for Xen.", "为 Xen 保留。")
    target: InterfaceTarget | None = f.child("Its end on the host.", "主机侧的一端。", InterfaceTarget)
    guest: GuestEnd | None = f.child("What a container calls it.", "容器内的名称。", GuestEnd)
    model: InterfaceModel | None = f.child("The card the guest sees.", "客户机看到的型号。", InterfaceModel)
    driver: InterfaceDriver | None = f.child("How packets are moved.", "驱动选项。", InterfaceDriver)
    backend: InterfaceBackend | None = f.child("The host's side.", "后端。", InterfaceBackend, keep_empty=False)
    filterref: Any = f.raw("The filter its packets pass.", "数据包过滤器。")
    tune: Tune | None = f.child("The host's tuning.", "主机侧调优。", Tune)
    portForward: Any = f.raw("Host ports passt hands on.", "passt 转发的主机端口。")
    link: Link | None = f.child("The virtual cable.", "链路状态。", Link)
    mtu: Mtu | None = f.child("The largest packet.", "最大传输单元。", Mtu)
    teaming: Teaming | None = f.child("A partner card.", "主备组合。", Teaming)
    coalesce: Any = f.raw("How interrupts are gathered.", "中断合并。")


def defaults(interface: Interface, c: Completion) -> None:
    """Give it an address and a model."""
    if interface.mac is None or interface.mac.address is None:
        c.allocate(
            interface,
            "mac",
            Mac(address=c.host.new_mac()),
            "a random address below QEMU's prefix",
            "在 QEMU 前缀下随机生成的地址",
        )
    if interface.model is None and interface.type not in ("hostdev",):
        model = default_model(c)
        if model is not None:
            c.default(
                interface,
                "model",
                InterfaceModel(type=model),
                "the card this machine type's guests know",
                "此机型的客户机认识的网卡",
            )
    target = interface.target
    if (
        target is not None
        and target.dev is not None
        and target.managed is None
        and target.dev.startswith(("vnet", "macvtap", "macvlan"))
    ):
        interface.target = None


def default_model(facts: Facts) -> str | None:
    """Name the card for a machine whose owner named none."""
    if facts.s390 or facts.arm_virt or facts.riscv_virt or facts.loongarch_virt:
        return "virtio"
    for model in ("rtl8139", "e1000", "virtio"):
        if facts.caps.has_device(model if model != "virtio" else "virtio-net-pci"):
            return model
    return None


def check(interface: Interface, c: Completion) -> None:
    """Find what cannot be."""
    mac = interface.mac.address if interface.mac is not None else None
    if interface.type is None:
        c.problem(interface, "element 'interface' has no attribute 'type'", ", ".join(TYPES), "@type")
    if mac and int(mac[:2], 16) & 1:
        c.problem(
            interface.mac, f"expected unicast mac address, found multicast '{mac}'", "an even first byte", "@address"
        )
    needed = {"bridge": "bridge", "network": "network", "direct": "dev", "vdpa": "dev"}.get(interface.type or "")
    if needed and (interface.source is None or getattr(interface.source, needed) is None):
        c.problem(
            interface,
            f"interface of type '{interface.type}' has no <source> with an attribute '{needed}'",
            f"<source {needed}='…'/>",
            "source",
        )
    model = interface.model.type if interface.model is not None else None
    if model is not None and not _MODEL_WORD.match(model):
        c.problem(
            interface.model,
            f"attribute 'type' of element 'model' has the value '{model}'",
            "a name of letters, digits, - and _",
            "@type",
        )
    if (
        interface.mtu is not None
        and model is not None
        and not model.startswith("virtio")
        and interface.type in ("user",)
    ):
        c.problem(interface.mtu, "an interface of type 'user' has no 'mtu' of its own", "no <mtu>")
    driver = interface.driver
    if driver is not None and driver.name == "vhost" and model is not None and not model.startswith("virtio"):
        c.problem(driver, f"driver 'vhost' is not for model '{model}'", "model virtio", "@name")


def place(interface: Interface, facts: Facts) -> Want | None:
    """Ask for a PCI slot or a USB port."""
    model = interface.model.type if interface.model is not None else None
    if isinstance(interface.address, CcwAddress) or (interface.type == "hostdev" and model is None and facts.s390):
        return None
    if model == "usb-net":
        return WantUsb()
    if model is not None and (model.startswith("virtio") or model in ("e1000e", "igb")):
        return want_virtio(facts, model)
    return want_legacy()


def plan(interface: Interface, p: Planning) -> Iterator[Item | Need]:
    """Ask for the host's end, then for the card."""
    origin = p.origin(interface)
    name = alias_of(interface)
    backend = f"host{name}"
    yield from _backend(interface, name, backend, p, origin)
    model = (interface.model.type if interface.model is not None else None) or "rtl8139"
    virtio = model == "virtio" or (model.startswith("virtio-") and model != "virtio-net-pci")
    props: dict[str, Any] = {"driver": virtio_driver("virtio-net", interface, model) if virtio else model}
    if virtio:
        props |= _virtio(interface)
    props |= {"netdev": backend, "id": name, "mac": interface.mac.address if interface.mac is not None else None}
    props |= where(interface, p)
    props["bootindex"] = p.boot_index(interface)
    props["loadparm"] = interface.boot.loadparm if interface.boot is not None else None
    yield Structured("device", props, origin=origin)
    if interface.link is not None and interface.link.state == "down":
        yield Command("set_link", {"name": name, "up": False}, origin=origin)


def _virtio(interface: Interface) -> dict[str, Any]:
    driver = interface.driver
    props: dict[str, Any] = {}
    if interface.teaming is not None and interface.teaming.type == "persistent":
        props["failover"] = True
    if interface.mtu is not None:
        props["host_mtu"] = interface.mtu.size
    if driver is None:
        return props
    queues = driver.queues or 0
    if driver.txmode is not None:
        props["tx"] = {"iothread": "bh", "timer": "timer"}[driver.txmode]
    props |= {"ioeventfd": driver.ioeventfd, "event_idx": driver.event_idx}
    if queues > 1:
        props |= {"mq": True, "vectors": 2 * queues + 2}
    props |= {"rx_queue_size": driver.rx_queue_size, "tx_queue_size": driver.tx_queue_size}
    props |= {"rss": driver.rss, "hash": driver.rss_hash_report}
    for side, prefix in ((driver.host, "host_"), (driver.guest, "guest_")):
        if side is not None:
            for slot in ("gso", "tso4", "tso6", "ecn", "ufo"):
                props[prefix + slot] = getattr(side, slot)
            props["csum" if prefix == "host_" else "guest_csum"] = side.csum
            if prefix == "host_":
                props["mrg_rxbuf"] = side.mrg_rxbuf
    return {**props, **virtio_props(driver)}


def _backend(interface: Interface, name: str, backend: str, p: Planning, origin: str) -> Iterator[Item | Need]:
    source = interface.source or InterfaceSource()
    kind = interface.type
    if kind == "user":
        net = next((ip for ip in interface.ip if ip.family in (None, "ipv4")), None)
        props: dict[str, Any] = {"type": "user", "id": backend}
        if net is not None and net.address:
            props["net"] = f"{net.address}/{net.prefix or 24}"
        net6 = next((ip for ip in interface.ip if ip.family == "ipv6"), None)
        if net6 is not None:
            props |= {"ipv6-prefix": net6.address, "ipv6-prefixlen": net6.prefix}
        yield Structured("netdev", props, origin=origin)
    elif kind in ("bridge", "network", "ethernet", "direct"):
        yield Tap(
            token=name,
            bridge=source.bridge or "",
            network=source.network or "",
            kind=kind,
            mac=interface.mac.address or "" if interface.mac is not None else "",
            name=interface.target.dev or "" if interface.target is not None else "",
            link_up=interface.link is None or interface.link.state != "down",
            origin=origin,
        )
        yield Structured("netdev", {"type": "tap", "fd": f"{{fd:{name}}}", "id": backend}, origin=origin)
    elif kind in ("server", "client", "mcast", "udp"):
        yield Structured("netdev", {"type": "socket", **_socket(kind, source), "id": backend}, origin=origin)


def _socket(kind: str, source: InterfaceSource) -> dict[str, Any]:
    end = f"{source.address or ''}:{source.port}"
    if kind == "udp":
        local = source.local or LocalEnd()
        return {"udp": end, "localaddr": f"{local.address or ''}:{local.port}"}
    return {{"server": "listen", "client": "connect", "mcast": "mcast"}[kind]: end}


FAMILY = Family(
    element=Interface, defaults=defaults, check=check, place=place, alias=lambda d, i, p: f"net{i}", plan=plan
)
