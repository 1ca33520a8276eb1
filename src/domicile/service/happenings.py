"""What QEMU says by itself, in libvirt's terms: which event of a domain it is, and with what values. Called by machines.

Each rule gets the domain's entry and the event's data, and gives the events with their arguments in the wire's order.
Source: QEMU's QMP reference for the data, libvirt-domain.h for the numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from domicile.devices.channel import Channel, VirtioTarget
from domicile.devices.disk import Disk
from domicile.devices.disk.complete import sources
from domicile.domain import document
from domicile.domain.domain import Domain

if TYPE_CHECKING:
    from domicile.service.entry import Entry

#: The event's name in the wire's procedures, without domain_event_callback_, and its arguments after the domain.
Happening = tuple[str, tuple[Any, ...]]
Rule = Callable[["Entry", Mapping[str, Any]], Iterator[Happening]]
AGENT = "org.qemu.guest_agent.0"
CONNECTED, DISCONNECTED = 1, 2
STARTED, _BY_CHANNEL = 1, 2
_WATCHDOG = ("none", "pause", "reset", "poweroff", "shutdown", "debug", "inject-nmi")
_IO_ERROR = {"ignore": 0, "stop": 1, "report": 2}
_FAMILY = {"ipv4": 0, "ipv6": 1, "unix": 2}
_RECIPIENT = ("hypervisor", "guest")
_FAILURE = ("ignore", "inject", "fatal", "reset")
_ACTION_REQUIRED, _RECURSIVE = 1, 2


def heard(entry: Entry, name: str, data: Mapping[str, Any]) -> list[Happening]:
    """Translate an event of QEMU's; one that means nothing to libvirt's clients gives none."""
    rule = _RULES.get(name)
    return list(rule(entry, data)) if rule is not None else []


def _domain(entry: Entry) -> Domain:
    return document.read_stored(entry.live.xml) if entry.live is not None and entry.live.xml else Domain()


def _rtc(entry: Entry, data: Mapping[str, Any]) -> Iterator[Happening]:
    offset = int(data.get("offset", 0))
    clock = _domain(entry).clock
    if clock is not None and clock.offset == "variable" and clock.adjustment not in (None, "reset"):
        offset += int(clock.adjustment or 0)
    yield "rtc_change", (offset,)


def _watchdog(entry: Entry, data: Mapping[str, Any]) -> Iterator[Happening]:
    action = data.get("action")
    yield "watchdog", (_WATCHDOG.index(action) if action in _WATCHDOG else 0,)


def _io_error(entry: Entry, data: Mapping[str, Any]) -> Iterator[Happening]:
    found = _disk(entry, str(data.get("node-name") or ""), str(data.get("device") or data.get("qom-path") or ""))
    path, alias = (found[1], found[0]) if found is not None else ("", "")
    action = _IO_ERROR.get(str(data.get("action")), 0)
    reason = "enospc" if data.get("nospace") else ""
    yield "io_error", (path, alias, action)
    yield "io_error_reason", (path, alias, action, reason)


def _disk(entry: Entry, node: str, device: str) -> tuple[str, str, str] | None:
    """Find a disk by a node of it, or by its device: its alias, its path, its target."""
    domain = _domain(entry)
    number = re.match(r"libvirt-(\d+)-", node)
    names = set(re.split(r"[/]", device))
    for disk in domain.devices.of(Disk) if domain.devices is not None else []:
        alias = (disk.alias.name if disk.alias is not None else None) or ""
        target = (disk.target.dev if disk.target is not None else None) or ""
        for _, source in sources(disk):
            path = source.file or source.dev or source.name or ""
            if number is not None and source.index == int(number[1]):
                return alias, path, target
        if (alias and (alias in names or f"drive-{alias}" in names)) or (target and node.startswith(f"{target}-")):
            path = (disk.source.file or disk.source.dev or disk.source.name or "") if disk.source is not None else ""
            return alias, path, target
    return None


def _tray(entry: Entry, data: Mapping[str, Any]) -> Iterator[Happening]:
    found = _disk(entry, "", str(data.get("id") or data.get("device") or ""))
    if found is not None:
        yield "tray_change", (found[0], 0 if data.get("tray-open") else 1)


def _threshold(entry: Entry, data: Mapping[str, Any]) -> Iterator[Happening]:
    found = _disk(entry, str(data.get("node-name") or ""), "")
    if found is not None:
        yield "block_threshold", (found[2], found[1], data.get("write-threshold", 0), data.get("amount-exceeded", 0))


def _plain(name: str, *args: Any) -> Rule:
    def rule(entry: Entry, data: Mapping[str, Any]) -> Iterator[Happening]:
        yield name, args

    return rule


def _balloon(entry: Entry, data: Mapping[str, Any]) -> Iterator[Happening]:
    yield "balloon_change", (int(data.get("actual", 0)) // 1024,)


def _unplug_failed(entry: Entry, data: Mapping[str, Any]) -> Iterator[Happening]:
    if data.get("device"):
        yield "device_removal_failed", (data["device"],)


def _memory_size(entry: Entry, data: Mapping[str, Any]) -> Iterator[Happening]:
    if data.get("id"):
        yield "memory_device_size_change", (data["id"], int(data.get("size", 0)) // 1024)


def _memory_failure(entry: Entry, data: Mapping[str, Any]) -> Iterator[Happening]:
    recipient, action, said = data.get("recipient"), data.get("action"), data.get("flags") or {}
    if recipient in _RECIPIENT and action in _FAILURE:
        flags = (_ACTION_REQUIRED if said.get("action-required") else 0) | (_RECURSIVE if said.get("recursive") else 0)
        yield "memory_failure", (_RECIPIENT.index(recipient), _FAILURE.index(action), flags)


def _iteration(entry: Entry, data: Mapping[str, Any]) -> Iterator[Happening]:
    yield "migration_iteration", (int(data.get("pass", 0)),)


def _port(entry: Entry, data: Mapping[str, Any]) -> Iterator[Happening]:
    """Note whether a program of the guest holds a channel open; that of its agent is told of."""
    if entry.live is not None and set_port(entry, str(data.get("id")), bool(data.get("open"))):
        yield "agent_lifecycle", (CONNECTED if data.get("open") else DISCONNECTED, _BY_CHANNEL)


def set_port(entry: Entry, alias: str, opened: bool) -> bool:
    """Note whether a channel is open; say whether it is the agent's."""
    assert entry.live is not None
    (entry.live.open_ports.add if opened else entry.live.open_ports.discard)(alias)
    domain = _domain(entry)
    if show_ports(domain, entry.live.open_ports):
        entry.live.xml = document.write(domain)
    channel = agent_of(domain)
    return channel is not None and channel.alias is not None and channel.alias.name == alias


def show_ports(domain: Domain, opened: set[str]) -> bool:
    """Write into a running machine's document which channels are open; say whether that changed it."""
    changed = False
    for channel in domain.devices.of(Channel) if domain.devices is not None else []:
        target, alias = channel.target, (channel.alias.name if channel.alias is not None else None) or ""
        if isinstance(target, VirtioTarget):
            state = "connected" if alias in opened else "disconnected"
            if target.state != state:
                target.state, changed = state, True
    return changed


def agent_of(domain: Domain) -> Channel | None:
    """Find the channel of the guest's agent."""
    channels = domain.devices.of(Channel) if domain.devices is not None else []
    return next((c for c in channels if isinstance(c.target, VirtioTarget) and c.target.name == AGENT), None)


def _graphics(phase: int) -> Rule:
    def rule(entry: Entry, data: Mapping[str, Any]) -> Iterator[Happening]:
        server, client = data.get("server") or {}, data.get("client") or {}
        who = [
            (kind, str(client[key]))
            for key, kind in (("x509_dname", "x509dname"), ("sasl_username", "saslUsername"))
            if client.get(key)
        ]
        yield "graphics", (phase, _address(server), _address(client), str(server.get("auth") or ""), who)

    return rule


def _address(end: Mapping[str, Any]) -> tuple[int, str, str]:
    return (
        _FAMILY.get(str(end.get("family")), 0),
        str(end.get("host") or ""),
        str(end.get("service") or end.get("port") or ""),
    )


_RULES: dict[str, Rule] = {
    "RTC_CHANGE": _rtc,
    "WATCHDOG": _watchdog,
    "BLOCK_IO_ERROR": _io_error,
    "BLOCK_WRITE_THRESHOLD": _threshold,
    "DEVICE_TRAY_MOVED": _tray,
    "WAKEUP": _plain("pmwakeup"),
    "SUSPEND": _plain("pmsuspend"),
    "SUSPEND_DISK": _plain("pmsuspend_disk"),
    "BALLOON_CHANGE": _balloon,
    "MEM_UNPLUG_ERROR": _unplug_failed,
    "DEVICE_UNPLUG_GUEST_ERROR": _unplug_failed,
    "MEMORY_DEVICE_SIZE_CHANGE": _memory_size,
    "MEMORY_FAILURE": _memory_failure,
    "MIGRATION_PASS": _iteration,
    "VSERPORT_CHANGE": _port,
    "VNC_CONNECTED": _graphics(0),
    "VNC_INITIALIZED": _graphics(1),
    "VNC_DISCONNECTED": _graphics(2),
    "SPICE_CONNECTED": _graphics(0),
    "SPICE_INITIALIZED": _graphics(1),
    "SPICE_DISCONNECTED": _graphics(2),
}
