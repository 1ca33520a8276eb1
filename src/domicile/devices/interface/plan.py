"""Interface in QEMU's words. Used by this slice's FAMILY."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from domicile.devices.interface.ip import Ip
from domicile.devices.interface.model import Interface, InterfaceSource, InterfaceTarget, LocalEnd, is_virtio
from domicile.devices.interface.passt import passt
from domicile.devices.interface.port import VirtualPort, Vlan
from domicile.devices.parts.bus import alias_of, loadparm, virtio_driver, virtio_props, where
from domicile.devices.parts.chardev import Reconnect
from domicile.devices.parts.chardev_plan import reconnect
from domicile.devices.parts.device import CcwAddress, PciAddress, VirtioMmioAddress
from domicile.plan.boards import ARM
from domicile.plan.facts import Planning
from domicile.plan.need import LentDevice, Macvtap, Need, OpenDevice, Tap, VirtualFunction
from domicile.plan.qemu import Command, Item, Keyed, Structured

_TAPS = ("bridge", "network", "ethernet", "direct")
_STREAM_AGAIN = "netdev_add/arg-type/+stream/reconnect"
_PASST_SECONDS = 5


def plan(interface: Interface, p: Planning) -> Iterator[Item | Need]:
    """Ask for the host's end, then for the card; one that is a device of the host stands among those."""
    if interface.type != "hostdev":
        yield from _card(interface, p)


def plan_hostdev(interface: Interface, p: Planning) -> Iterator[Item | Need]:
    """Ask for a card that is a device of the host."""
    if interface.type != "hostdev" or interface.source is None or interface.source.hostaddress is None:
        return
    a, name = interface.source.hostaddress, alias_of(interface)
    host = f"{a.domain or 0:04x}:{a.bus or 0:02x}:{a.slot or 0:02x}.{a.function or 0:x}"
    origin = p.origin(interface)
    yield LentDevice(host, managed=bool(interface.managed), origin=origin)
    mac = interface.mac.address or "" if interface.mac is not None else ""
    yield VirtualFunction(host, mac, _vlans(interface.vlan)[0][0] if interface.vlan is not None else 0, origin=origin)
    props: dict[str, Any] = {"driver": "vfio-pci", "host": host, "id": name, "bootindex": p.boot_index(interface)}
    if interface.teaming is not None:
        props["failover_pair_id"] = interface.teaming.persistent
    yield Structured("device", {**props, **where(interface, p)}, origin=p.origin(interface))


def _card(interface: Interface, p: Planning) -> Iterator[Item | Need]:
    origin = p.origin(interface)
    name = alias_of(interface)
    backend = f"host{name}"
    yield from _backend(interface, name, backend, p, origin)
    if p.arch in ARM and not isinstance(interface.address, PciAddress | VirtioMmioAddress):
        yield _built_in(interface, name, backend, origin)
        return
    model = (interface.model.type if interface.model is not None else None) or "rtl8139"
    virtio = is_virtio(interface)
    props: dict[str, Any] = {"driver": virtio_driver("virtio-net", interface, model) if virtio else model}
    if virtio:
        props |= _virtio(interface)
    props |= {"netdev": backend, "id": name, "mac": interface.mac.address if interface.mac is not None else None}
    props |= where(interface, p)
    props["bootindex"] = p.boot_index(interface)
    props["loadparm"] = loadparm(interface, p)
    yield Structured("device", props, origin=origin)
    if interface.link is not None and interface.link.state == "down":
        yield Command("set_link", {"name": name, "up": False}, origin=origin)


def _built_in(interface: Interface, name: str, backend: str, origin: str) -> Item:
    """Ask for the card that an ARM board has, which is no device that could be added."""
    mac = interface.mac.address if interface.mac is not None else None
    model = interface.model.type if interface.model is not None else None
    pairs = (("", "nic"), ("macaddr", mac), ("netdev", backend), ("model", model), ("id", name))
    return Keyed("-net", pairs, origin=origin)


def _virtio(interface: Interface) -> dict[str, Any]:
    driver = interface.driver
    props: dict[str, Any] = {}
    if interface.teaming is not None and interface.teaming.type == "persistent":
        props["failover"] = True
    if interface.mtu is not None:
        props["host_mtu"] = interface.mtu.size
    if driver is None:
        return props
    queues = _queues(interface)
    if driver.txmode is not None:
        props["tx"] = {"iothread": "bh", "timer": "timer"}[driver.txmode]
    props |= {"ioeventfd": driver.ioeventfd, "event_idx": driver.event_idx}
    if queues > 1:
        props["mq"] = True
        props["vectors"] = None if isinstance(interface.address, CcwAddress) else 2 * queues + 2
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


def _queues(interface: Interface) -> int:
    """Count the queue pairs of a card and of its tap: only virtio has more than one."""
    return (is_virtio(interface) and interface.driver is not None and interface.driver.queues) or 1


def _vhost(interface: Interface, p: Planning) -> bool:
    """Say whether the kernel moves the packets: of virtio cards, where it can, or where its owner says so."""
    wanted = interface.driver.name if interface.driver is not None else None
    if not is_virtio(interface) or wanted == "qemu":
        return False
    return wanted == "vhost" or p.host.vhost_net


def _backend(interface: Interface, name: str, backend: str, p: Planning, origin: str) -> Iterator[Item | Need]:
    source = interface.source or InterfaceSource()
    kind = interface.type
    if interface.backend is not None and interface.backend.type == "passt":
        yield from _passt(interface, name, backend, p, origin)
    elif kind == "user":
        props: dict[str, Any] = {"type": "user", "id": backend}
        for ip in interface.ip:
            if ip.family == "ipv6":
                props |= {"ipv6-prefix": ip.address, "ipv6-prefixlen": ip.prefix or None}
            else:
                props["net"] = f"{ip.address}/{ip.prefix}" if ip.prefix else ip.address
        yield Structured("netdev", props, origin=origin)
    elif kind in _TAPS:
        yield from _tap(interface, source, name, backend, p, origin)
    elif kind == "vhostuser":
        queues = _queues(interface)
        yield _vhost_user(name, source.path, source.mode == "server", source.reconnect, p, origin)
        yield _vhost_user_netdev(name, backend, queues, origin)
    elif kind == "vdpa":
        queues, token = _queues(interface), f"{name}-vdpa"
        yield OpenDevice(token, source.dev or "", origin=origin)
        yield Keyed("-add-fd", (("set", f"{{fd:{token}}}"), ("fd", f"{{fd:{token}}}")), origin=origin)
        props = {"type": "vhost-vdpa", "vhostdev": f"/dev/fdset/{{fd:{token}}}", "id": backend}
        yield Structured("netdev", {**props, "queues": queues if queues > 1 else None}, origin=origin)
    elif kind in ("server", "client", "mcast", "udp"):
        yield Structured("netdev", {"type": "socket", **_socket(kind, source), "id": backend}, origin=origin)


def _tap(
    interface: Interface, source: InterfaceSource, name: str, backend: str, p: Planning, origin: str
) -> Iterator[Item | Need]:
    queues, vhost = _queues(interface), _vhost(interface, p)
    if interface.type == "direct":
        yield _macvtap(interface, source, name, queues, vhost, origin)
    else:
        yield _plain_tap(interface, source, name, queues, vhost, origin)
    many = "s" if queues > 1 else ""
    props: dict[str, Any] = {"type": "tap", f"fd{many}": f"{{fd{many}:{name}}}"}
    if vhost:
        props |= {"vhost": True, f"vhostfd{many}": f"{{fd{many}:{name}-vhost}}"}
    if interface.tune is not None and interface.tune.sndbuf is not None:
        props["sndbuf"] = interface.tune.sndbuf
    yield Structured("netdev", {**props, "id": backend}, origin=origin)


def _macvtap(
    interface: Interface, source: InterfaceSource, name: str, queues: int, vhost: bool, origin: str
) -> Macvtap:
    return Macvtap(
        token=name,
        device=source.dev or "",
        mode=source.mode or "vepa",
        mac=interface.mac.address or "" if interface.mac is not None else "",
        name=interface.target.dev or "" if interface.target is not None else "",
        link_up=_plugged_in(interface),
        queues=queues,
        vhost=vhost,
        vlans=_vlans(interface.vlan) if interface.vlan is not None else (),
        filter=_filter(interface),
        origin=origin,
    )


def _plain_tap(interface: Interface, source: InterfaceSource, name: str, queues: int, vhost: bool, origin: str) -> Tap:
    alone = interface.type == "ethernet"
    target, vlan, ref = interface.target or InterfaceTarget(), interface.vlan, interface.filterref
    return Tap(
        token=name,
        bridge=source.bridge or "",
        network=source.network or "",
        kind=interface.type or "",
        mac=interface.mac.address or "" if interface.mac is not None else "",
        name=target.dev or "",
        link_up=_plugged_in(interface),
        queues=queues,
        vhost=vhost,
        isolated=interface.port is not None and bool(interface.port.isolated),
        vlans=_vlans(vlan) if vlan is not None else (),
        switch=(interface.virtualport.type or "") if interface.virtualport is not None else "",
        port=_identity(interface.virtualport),
        mtu=(interface.mtu.size or 0) if interface.mtu is not None else 0,
        frames=_frames(interface),
        managed=not alone or target.managed is not False,
        script=(interface.script.path or "") if alone and interface.script is not None else "",
        downscript=(interface.downscript.path or "") if alone and interface.downscript is not None else "",
        addresses=tuple(_host_address(ip) for ip in source.ip) if alone else (),
        filter=_filter(interface),
        parameters=tuple((one.name or "", one.value or "") for one in ref.parameter) if ref is not None else (),
        origin=origin,
    )


def _filter(interface: Interface) -> str:
    return (interface.filterref.filter or "") if interface.filterref is not None else ""


def _identity(port: VirtualPort | None) -> str:
    return (port.parameters.interfaceid or "") if port is not None and port.parameters is not None else ""


def _plugged_in(interface: Interface) -> bool:
    return interface.link is None or interface.link.state != "down"


def _vlans(vlan: Vlan) -> tuple[tuple[int, bool], ...]:
    """Give the VLANs with whether frames without a tag are on them: on the only one, or on the native one of a trunk."""
    return tuple((tag.id or 0, not vlan.trunk or tag.nativeMode is not None) for tag in vlan.tag)


def _frames(interface: Interface) -> int:
    """Say how many packets are gathered before the guest is told."""
    found = interface.coalesce.find("rx/frames") if interface.coalesce is not None else None
    most = found.get("max") if found is not None else None
    return int(most) if most is not None and most.isdecimal() else 0


def _host_address(ip: Ip) -> str:
    return f"{ip.address}/{ip.prefix if ip.prefix is not None else 128 if ip.family == 'ipv6' else 32}"


def _vhost_user(name: str, path: str | None, listens: bool, again: Reconnect | None, p: Planning, origin: str) -> Keyed:
    pairs: tuple[tuple[str, Any], ...] = (("", "socket"), ("id", f"char{name}"), ("path", path))
    if listens:
        return Keyed("-chardev", (*pairs, ("server", True)), origin=origin)
    return Keyed("-chardev", (*pairs, *reconnect(again, p)), origin=origin)


def _vhost_user_netdev(name: str, backend: str, queues: int, origin: str) -> Structured:
    props = {"type": "vhost-user", "chardev": f"char{name}", "queues": queues if queues > 1 else None, "id": backend}
    return Structured("netdev", props, origin=origin)


def _passt(interface: Interface, name: str, backend: str, p: Planning, origin: str) -> Iterator[Item | Need]:
    helper = passt(interface, name, p, origin)
    yield helper
    if interface.type == "vhostuser":
        yield _vhost_user(name, helper.socket, False, Reconnect(enabled=True, timeout=_PASST_SECONDS), p, origin)
        yield _vhost_user_netdev(name, backend, _queues(interface), origin)
        return
    again: dict[str, Any] = {}
    if p.caps.has_schema(f"{_STREAM_AGAIN}-ms"):
        again = {"reconnect-ms": _PASST_SECONDS * 1000}
    elif p.caps.has_schema(_STREAM_AGAIN):
        again = {"reconnect": _PASST_SECONDS}
    address = {"type": "unix", "path": helper.socket}
    yield Structured(
        "netdev", {"type": "stream", "addr": address, "server": False, **again, "id": backend}, origin=origin
    )


def _socket(kind: str, source: InterfaceSource) -> dict[str, Any]:
    end = f"{source.address or ''}:{source.port}"
    if kind == "udp":
        local = source.local or LocalEnd()
        return {"udp": end, "localaddr": f"{local.address or ''}:{local.port}"}
    return {{"server": "listen", "client": "connect", "mcast": "mcast"}[kind]: end}
