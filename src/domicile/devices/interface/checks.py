"""What an interface may not be. Used by this slice's FAMILY."""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network

from domicile.base.errors import XML_ERROR
from domicile.devices.interface.ip import Ip, PortForward, Route
from domicile.devices.interface.model import (
    TYPES,
    Bandwidth,
    Interface,
    InterfaceBackend,
    InterfaceDriver,
    InterfaceSource,
    is_virtio,
)
from domicile.devices.interface.port import VirtualPort, Vlan
from domicile.devices.parts.demand import demand
from domicile.plan.facts import Completion

_LAST_VLAN = 4095
_MODEL_WORD = re.compile(r"[a-zA-Z0-9_-]+\Z")
# What must be named, by the type of the interface.
_NEEDED = {"bridge": "bridge", "network": "network", "direct": "dev", "vdpa": "dev", "internal": "name"}
_TAPS = ("bridge", "network", "ethernet", "direct")
_QUEUED = (*_TAPS, "vhostuser", "vdpa", "user")
_FOREIGN = ("internal", "null", "vds")
_SWITCHED = ("network", "bridge", "direct", "hostdev")
_PARAMETERS = {
    "802.1Qbg": ("managerid", "typeid", "typeidversion"),
    "802.1Qbh": ("profileid",),
    "midonet": ("interfaceid",),
}
_KNOWN = {"802.1Qbg": ("instanceid",), "openvswitch": ("interfaceid", "profileid")}


def check(interface: Interface, c: Completion) -> None:
    """Find what cannot be."""
    kind = interface.type
    if kind is None:
        c.problem(interface, "element 'interface' has no attribute 'type'", ", ".join(TYPES), "@type")
        return
    if kind in _FOREIGN:
        c.problem(interface, f"an interface of type '{kind}' does not exist in QEMU", ", ".join(_QUEUED), "@type")
        return
    mac = interface.mac.address if interface.mac is not None else None
    if mac and int(mac[:2], 16) & 1:
        c.problem(
            interface.mac,
            f"expected unicast mac address, found multicast '{mac}'",
            "an even first byte",
            "@address",
            code=XML_ERROR,
        )
    model = interface.model.type if interface.model is not None else None
    if model is not None and not _MODEL_WORD.match(model):
        message = f"attribute 'type' of element 'model' has the value '{model}'"
        c.problem(interface.model, message, "a name of letters, digits, - and _", "@type")
    _check_source(interface, kind, interface.source, c)
    _check_backend(interface, kind, c)
    _check_addresses(interface, kind, c)
    _check_card(interface, kind, c)
    if interface.vlan is not None:
        _check_vlan(interface.vlan, c)
    if interface.virtualport is not None:
        _check_port(interface.virtualport, kind, c)
    if interface.bandwidth is not None:
        _check_bandwidth(interface.bandwidth, kind, c)


def _check_source(interface: Interface, kind: str, source: InterfaceSource | None, c: Completion) -> None:
    needed = _NEEDED.get(kind)
    if needed and (source is None or getattr(source, needed) is None):
        message = f"interface of type '{kind}' has no <source> with an attribute '{needed}'"
        c.problem(interface, message, f"<source {needed}='…'/>", "source", code=XML_ERROR)
    if kind in ("server", "client", "mcast", "udp"):
        slots = ("port",) if kind == "server" else ("port", "address")
        for slot in slots:
            if source is None or getattr(source, slot) is None:
                message = f"interface of type '{kind}' has no <source> with an attribute '{slot}'"
                c.problem(interface, message, f"<source {slot}='…'/>", f"source/@{slot}", code=XML_ERROR)
        if kind == "udp" and source is not None:
            demand(source.local, ("address",), "an interface of type 'udp'", c)
        if kind == "udp" and (source is None or source.local is None or source.local.port is None):
            message = "interface of type 'udp' has no <local> with an attribute 'port' in <source>"
            c.problem(interface, message, "<local address='…' port='…'/>", "source/local")
    if kind == "hostdev" and (source is None or source.hostaddress is None):
        c.problem(interface, "interface of type 'hostdev' has no <address> in <source>", "<address type='pci' …/>")
    elif kind == "hostdev" and source is not None:
        demand(source.hostaddress, ("type",), "an interface of type 'hostdev'", c)
    if kind == "vhostuser":
        _check_vhost_user(interface, source, c)
    if source is None or kind == "ethernet":
        return
    if source.ip or source.route:
        what = "ip" if source.ip else "route"
        c.problem(source, f"<{what}> of the host's end is not for an interface of type '{kind}'", "ethernet", what)


def _check_vhost_user(interface: Interface, source: InterfaceSource | None, c: Completion) -> None:
    if not is_virtio(interface):
        model = interface.model.type if interface.model is not None else None
        message = f"an interface of type 'vhostuser' has the <model> '{model or ''}', and only virtio can be"
        c.problem(interface, message, "<model type='virtio'/>", "model/@type")
    if _passt(interface):
        return
    if source is None or source.type is None:
        c.problem(interface, "interface of type 'vhostuser' has no <source type='unix'>", "unix", "source/@type")
        return
    if source.path is None:
        c.problem(source, "interface of type 'vhostuser' has no attribute 'path'", "a socket", "@path")
    if source.mode not in ("server", "client"):
        message = f"interface of type 'vhostuser' has the 'mode' '{source.mode or ''}' in <source>"
        c.problem(source, message, "server, client", "@mode")
    again = source.reconnect
    if again is None:
        return
    if source.mode == "server":
        c.problem(again, "<reconnect> of an interface is only for mode 'client', not 'server'", "mode='client'")
    if again.enabled is None:
        c.problem(again, "<reconnect> of an interface does not say whether it is 'enabled'", "yes, no", "@enabled")
    elif again.enabled and not again.timeout:
        c.problem(again, "<reconnect> of an interface has no 'timeout'", "seconds, 1 or more", "@timeout")


def _passt(interface: Interface) -> bool:
    return interface.backend is not None and interface.backend.type == "passt"


def _check_backend(interface: Interface, kind: str, c: Completion) -> None:
    backend = interface.backend or InterfaceBackend()
    if _passt(interface):
        if kind not in ("user", "vhostuser"):
            message = f"the 'passt' backend is not for an interface of type '{kind}'"
            c.problem(backend, message, "type='user' or type='vhostuser'", "@type")
        elif kind == "user" and not c.caps.has_schema("netdev_add/arg-type/+stream"):
            c.problem(backend, "this QEMU does not know the network backend 'passt'", "default", "@type")
        return
    for slot in ("logFile", "hostname", "fqdn"):
        if getattr(backend, slot) is not None:
            c.problem(backend, f"attribute '{slot}' is only for the backend 'passt'", "type='passt'", f"@{slot}")
    if kind == "user" and interface.source is not None and interface.source.dev is not None:
        message = "attribute 'dev' of <source> is only for the backend 'passt' of an interface of type 'user'"
        c.problem(interface.source, message, "<backend type='passt'/>", "@dev")
    if interface.portForward:
        message = (
            "<portForward> is only for an interface of type 'user' or type 'vhostuser' that has the backend 'passt'"
        )
        c.problem(interface.portForward[0], message, "<backend type='passt'/>")


def _check_addresses(interface: Interface, kind: str, c: Completion) -> None:
    source = interface.source or InterfaceSource()
    for address in (*interface.ip, *source.ip):
        _check_address(address, c)
    for route in (*interface.route, *source.route):
        _check_address(route, c)
    for forward in interface.portForward:
        _check_forward(forward, c)
    if kind != "user" and not _passt(interface):
        if interface.ip or interface.route:
            what, article = ("ip", "an") if interface.ip else ("route", "a")
            message = (
                f"an interface of type '{kind}' has {article} <{what}> for the guest's end, which QEMU cannot give it"
            )
            c.problem(interface, message, f"no <{what}>", what)
        return
    if interface.route:
        c.problem(interface, "<route> for the guest's end cannot be given by QEMU", "no <route>", "route")
    seen: set[str | None] = set()
    for ip in interface.ip:
        if ip.family in seen:
            c.problem(ip, f"an interface has more than one <ip> of family '{ip.family}'", "one of each family")
        seen.add(ip.family)
        if ip.peer is not None:
            c.problem(ip, "attribute 'peer' of <ip> cannot be given to a guest", "no peer", "@peer")
        low, high = (4, 27) if ip.family == "ipv4" else (1, 120)
        if ip.prefix and not low <= ip.prefix <= high:
            c.problem(ip, f"attribute 'prefix' of <ip> has the value '{ip.prefix}'", f"{low} to {high}", "@prefix")


def _check_address(element: Ip | Route, c: Completion) -> None:
    tag = element.shape.tag
    slots = ("address", "peer") if isinstance(element, Ip) else ("address", "netmask", "gateway")
    for slot in slots:
        text = getattr(element, slot)
        if text is None:
            if slot in ("address", "gateway"):
                c.problem(element, f"element '{tag}' has no attribute '{slot}'", "an IP address", f"@{slot}", XML_ERROR)
            continue
        try:
            found = ip_address(text)
        except ValueError:
            c.problem(element, f"attribute '{slot}' of <{tag}> has the value '{text}'", "an IP address", f"@{slot}")
            continue
        if element.family is not None and element.family != f"ipv{found.version}":
            message = f"'{text}' in <{tag}> is no address of family '{element.family}'"
            c.problem(element, message, f"ipv{found.version}", "@family", XML_ERROR)
    _check_network(element, c)
    most = 128 if ":" in (element.address or "") else 32
    if element.prefix is not None and element.prefix > most:
        message = f"attribute 'prefix' of <{tag}> has the value '{element.prefix}'"
        c.problem(element, message, f"0 to {most}", "@prefix", XML_ERROR)


def _check_network(element: Ip | Route, c: Completion) -> None:
    """Find a route to an address that is none of a network."""
    if isinstance(element, Ip) or element.address is None:
        return
    width = 128 if ":" in element.address else 32
    mask = element.netmask if element.netmask is not None else element.prefix
    if mask is None:
        mask = 0 if element.address in ("0.0.0.0", "::") else width  # noqa: S104
    try:
        ip_network(f"{element.address}/{mask}")
        known = element.netmask is not None or element.prefix is not None or mask == 0
    except ValueError:
        known = False
    if not known:
        message = f"address '{element.address}' of <route> is no network's"
        c.problem(element, message, "such as 10.0.0.0 with prefix='8'", "@address", XML_ERROR)


def _check_forward(forward: PortForward, c: Completion) -> None:
    if forward.proto is None:
        c.problem(forward, "<portForward> has no attribute 'proto'", "tcp, udp", "@proto", XML_ERROR)
    if forward.address is not None:
        try:
            ip_address(forward.address)
        except ValueError:
            message = f"attribute 'address' of <portForward> has the value '{forward.address}'"
            c.problem(forward, message, "an IP address", "@address", XML_ERROR)
    for one in forward.range:
        if one.start is None:
            c.problem(one, "<range> of <portForward> has no attribute 'start'", "a port", "@start", XML_ERROR)
        elif one.end is not None and one.end < one.start:
            message = f"<range> of <portForward> ends at '{one.end}', before its start '{one.start}'"
            c.problem(one, message, f"{one.start} or more", "@end", XML_ERROR)
        if one.exclude and one.to is not None:
            c.problem(one, "<range> of <portForward> has both 'exclude' and 'to'", "one of them", "@to", XML_ERROR)


def _check_card(interface: Interface, kind: str, c: Completion) -> None:
    driver, virtio = interface.driver or InterfaceDriver(), is_virtio(interface)
    if interface.mtu is not None and kind not in ("network", "bridge", "ethernet", "vhostuser", "vdpa"):
        c.problem(interface.mtu, f"an interface of type '{kind}' has no 'mtu' of its own", "no <mtu>")
    if interface.coalesce is not None and kind not in ("network", "bridge", "ethernet", "direct"):
        c.problem(interface, f"an interface of type '{kind}' has no <coalesce>", "network, bridge", "coalesce")
    if kind == "vdpa" and not virtio:
        model = interface.model.type if interface.model is not None else ""
        c.problem(interface.model, f"an interface of type 'vdpa' has the model '{model}'", "virtio", "@type")
    if (driver.queues or 0) > 1 and virtio and kind not in _QUEUED:
        c.problem(driver, f"an interface of type '{kind}' has one pair of 'queues'", "no queues", "@queues")
    for slot in ("rx_queue_size", "tx_queue_size"):
        size = getattr(driver, slot)
        if virtio and size is not None and size & (size - 1):
            c.problem(driver, f"'{slot}' has the value '{size}', which is no power of two", "256, 512 …", f"@{slot}")
    for slot, prop in (("rss", "rss"), ("rss_hash_report", "hash")):
        if virtio and getattr(driver, slot) is not None and not c.caps.has_property("virtio-net-pci", prop):
            c.problem(driver, f"this QEMU knows no '{slot}' of a virtio card", "another QEMU", f"@{slot}")
    teaming = interface.teaming
    if teaming is None:
        return
    if teaming.type is None:
        c.problem(teaming, "element 'teaming' has no attribute 'type'", "persistent, transient", "@type")
    elif teaming.type == "transient" and not teaming.persistent:
        message = "element 'teaming' of type 'transient' has no attribute 'persistent'"
        c.problem(teaming, message, "the alias of the virtio card", "@persistent", XML_ERROR)
    elif teaming.type == "persistent" and teaming.persistent is not None:
        message = "element 'teaming' of type 'persistent' has an attribute 'persistent'"
        c.problem(teaming, message, "type='transient'", "@persistent", XML_ERROR)
    elif teaming.type == "persistent" and not virtio:
        c.problem(teaming, "<teaming type='persistent'/> is only for virtio cards", "<model type='virtio'/>")


def _check_vlan(vlan: Vlan, c: Completion) -> None:
    if not vlan.tag:
        c.problem(vlan, "element 'vlan' has no <tag>", "<tag id='…'/>", "tag", XML_ERROR)
    if len(vlan.tag) > 1 and vlan.trunk is False:
        message = f"attribute 'trunk' of element 'vlan' has the value 'no' beside {len(vlan.tag)} tags"
        c.problem(vlan, message, "yes", "@trunk", XML_ERROR)
    native = 0
    for tag in vlan.tag:
        demand(tag, ("id",), "a VLAN", c)
        if tag.id is not None and tag.id > _LAST_VLAN:
            message = f"attribute 'id' of element 'tag' has the value '{tag.id}'"
            c.problem(tag, message, "0 to 4095", "@id", XML_ERROR)
        native += tag.nativeMode is not None
        if tag.nativeMode is not None and native > 1:
            c.problem(tag, "element 'vlan' has more than one 'nativeMode'", "one", "@nativeMode", XML_ERROR)


def _check_bandwidth(limits: Bandwidth, kind: str, c: Completion) -> None:
    for slot in ("inbound", "outbound"):
        rate = getattr(limits, slot)
        if rate is None:
            continue
        if rate.floor is not None and slot == "outbound":
            c.problem(
                rate, "attribute 'floor' is only for <inbound>, not for <outbound>", "no floor", "@floor", XML_ERROR
            )
        elif rate.floor is not None and kind != "network":
            message = f"attribute 'floor' of <{slot}> is not for an interface of type '{kind}'"
            c.problem(rate, message, "type='network'", "@floor")
        elif rate.average is None and rate.floor is None:
            c.problem(rate, f"element '{slot}' has neither 'average' nor 'floor'", "average='…'", "@average", XML_ERROR)


def _check_port(port: VirtualPort, kind: str, c: Completion) -> None:
    if kind not in _SWITCHED:
        message = f"<virtualport> is not for <interface type='{kind}'>"
        c.problem(port, message, ", ".join(_SWITCHED), code=XML_ERROR)
    word, parameters = port.type, port.parameters
    demand(port, ("type",), "an interface", c)
    if word is None or word == "none":
        return
    for slot in _PARAMETERS.get(word, ()):
        if parameters is None or getattr(parameters, slot) is None:
            message = f"<virtualport> of type '{word}' has no '{slot}'"
            c.problem(port, message, f"<parameters {slot}='…'/>", f"parameters/@{slot}", XML_ERROR)
    known = {*_PARAMETERS.get(word, ()), *_KNOWN.get(word, ())}
    for declared in parameters.shape.fields if parameters is not None else ():
        if getattr(parameters, declared.slot) is not None and declared.slot not in known:
            message = f"<virtualport> of type '{word}' has no '{declared.slot}'"
            c.problem(parameters, message, ", ".join(sorted(known)), f"@{declared.slot}", XML_ERROR)
