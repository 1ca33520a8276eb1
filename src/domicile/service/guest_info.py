"""All that a guest's agent tells about its guest, in libvirt's names. Called by the front door for `guestinfo`.

Source of the names and groups: libvirt's documentation of virDomainGetGuestInfo.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from domicile.domain import document
from domicile.domain.domain import Domain
from domicile.runtime.agent import AgentRefused
from domicile.service.guest import FileSystem, GuestInterface, malformed, records, target_of

if TYPE_CHECKING:
    from domicile.service.entry import Entry
    from domicile.service.service import Service

#: A name, libvirt's number of the value's type, the value.
Param = tuple[str, int, int | str]
_INT, _UINT, _ULLONG, _BOOLEAN, _STRING = 1, 2, 4, 6, 7
_MISSING = ("CommandNotFound", "CommandDisabled")
_OS = (
    ("id", "id"), ("name", "name"), ("pretty-name", "pretty-name"), ("version", "version"), ("version-id", "version-id"),
    ("machine", "machine"), ("variant", "variant"), ("variant-id", "variant-id"), ("kernel-release", "kernel-release"),
    ("kernel-version", "kernel-version"),
)  # fmt: skip


async def of(service: Service, entry: Entry, groups: int) -> list[Param]:
    """Give the groups asked for; for 0 all that this agent knows.

    Raises: WrongState, NoAnswer; AgentRefused where a group asked for by name is not known to the agent.
    """
    service.agents.check(entry)
    found: list[Param] = []
    for bit, group in _GROUPS.items():
        if groups and not groups & bit:
            continue
        try:
            found += await group(service, entry)
        except AgentRefused as refusal:
            if groups or refusal.kind not in _MISSING:
                raise
    return found


async def _users(service: Service, entry: Entry) -> list[Param]:
    found = records(await service.agents.ask(entry, "guest-get-users"), "guest-get-users")
    params: list[Param] = [("user.count", _UINT, len(found))]
    for index, user in enumerate(found):
        params.append((f"user.{index}.name", _STRING, _text(user.get("user"), "guest-get-users")))
        if isinstance(user.get("domain"), str):
            params.append((f"user.{index}.domain", _STRING, user["domain"]))
        since = user.get("login-time")
        if not isinstance(since, int | float):
            raise malformed("guest-get-users")
        params.append((f"user.{index}.login-time", _ULLONG, max(0, int(since * 1000))))
    return params


async def _os(service: Service, entry: Entry) -> list[Param]:
    found = _object(await service.agents.ask(entry, "guest-get-osinfo"), "guest-get-osinfo")
    return [(f"os.{name}", _STRING, found[key]) for key, name in _OS if isinstance(found.get(key), str)]


async def _timezone(service: Service, entry: Entry) -> list[Param]:
    found = _object(await service.agents.ask(entry, "guest-get-timezone"), "guest-get-timezone")
    offset = found.get("offset")
    if not isinstance(offset, int):
        raise malformed("guest-get-timezone")
    name: list[Param] = [("timezone.name", _STRING, found["zone"])] if isinstance(found.get("zone"), str) else []
    return [*name, ("timezone.offset", _INT, offset)]


async def _hostname(service: Service, entry: Entry) -> list[Param]:
    return [("hostname", _STRING, await service.guest.hostname(entry, lease=False))]


async def _file_systems(service: Service, entry: Entry) -> list[Param]:
    found = await service.guest.file_systems(entry)
    domain = document.read_stored(entry.live.xml) if entry.live is not None else Domain()
    params: list[Param] = [("fs.count", _UINT, len(found))]
    for index, each in enumerate(found):
        params += _file_system(f"fs.{index}", each, domain)
    return params


def _file_system(prefix: str, each: FileSystem, domain: Domain) -> Iterator[Param]:
    yield f"{prefix}.name", _STRING, each.name
    yield f"{prefix}.mountpoint", _STRING, each.mountpoint
    yield f"{prefix}.fstype", _STRING, each.kind
    for key in ("total-bytes", "used-bytes"):
        if isinstance(each.known.get(key), int):
            yield f"{prefix}.{key}", _ULLONG, each.known[key]
    disks = records(each.known.get("disk", []), "guest-get-fsinfo")
    yield f"{prefix}.disk.count", _UINT, len(disks)
    for number, disk in enumerate(disks):
        alias = target_of(disk, domain)
        if alias is not None:
            yield f"{prefix}.disk.{number}.alias", _STRING, alias
        for key, name in (("serial", "serial"), ("dev", "device")):
            if isinstance(disk.get(key), str):
                yield f"{prefix}.disk.{number}.{name}", _STRING, disk[key]


async def _disks(service: Service, entry: Entry) -> list[Param]:
    found = records(await service.agents.ask(entry, "guest-get-disks"), "guest-get-disks")
    domain = document.read_stored(entry.live.xml) if entry.live is not None else Domain()
    params: list[Param] = [("disk.count", _UINT, len(found))]
    for index, each in enumerate(found):
        params += _disk(f"disk.{index}", each, domain)
    return params


def _disk(prefix: str, each: Mapping[str, Any], domain: Domain) -> Iterator[Param]:
    yield f"{prefix}.name", _STRING, _text(each.get("name"), "guest-get-disks")
    yield f"{prefix}.partition", _BOOLEAN, int(bool(each.get("partition")))
    below = [name for name in each.get("dependencies") or [] if isinstance(name, str)]
    if below:
        yield f"{prefix}.dependency.count", _UINT, len(below)
        for number, name in enumerate(below):
            yield f"{prefix}.dependency.{number}.name", _STRING, name
    place = each.get("address")
    if isinstance(place, dict):
        if isinstance(place.get("serial"), str):
            yield f"{prefix}.serial", _STRING, place["serial"]
        alias = target_of(place, domain)
        if alias is not None:
            yield f"{prefix}.alias", _STRING, alias
    if isinstance(each.get("alias"), str):
        yield f"{prefix}.guest_alias", _STRING, each["alias"]
    if isinstance(place, dict) and isinstance(place.get("bus-type"), str):
        yield f"{prefix}.guest_bus", _STRING, place["bus-type"]


async def _interfaces(service: Service, entry: Entry) -> list[Param]:
    found = await service.guest.interfaces(entry)
    params: list[Param] = [("if.count", _UINT, len(found))]
    for index, each in enumerate(found):
        params += _interface(f"if.{index}", each)
    return params


def _interface(prefix: str, each: GuestInterface) -> Iterator[Param]:
    yield f"{prefix}.name", _STRING, each.name
    if each.mac is not None:
        yield f"{prefix}.hwaddr", _STRING, each.mac
    if each.addresses:
        yield f"{prefix}.addr.count", _UINT, len(each.addresses)
    for number, address in enumerate(each.addresses):
        yield f"{prefix}.addr.{number}.type", _STRING, ("ipv4", "ipv6")[address.kind]
        yield f"{prefix}.addr.{number}.addr", _STRING, address.text
        yield f"{prefix}.addr.{number}.prefix", _UINT, address.prefix


def _text(found: Any, command: str) -> str:
    if not isinstance(found, str):
        raise malformed(command)
    return found


def _object(found: Any, command: str) -> Mapping[str, Any]:
    if not isinstance(found, dict):
        raise malformed(command)
    return found


# Source: virDomainGuestInfoTypes.
_GROUPS: dict[int, Callable[[Service, Entry], Awaitable[list[Param]]]] = {
    1: _users,
    2: _os,
    4: _timezone,
    8: _hostname,
    16: _file_systems,
    32: _disks,
    64: _interfaces,
}
KNOWN = 127
