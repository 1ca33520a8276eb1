"""Interface in QEMU's words. Used by this slice's FAMILY."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from domicile.devices.interface.model import Interface, InterfaceSource, LocalEnd
from domicile.devices.parts.bus import alias_of, virtio_driver, virtio_props, where
from domicile.plan.facts import Planning
from domicile.plan.need import Need, Tap
from domicile.plan.qemu import Command, Item, Structured


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
    queues = _queues(interface)
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


def _queues(interface: Interface) -> int:
    """Count the queue pairs of a card and of its tap: only virtio has more than one."""
    virtio = interface.model is not None and (interface.model.type or "").startswith("virtio")
    return (virtio and interface.driver is not None and interface.driver.queues) or 1


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
        queues = _queues(interface)
        yield Tap(
            token=name,
            bridge=source.bridge or "",
            network=source.network or "",
            kind=kind,
            mac=interface.mac.address or "" if interface.mac is not None else "",
            name=interface.target.dev or "" if interface.target is not None else "",
            link_up=interface.link is None or interface.link.state != "down",
            queues=queues,
            origin=origin,
        )
        ends = {"fd": f"{{fd:{name}}}"} if queues == 1 else {"fds": f"{{fds:{name}}}"}
        yield Structured("netdev", {"type": "tap", **ends, "id": backend}, origin=origin)
    elif kind in ("server", "client", "mcast", "udp"):
        yield Structured("netdev", {"type": "socket", **_socket(kind, source), "id": backend}, origin=origin)


def _socket(kind: str, source: InterfaceSource) -> dict[str, Any]:
    end = f"{source.address or ''}:{source.port}"
    if kind == "udp":
        local = source.local or LocalEnd()
        return {"udp": end, "localaddr": f"{local.address or ''}:{local.port}"}
    return {{"server": "listen", "client": "connect", "mcast": "mcast"}[kind]: end}
