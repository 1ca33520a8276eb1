"""What a network document may say, in libvirt's order of writing."""

from __future__ import annotations

from typing import Any

from domicile.base.errors import CONFIG_UNSUPPORTED, INTERNAL_ERROR, NO_NAME, XML_DETAIL
from domicile.devices.interface.model import Bandwidth, Mtu, PortIsolation
from domicile.devices.interface.port import VirtualPort, Vlan
from domicile.networks.scalars import HARDWARE, IP, IPV4, PREFIX
from domicile.schema import field as f
from domicile.schema.scalar import FILLED, MAC, NAME, UINT, ULONG, UUID, YES_NO, enum, hexadecimal, integer
from domicile.schema.shape import Element, element

#: The namespace of options that are handed to dnsmasq as they are.
DNSMASQ = "http://libvirt.org/schemas/network/dnsmasq/1.0"
MODES = ("nat", "route", "open", "bridge", "private", "vepa", "passthrough", "hostdev")
PORT = integer(1, 65535)


@element("driver", "设备驱动")
class ForwardDriver(Element):
    """The host's driver of lent devices."""

    name: str | None = f.attr("The driver.", "驱动名称。", enum("vfio", "kvm", "xen"))
    model: str | None = f.attr("Its variant.", "驱动的变体。")


@element("address", "地址范围")
class AddressRange(Element):
    """The addresses guests appear with outside."""

    start: str | None = f.attr("The first.", "起始地址。", IP)
    end: str | None = f.attr("The last.", "结束地址。", IP)


@element("port", "端口范围")
class PortRange(Element):
    """The ports guests appear with outside."""

    start: int | None = f.attr("The first.", "起始端口。", PORT)
    end: int | None = f.attr("The last.", "结束端口。", PORT)


@element("nat", "地址转换")
class Nat(Element):
    """How addresses are translated."""

    ipv6: bool | None = f.attr("Whether IPv6 is translated as well.", "是否也转换 IPv6。", YES_NO)
    address: AddressRange | None = f.child("The addresses used outside.", "对外使用的地址。", AddressRange)
    port: PortRange | None = f.child("The ports used outside.", "对外使用的端口。", PortRange)


@element("pf", "物理功能")
class PhysicalFunction(Element):
    """The host's device whose virtual functions are lent."""

    dev: str | None = f.attr("Its name.", "设备名。", FILLED)


@element("interface", "主机接口")
class ForwardInterface(Element):
    """A device of the host that is used."""

    dev: str | None = f.attr("Its name.", "设备名。", FILLED)
    connections: int | None = f.attr("How many guests use it now.", "当前使用它的客户机数。", UINT)


@element("address", "主机 PCI 设备")
class ForwardAddress(Element):
    """A virtual function by its place on the PCI bus."""

    type: str | None = f.attr("The kind of address.", "地址的种类。", enum("pci"))
    domain: int | None = f.attr("The PCI domain.", "PCI 域。", hexadecimal(4, 0xFFFFFFFF))
    bus: int | None = f.attr("The bus.", "总线。", hexadecimal(2, 0xFF))
    slot: int | None = f.attr("The slot.", "插槽。", hexadecimal(2, 0x1F))
    function: int | None = f.attr("The function.", "功能号。", hexadecimal(1, 7))
    connections: int | None = f.attr("How many guests use it now.", "当前使用它的客户机数。", UINT)


@element("forward", "对外连接")
class Forward(Element):
    """How guests reach what lies outside."""

    dev: str | None = f.attr("The only device traffic leaves by.", "流量只经由的设备。", FILLED)
    mode: str | None = f.attr("The way.", "连接方式。", enum(*MODES), code=CONFIG_UNSUPPORTED)
    managed: bool | None = f.attr(
        "Whether devices are detached from the host by themselves.", "是否自动与主机分离。", YES_NO
    )
    driver: ForwardDriver | None = f.child("The driver of lent devices.", "出借设备的驱动。", ForwardDriver)
    nat: Nat | None = f.child("How addresses are translated.", "地址如何转换。", Nat)
    pf: list[PhysicalFunction] = f.children(
        "The device whose functions are lent.", "出借其虚拟功能的设备。", PhysicalFunction
    )
    interface: list[ForwardInterface] = f.children("A device that is used.", "使用的设备。", ForwardInterface)
    address: list[ForwardAddress] = f.children("A virtual function.", "虚拟功能。", ForwardAddress)


@element("bridge", "网桥")
class Bridge(Element):
    """The bridge guests are connected to."""

    name: str | None = f.attr("Its name on the host.", "主机上的名称。")
    zone: str | None = f.attr("The zone of firewalld it is put in.", "所属的 firewalld 区域。")
    stp: str | None = f.attr("Whether it speaks the spanning tree protocol.", "是否启用生成树协议。")
    delay: int | None = f.attr("Seconds before a new port forwards.", "新端口开始转发前的秒数。", ULONG)
    macTableManager: str | None = f.attr(
        "Who fills its table of addresses.", "由谁维护地址表。", enum("kernel", "libvirt")
    )


@element("mac", "网桥的 MAC 地址")
class BridgeMac(Element):
    """The hardware address of the bridge."""

    address: str | None = f.attr("The address.", "地址。", MAC)


@element("domain", "DNS 域")
class DnsDomain(Element):
    """The name guests' names end with."""

    name: str | None = f.attr("The domain.", "域名。", FILLED)
    localOnly: bool | None = f.attr(
        "Whether unknown names of it are never asked for outside.", "未知名称是否不向外查询。", YES_NO
    )
    register: bool | None = f.attr("Whether the host's resolver learns of it.", "是否登记到主机的解析器。", YES_NO)


@element("forwarder", "上游 DNS")
class Forwarder(Element):
    """A name server that questions go to."""

    domain: str | None = f.attr("Only questions about this domain.", "仅限该域的查询。", FILLED)
    addr: str | None = f.attr("The server.", "服务器地址。", IP)
    port: int | None = f.attr("Its port.", "端口。", PORT)


@element("txt", "TXT 记录")
class Txt(Element):
    """A text record."""

    name: str | None = f.attr("The name it belongs to.", "所属名称。", FILLED)
    value: str | None = f.attr("The text.", "文本。")


@element("srv", "SRV 记录")
class Srv(Element):
    """A record of a service."""

    service: str | None = f.attr("The service.", "服务名。", FILLED)
    protocol: str | None = f.attr("Its protocol.", "协议。", FILLED)
    domain: str | None = f.attr("The domain it is in.", "所在的域。")
    target: str | None = f.attr("The host that offers it.", "提供服务的主机。")
    port: int | None = f.attr("Its port there.", "端口。", PORT)
    priority: int | None = f.attr("Lower ones are tried first.", "数值小者优先。", integer(0, 65535))
    weight: int | None = f.attr("Its share among equals.", "同级之间的权重。", integer(0, 65535))


@element("host", "DNS 主机记录")
class DnsHost(Element):
    """Names of an address."""

    ip: str | None = f.attr("The address.", "地址。", IP)
    hostname: list[str] = f.leaves("A name of it.", "名称。", FILLED)


@element("dns", "DNS 服务")
class Dns(Element):
    """The name server guests are offered."""

    enable: bool | None = f.attr("Whether there is one.", "是否启用。", YES_NO)
    forwardPlainNames: bool | None = f.attr(
        "Whether names without a dot are asked for outside.", "是否向外查询不带点的名称。", YES_NO
    )
    forwarder: list[Forwarder] = f.children("A server to ask.", "上游服务器。", Forwarder)
    txt: list[Txt] = f.children("A text record.", "TXT 记录。", Txt)
    srv: list[Srv] = f.children("A service record.", "SRV 记录。", Srv)
    host: list[DnsHost] = f.children("Names of an address.", "地址的名称。", DnsHost)


@element("lease", "租期")
class Lease(Element):
    """How long an address is lent."""

    expiry: int | None = f.attr("The time; 0 is for ever.", "时长；0 表示永久。", ULONG)
    unit: str | None = f.attr(
        "Its unit, minutes by default.", "单位，默认为分钟。", enum("seconds", "minutes", "hours")
    )


@element("range", "地址池")
class DhcpRange(Element):
    """Addresses that are given to whoever asks."""

    start: str | None = f.attr("The first.", "起始地址。", IP)
    end: str | None = f.attr("The last.", "结束地址。", IP)
    lease: Lease | None = f.child("For how long.", "租期。", Lease)


@element("host", "固定分配")
class DhcpHost(Element):
    """An address that is kept for one guest."""

    mac: str | None = f.attr("The guest's hardware address.", "客户机的 MAC 地址。", HARDWARE)
    id: str | None = f.attr("The guest's DHCPv6 identifier.", "客户机的 DHCPv6 标识。", FILLED)
    name: str | None = f.attr("The name it is given.", "分配的主机名。")
    ip: str | None = f.attr("The address.", "地址。", IP)
    lease: Lease | None = f.child("For how long.", "租期。", Lease)


@element("bootp", "网络启动")
class Bootp(Element):
    """What guests boot from the network."""

    file: str | None = f.attr("The file.", "启动文件。", FILLED)
    server: str | None = f.attr("The server, this network's own by default.", "服务器，默认为本网络。", FILLED)


@element("dhcp", "DHCP 服务")
class Dhcp(Element):
    """How guests get addresses."""

    range: list[DhcpRange] = f.children("Addresses for everybody.", "地址池。", DhcpRange)
    host: list[DhcpHost] = f.children("An address for one.", "固定分配。", DhcpHost)
    bootp: Bootp | None = f.child("What they boot.", "网络启动。", Bootp)


@element("tftp", "TFTP 服务")
class Tftp(Element):
    """Files offered for booting."""

    root: str | None = f.attr("The folder.", "目录。", FILLED)


@element("ip", "主机在网络中的地址", spread=True)
class NetworkIp(Element):
    """An address of the host in this network."""

    family: str | None = f.attr("The family.", "地址族。", enum("ipv4", "ipv6"))
    address: str | None = f.attr("The address.", "地址。", IP)
    netmask: str | None = f.attr("The mask of the network.", "子网掩码。", IPV4)
    prefix: int | None = f.attr("The bits that are the network's.", "前缀长度。", PREFIX)
    localPtr: bool | None = f.attr("Whether reverse questions stay here.", "反向查询是否留在本地。", YES_NO)
    tftp: Tftp | None = f.child("Files for booting.", "启动文件。", Tftp, keep_empty=False)
    dhcp: Dhcp | None = f.child("How guests get addresses.", "DHCP 服务。", Dhcp, keep_empty=False)


@element("route", "静态路由")
class NetworkRoute(Element):
    """A network the host reaches through a guest."""

    family: str | None = f.attr("The family.", "地址族。", enum("ipv4", "ipv6"))
    address: str | None = f.attr("The network.", "网络地址。", IP)
    netmask: str | None = f.attr("Its mask.", "子网掩码。", IPV4)
    prefix: int | None = f.attr("Its prefix.", "前缀长度。", PREFIX)
    gateway: str | None = f.attr("The guest.", "作为网关的客户机。", IP)
    metric: int | None = f.attr("Lower ones are preferred.", "数值小者优先。", UINT)


@element("portgroup", "端口组", spread=True)
class PortGroup(Element):
    """Settings that guests' interfaces may share."""

    name: str | None = f.attr("Its name.", "名称。", FILLED)
    default: bool | None = f.attr("Whether those without a group get it.", "是否为默认组。", YES_NO)
    trustGuestRxFilters: bool | None = f.attr(
        "Whether the host follows the guest's filters.", "是否信任客户机的接收过滤。", YES_NO
    )
    vlan: Vlan | None = f.child("VLANs.", "VLAN。", Vlan)
    virtualport: VirtualPort | None = f.child("The switch port.", "交换机端口。", VirtualPort)
    bandwidth: Bandwidth | None = f.child("Limits.", "带宽限制。", Bandwidth)


@element("network", "虚拟网络", identity=("uuid",))
class Network(Element):
    """A virtual network."""

    connections: int | None = f.attr("How many guests are connected now.", "当前连接的客户机数。", UINT)
    ipv6: bool | None = f.attr(
        "Whether guests may speak IPv6 with each other though the host has no address.",
        "主机无 IPv6 地址时客户机之间能否用 IPv6。",
        YES_NO,
    )
    trustGuestRxFilters: bool | None = f.attr(
        "Whether the host follows the guests' filters.", "是否信任客户机的接收过滤。", YES_NO
    )
    name: str | None = f.leaf("Its name.", "名称。", NAME, code=XML_DETAIL, empty_code=NO_NAME)
    uuid: str | None = f.leaf("Its identity.", "标识。", UUID, code=INTERNAL_ERROR)
    title: str | None = f.leaf("A short title for people.", "供人阅读的短标题。")
    description: str | None = f.leaf("What it is for.", "用途说明。")
    metadata: Any = f.raw("What other programs note here.", "其他程序的记录。", foreign=True)
    forward: Forward | None = f.child("How guests reach what lies outside.", "对外连接方式。", Forward)
    bridge: Bridge | None = f.child("The bridge.", "网桥。", Bridge)
    mtu: Mtu | None = f.child("The size of packets.", "最大传输单元。", Mtu)
    mac: BridgeMac | None = f.child("The bridge's hardware address.", "网桥的 MAC 地址。", BridgeMac)
    domain: DnsDomain | None = f.child("The domain of names.", "DNS 域。", DnsDomain)
    dns: Dns | None = f.child("The name server.", "DNS 服务。", Dns, keep_empty=False)
    vlan: Vlan | None = f.child("VLANs of all guests.", "所有客户机的 VLAN。", Vlan)
    bandwidth: Bandwidth | None = f.child("Limits on the whole network.", "整个网络的带宽限制。", Bandwidth)
    port: PortIsolation | None = f.child("Whether guests are kept apart.", "客户机之间是否隔离。", PortIsolation)
    ip: list[NetworkIp] = f.children("An address of the host.", "主机的地址。", NetworkIp)
    route: list[NetworkRoute] = f.children("A route through a guest.", "静态路由。", NetworkRoute)
    virtualport: VirtualPort | None = f.child("The switch port of all guests.", "所有客户机的交换机端口。", VirtualPort)
    portgroup: list[PortGroup] = f.children("Settings to share.", "端口组。", PortGroup)
    options: Any = f.raw("Lines for dnsmasq.", "dnsmasq 的配置行。", name=f"{{{DNSMASQ}}}options")

    @property
    def mode(self) -> str:
        """How it reaches what lies outside; empty for an isolated network."""
        return "" if self.forward is None else self.forward.mode or "nat"

    @property
    def own_bridge(self) -> bool:
        """Whether the bridge is made for this network."""
        return self.mode in ("", "nat", "route", "open")
