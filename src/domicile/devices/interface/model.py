"""What an interface element may say. Used by the other files of this slice."""

from __future__ import annotations

from typing import Any

from domicile.devices.interface.filterref import FilterRef
from domicile.devices.interface.ip import Ip, PortForward, Route
from domicile.devices.interface.port import VirtualPort, Vlan
from domicile.devices.parts.chardev import Reconnect
from domicile.devices.parts.device import Device, VirtioOptions
from domicile.schema import field as f
from domicile.schema.scalar import FILLED, MAC, ON_OFF, PUINT, UINT, ULONG, YES_NO, enum, hexadecimal
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
    domain: int | None = f.attr("The PCI domain.", "PCI 域。", hexadecimal(4, 0xFFFFFFFF))
    bus: int | None = f.attr("The bus.", "总线。", hexadecimal(2, 0xFF))
    slot: int | None = f.attr("The slot.", "插槽。", hexadecimal(2, 0xFF))
    function: int | None = f.attr("The function.", "功能号。", hexadecimal(1, 7))


@element("local", "本地端")
class LocalEnd(Element):
    """The local end of a UDP tunnel."""

    address: str | None = f.attr("Its address.", "地址。", FILLED)
    port: int | None = f.attr("Its port.", "端口。", PUINT)


@element("source", "网络的来源")
class InterfaceSource(Element):
    """What the interface is connected to on the host."""

    network: str | None = f.attr("The virtual network.", "虚拟网络。", FILLED)
    portgroup: str | None = f.attr("The network's group of settings.", "网络的设置分组。")
    portid: str | None = f.attr("The port of the network, while it runs.", "运行期间所用的网络端口。")
    bridge: str | None = f.attr("The host's bridge.", "主机的网桥。", FILLED)
    dev: str | None = f.attr("The host's device.", "主机的网络设备。", FILLED)
    type: str | None = f.attr(
        "The kind of socket of a vhost-user interface.", "vhost-user 套接字的种类。", enum("unix")
    )
    path: str | None = f.attr("The socket.", "套接字路径。")
    mode: str | None = f.attr(
        "How a macvtap shares its device, or who listens on a socket.", "macvtap 的共享方式，或由谁监听套接字。"
    )
    address: str | None = f.attr("The address of a tunnel.", "隧道地址。", FILLED)
    port: int | None = f.attr("The port of a tunnel.", "隧道端口。", PUINT)
    name: str | None = f.attr("The internal network.", "内部网络。")
    local: LocalEnd | None = f.child("The local end of a tunnel.", "隧道本地端。", LocalEnd)
    reconnect: Reconnect | None = f.child("How a lost socket is tried again.", "套接字断开后如何重连。", Reconnect)
    hostaddress: SourceAddress | None = f.child(
        "The host's PCI device.", "主机的 PCI 设备。", SourceAddress, name="address"
    )
    ip: list[Ip] = f.children("Addresses of the host's end.", "主机端的地址。", Ip)
    route: list[Route] = f.children("Routes of the host's end.", "主机端的路由。", Route)


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
    vlan: Vlan | None = f.child("The VLANs it is on.", "所在的 VLAN。", Vlan)
    virtualport: VirtualPort | None = f.child("The switch port it becomes.", "交换机端口。", VirtualPort)
    bandwidth: Bandwidth | None = f.child("Limits on its traffic.", "带宽限制。", Bandwidth)
    port: PortIsolation | None = f.child("Isolation from other ports.", "端口隔离。", PortIsolation)
    ip: list[Ip] = f.children("Addresses of the guest's end.", "客户机端的地址。", Ip)
    route: list[Route] = f.children("Routes of the guest's end.", "客户机端的路由。", Route)
    portForward: list[PortForward] = f.children("Host ports passt hands on.", "passt 转发的主机端口。", PortForward)
    script: Script | None = f.child(
        "What the host runs when it comes up.", "接口启用时主机运行的脚本。", Script, keep_empty=False
    )
    downscript: Script | None = f.child(
        "What the host runs when it goes down.", "接口停用时主机运行的脚本。", Script, keep_empty=False
    )
    backenddomain: Any = f.raw("Kept for Xen.", "为 Xen 保留。")
    target: InterfaceTarget | None = f.child("Its end on the host.", "主机侧的一端。", InterfaceTarget)
    guest: GuestEnd | None = f.child("What a container calls it.", "容器内的名称。", GuestEnd)
    model: InterfaceModel | None = f.child("The card the guest sees.", "客户机看到的型号。", InterfaceModel)
    driver: InterfaceDriver | None = f.child("How packets are moved.", "驱动选项。", InterfaceDriver, keep_empty=False)
    backend: InterfaceBackend | None = f.child("The host's side.", "后端。", InterfaceBackend, keep_empty=False)
    filterref: FilterRef | None = f.child("The filter its packets pass.", "数据包过滤器。", FilterRef, effect="live")
    tune: Tune | None = f.child("The host's tuning.", "主机侧调优。", Tune)
    link: Link | None = f.child("The virtual cable.", "链路状态。", Link, keep_empty=False)
    mtu: Mtu | None = f.child("The largest packet.", "最大传输单元。", Mtu)
    teaming: Teaming | None = f.child("A partner card.", "主备组合。", Teaming)
    coalesce: Any = f.raw("How interrupts are gathered.", "中断合并。")


#: Cards that are part of a board.
BUILT_IN = ("lan9118", "smc91c111")


def is_virtio(interface: Interface) -> bool:
    """Say whether the card speaks virtio."""
    model = interface.model.type if interface.model is not None else None
    return model in ("virtio", "virtio-transitional", "virtio-non-transitional")
