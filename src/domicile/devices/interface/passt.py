"""The words with which passt serves an interface. Used by this slice's plan."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network

from domicile.devices.interface.ip import PortForward, PortRange
from domicile.devices.interface.model import Interface, InterfaceBackend
from domicile.plan.facts import Planning
from domicile.plan.need import Helper

_WORDS = {"tcp": "--tcp-ports", "udp": "--udp-ports"}


def passt(interface: Interface, name: str, p: Planning, origin: str) -> Helper:
    """Ask for passt beside QEMU: it carries the guest's packets over ordinary sockets of the host."""
    socket = f"{p.host.directories.run}/passt/{p.short_name}-{name}.socket"
    argv = ["passt", "--foreground", "--one-off", "--socket", socket]
    if interface.type == "vhostuser":
        argv.append("--vhost-user")
    if interface.mac is not None and interface.mac.address is not None:
        argv += ["--mac-addr", interface.mac.address]
    if interface.source is not None and interface.source.dev is not None:
        argv += ["--interface", interface.source.dev]
    backend = interface.backend or InterfaceBackend()
    for word, value in (("--log-file", backend.logFile), ("--hostname", backend.hostname), ("--fqdn", backend.fqdn)):
        if value is not None:
            argv += [word, value]
    for ip in interface.ip:
        argv += ["--address", ip.address or ""]
        if ip.family != "ipv6" and ip.prefix:
            argv += ["--netmask", str(ip_network(f"0.0.0.0/{ip.prefix}").netmask)]
    for forward in interface.portForward:
        argv += [_WORDS[forward.proto or "tcp"], _forwarded(forward)]
    return Helper(name=f"passt-{name}", argv=tuple(argv), socket=socket, origin=origin)


def _forwarded(forward: PortForward) -> str:
    """Say which ports lead to the guest: ``ADDRESS%DEVICE/START-END:TO,~EXCLUDED``."""
    where = (forward.address or "") + (f"%{forward.dev}" if forward.dev else "")
    ranges = ",".join(_ranges(forward.range))
    if not ranges:
        return f"{where}/all" if where and forward.address is None else where or "all"
    return f"{where}/{ranges}" if where else ranges


def _ranges(ranges: list[PortRange]) -> Iterator[str]:
    if ranges and all(one.exclude for one in ranges):
        yield "all"
    for one in ranges:
        text = f"{one.start}-{one.end}" if one.end is not None else f"{one.start}"
        if one.exclude:
            yield f"~{text}"
        elif one.to is not None:
            last = f"-{one.to + one.end - (one.start or 0)}" if one.end is not None else ""
            yield f"{text}:{one.to}{last}"
        else:
            yield text
