"""Addresses, routes and forwarded ports of an interface. Used by the other files of this slice."""

from __future__ import annotations

from ipaddress import ip_address

from domicile.schema import field as f
from domicile.schema.scalar import FILLED, UINT, YES_NO, enum, integer
from domicile.schema.shape import Element, element

_PORT = integer(0, 65535)


@element("ip", "IP 地址")
class Ip(Element):
    """An IP address."""

    address: str | None = f.attr("The address.", "地址。", FILLED, required=True)
    family: str | None = f.attr("Which kind of IP.", "IP 的种类。", enum("ipv4", "ipv6"))
    prefix: int | None = f.attr("How many bits name the network.", "网络前缀位数。", UINT)
    peer: str | None = f.attr("The other end of a point-to-point link.", "点对点链路的对端。")


@element("route", "路由")
class Route(Element):
    """A way to another network."""

    family: str | None = f.attr("Which kind of IP.", "IP 的种类。", enum("ipv4", "ipv6"))
    address: str | None = f.attr("The network's address.", "网络地址。", FILLED, required=True)
    netmask: str | None = f.attr("The network's mask.", "网络掩码。", FILLED)
    prefix: int | None = f.attr("How many bits name the network.", "网络前缀位数。", UINT)
    gateway: str | None = f.attr("Who forwards what goes there.", "网关地址。", FILLED, required=True)
    metric: int | None = f.attr("Its rank among the ways; low ones are preferred.", "路由优先级，小者优先。", UINT)


@element("range", "端口范围")
class PortRange(Element):
    """A range of the host's ports."""

    start: int | None = f.attr("The first port.", "起始端口。", _PORT, required=True)
    end: int | None = f.attr("The last port; left out, the first alone.", "结束端口；省略时仅起始端口。", _PORT)
    to: int | None = f.attr("The guest's port for the first one.", "起始端口对应的客户机端口。", _PORT)
    exclude: bool | None = f.attr("Whether these ports are kept out.", "是否排除这些端口。", YES_NO)


@element("portForward", "端口转发")
class PortForward(Element):
    """Ports of the host that lead to the guest."""

    proto: str | None = f.attr("The protocol.", "协议。", enum("tcp", "udp"), required=True)
    address: str | None = f.attr("The host's address; left out, all.", "主机地址；省略时为全部。", FILLED)
    dev: str | None = f.attr("The host's network device; left out, all.", "主机网络设备；省略时为全部。", FILLED)
    range: list[PortRange] = f.children("Which ports; left out, all.", "端口范围；省略时为全部。", PortRange)


def canonical(element: Ip | Route) -> None:
    """Write addresses in their one form, and say which kind they are."""
    slots = ("address", "peer") if isinstance(element, Ip) else ("address", "netmask", "gateway")
    for slot in slots:
        text = getattr(element, slot)
        try:
            found = ip_address(text) if text else None
        except ValueError:
            continue
        if found is not None:
            setattr(element, slot, str(found))
            if slot == "address" and element.family is None and isinstance(element, Ip):
                element.family = f"ipv{found.version}"
