"""Networks on the host: the bridge, its addresses, rules and name server, made and removed as one.

Plain functions that block; the service runs them in a thread. A bridge carries the network's uuid as its alias, so that a
later daemon knows it for its own, and nobody else's is ever touched.
"""

from __future__ import annotations

import ipaddress
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from domicile.base.errors import INTERNAL_ERROR, HostFailure
from domicile.host import nftables, shaper
from domicile.networks import dnsmasq, firewall, outside
from domicile.networks.complete import Interface, address_of
from domicile.networks.dnsmasq import Files
from domicile.networks.model import Network
from domicile.qemu.process import stat

log = structlog.get_logger(__name__)
_PATIENCE = 20.0
_MARK = "domicile:"
_PROC = Path("/proc/sys/net")


@dataclass(frozen=True, slots=True)
class Running:
    """The name server of an active network; pid 0 where it has none."""

    pid: int = 0
    start_time: int = 0


def start(network: Network, files: Files) -> Running:
    """Make a network's bridge with all that belongs to it.

    Raises:
        HostFailure: something of the host stands in the way; nothing is left behind.
    """
    if not network.own_bridge:
        outside.lendable(network)
        return Running()
    done: list[Callable[[], object]] = []
    try:
        return _make(network, files, done)
    except BaseException:
        for step in reversed(done):
            try:
                step()
            except Exception:
                log.exception("a network that could not start was not removed whole", network=network.name)
        raise


def _make(network: Network, files: Files, done: list[Callable[[], object]]) -> Running:
    name, uuid = bridge_of(network), network.uuid or ""
    _free(network, name)
    done.append(lambda: remove_bridge(name, uuid))
    with _routing() as routes:
        _bridge(routes, network, name)
        _family(network, name)
        for place in places(network):
            local = {"broadcast": str(place.network.broadcast_address)} if place.version == 4 else {}
            with _told(f"give the address {place} to the bridge {name}"):
                routes.addr(
                    "add", index=_index(name), address=str(place.ip), prefixlen=place.network.prefixlen, **local
                )
        with _told(f"bring up the bridge {name}"):
            routes.link("set", index=_index(name), state="up")
        _routes(routes, network, name)
    limit(network)
    done.append(lambda: load_rules(firewall.unload(uuid)))
    load_rules(firewall.load(network))
    if network.mode in ("nat", "route", "open"):
        _forwarding(network)
    if not dnsmasq.needed(network):
        return Running()
    done.append(lambda: _forget(files))
    return serve(network, files)


def stop(network: Network, files: Files, running: Running) -> None:
    """Remove all that belongs to a network; what is gone already is no error."""
    end_server(running)
    if network.own_bridge:
        load_rules(firewall.unload(network.uuid or ""))
        remove_bridge(bridge_of(network), network.uuid or "")
    _forget(files)


def left(files: Files) -> Running:
    """Find the name server that a daemon left which died while it started a network."""
    try:
        pid = int(files.at("pid").read_text())
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return Running()
    found = stat(pid)
    mine = os.fsencode(f"--conf-file={files.at('conf')}") in words
    return Running(pid, found.start_time) if mine and found is not None else Running()


def renew(network: Network, files: Files, running: Running) -> Running:
    """Put in place again what may have been lost of a network that stands: its rules, its name server. Raises: HostFailure."""
    if not network.own_bridge:
        return Running()
    load_rules(firewall.load(network))
    limit(network)
    if alive(running) or not dnsmasq.needed(network):
        return running
    return serve(network, files)


def stands(network: Network) -> bool:
    """Say whether the bridge of an active network is there and this network's."""
    if not network.own_bridge:
        return True
    with _routing() as routes:
        return _alias(routes, bridge_of(network)) == _MARK + (network.uuid or "")


def alive(running: Running) -> bool:
    """Say whether the name server still is the process that was started."""
    found = stat(running.pid) if running.pid else None
    return found is not None and found.start_time == running.start_time and found.state not in "ZX"


def bridge_of(network: Network) -> str:
    """Name a network's bridge."""
    return (network.bridge.name if network.bridge is not None else None) or ""


def limit(network: Network) -> None:
    """Hold a network's bridge to its limits. Raises: HostFailure."""
    found = network.bandwidth
    if found is None or (found.inbound is None and found.outbound is None):
        return
    inbound, outbound = (
        (rate.average or 0, rate.peak or 0, rate.burst or 0) if rate is not None else (0, 0, 0)
        for rate in (found.inbound, found.outbound)
    )
    shaper.shape_bridge(bridge_of(network), inbound, outbound)


# The bridge.


def _free(network: Network, name: str) -> None:
    """Refuse a bridge or addresses that are in use."""
    if not name or len(name) > 15 or "/" in name or name in (".", ".."):
        raise HostFailure(
            f"'{name}' cannot be the name of a bridge; at most 15 characters without a slash are accepted"
        )
    with _routing() as routes:
        names = {link["index"]: _attribute(link, "IFLA_IFNAME") for link in routes.get_links()}
        there = [(names.get(a["index"], "?"), _interface(a)) for a in routes.get_addr()]
    if name in names.values():
        raise HostFailure(f"the bridge name '{name}' is already in use on this host", code=INTERNAL_ERROR)
    for place in places(network):
        for device, other in there:
            if (
                other is not None
                and device != "lo"
                and other.network.version == place.version
                and place.network.overlaps(other.network)
            ):
                if place.version == 6 and place.ip.is_link_local:
                    continue
                what = f"the network {place.network} is already in use by interface {device}"
                raise HostFailure(what, code=INTERNAL_ERROR)


def _bridge(routes: Any, network: Network, name: str) -> None:
    bridge = network.bridge
    stp = int(bridge is None or bridge.stp != "off")
    delay = bridge.delay if bridge is not None and bridge.delay else 0
    options: dict[str, Any] = {"br_stp_state": stp, "br_forward_delay": max(200, delay * 100) if stp else delay * 100}
    if network.mac is not None and network.mac.address:
        options["address"] = network.mac.address
    if network.mtu is not None and network.mtu.size:
        options["mtu"] = network.mtu.size
    with _told(f"make the bridge {name}"):
        routes.link("add", ifname=name, kind="bridge", **options)
    with _told(f"mark the bridge {name}"):
        routes.link("set", index=_index(name), ifalias=_MARK + (network.uuid or ""))


def _family(network: Network, name: str) -> None:
    """Let the bridge speak IPv6 only where the network does, and take no router's word for anything."""
    speaks = any(place.version == 6 for place in places(network))
    folder = _PROC / "ipv6/conf" / name
    if not folder.is_dir():
        return
    if speaks or network.ipv6:
        _set(folder / "accept_ra", "0")
        _set(folder / "autoconf", "0")
        _set(folder / "disable_ipv6", "0" if speaks else "1")
    else:
        _set(folder / "disable_ipv6", "1")


def _forwarding(network: Network) -> None:
    for place in places(network):
        _set(_PROC / ("ipv4/ip_forward" if place.version == 4 else "ipv6/conf/all/forwarding"), "1")


def _set(path: Path, value: str) -> None:
    try:
        if path.read_text().strip() != value:
            path.write_text(value + "\n")
    except OSError as error:
        raise HostFailure(f"{path} could not be set to {value}: {error.strerror}") from error


def _routes(routes: Any, network: Network, name: str) -> None:
    for route in network.route:
        if route.netmask is None and route.prefix is None:
            given = f"{route.address}/{128 if ':' in (route.address or '') else 32}"
        else:
            given = f"{route.address}/{route.netmask if route.netmask is not None else route.prefix}"
        with _told(f"add the route to {given}"):
            more = {"priority": route.metric} if route.metric else {}
            whole = ipaddress.ip_network(given, strict=False)
            family = 2 if whole.version == 4 else 10
            routes.route("add", dst=str(whole), gateway=route.gateway, oif=_index(name), family=family, **more)


def remove_bridge(name: str, uuid: str) -> None:
    """Remove a bridge that is this network's; another's is left alone. Raises: HostFailure."""
    with _routing() as routes:
        if _alias(routes, name) == _MARK + uuid:
            with _told(f"remove the bridge {name}"):
                routes.link("del", index=_index(name))


def _alias(routes: Any, name: str) -> str | None:
    found = next((link for link in routes.get_links() if _attribute(link, "IFLA_IFNAME") == name), None)
    alias: str | None = _attribute(found, "IFLA_IFALIAS") if found is not None else None
    return alias


def _index(name: str) -> int:
    return socket.if_nametoindex(name)


def places(network: Network) -> Iterator[Interface]:
    """Walk the host's addresses in a network."""
    for ip in network.ip:
        place = address_of(ip)
        if place is not None:
            yield place


def _attribute(message: Any, name: str) -> Any:
    return next((value for key, value in message["attrs"] if key == name), None)


def _interface(message: Any) -> Interface | None:
    address = _attribute(message, "IFA_LOCAL") or _attribute(message, "IFA_ADDRESS")
    return ipaddress.ip_interface(f"{address}/{message['prefixlen']}") if address else None


@contextmanager
def _routing() -> Iterator[Any]:
    from pyroute2 import IPRoute  # a tenth of a second that only networks need

    with IPRoute() as routes:
        yield routes


@contextmanager
def _told(what: str) -> Iterator[None]:
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        yield
    except (NetlinkError, OSError) as error:
        raise HostFailure(f"the host does not {what}: {error.args[-1] if error.args else error}") from error


# Rules.


def load_rules(commands: str) -> None:
    """Hand commands to nftables; all of them take effect or none. Raises: HostFailure."""
    nftables.load(commands)


# The name server.


def serve(network: Network, files: Files) -> Running:
    """Write a network's files and start its dnsmasq. Raises: HostFailure."""
    _write(network, files)
    files.at("pid").unlink(missing_ok=True)
    _run([_tool("dnsmasq"), f"--conf-file={files.at('conf')}"])
    pid = int(files.at("pid").read_text())
    found = stat(pid)
    if found is None:
        raise HostFailure(f"dnsmasq of the network '{network.name}' ended at once")
    return Running(pid, found.start_time)


def reload(network: Network, files: Files, running: Running) -> Running:
    """Let a running dnsmasq know of changes: anew where its configuration changed, else by its signal. Raises: HostFailure."""
    if not dnsmasq.needed(network):
        end_server(running)
        return Running()
    before = files.at("conf").read_text() if files.at("conf").exists() else ""
    if alive(running) and before == dnsmasq.texts(network, files).configuration:
        _write(network, files)
        os.kill(running.pid, signal.SIGHUP)
        return running
    end_server(running)
    return serve(network, files)


def end_server(running: Running) -> None:
    """End a dnsmasq, if it still is the one that was started."""
    if not alive(running):
        return
    with suppress(ProcessLookupError):
        os.kill(running.pid, signal.SIGTERM)
    limit = time.monotonic() + 5
    while alive(running):
        if time.monotonic() > limit:
            with suppress(ProcessLookupError):
                os.kill(running.pid, signal.SIGKILL)
            return
        time.sleep(0.002)


def _write(network: Network, files: Files) -> None:
    written = dnsmasq.texts(network, files)
    files.folder.mkdir(parents=True, exist_ok=True)
    files.folder.chmod(0o755)  # dnsmasq reads them again as a user of its own
    for suffix, text in (("conf", written.configuration), ("hostsfile", written.hosts), ("addnhosts", written.names)):
        path = files.at(suffix)
        temporary = path.with_name(path.name + ".new")
        temporary.write_text(text)
        temporary.chmod(0o644)
        temporary.replace(path)


def _forget(files: Files) -> None:
    for suffix in ("conf", "hostsfile", "addnhosts", "pid"):
        files.at(suffix).unlink(missing_ok=True)


def _tool(name: str) -> str:
    found = shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin")))
    if found is None:
        raise HostFailure(f"'{name}' is not installed; networks need the package dnsmasq-base")
    return found


def _run(words: list[str]) -> None:
    tool = Path(words[0]).name
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=_PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        raise HostFailure(f"{tool} did not finish within {_PATIENCE:.0f} s") from None
    except OSError as error:
        raise HostFailure(f"{tool} could not be started: {error.strerror}") from error
    if done.returncode:
        raise HostFailure(f"{tool} refused: {(done.stderr or done.stdout).strip()[:500]}")
