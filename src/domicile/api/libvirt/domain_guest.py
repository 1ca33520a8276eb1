"""Handlers of what the guest is asked through its agent.

`doors` merges them with the others.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from domicile.api.libvirt.author import author
from domicile.api.libvirt.flags import known
from domicile.api.libvirt.reference import entry_of, machine_of
from domicile.api.libvirt.registry import Registry
from domicile.base.errors import DomicileError, InvalidRequest
from domicile.rpc.calls import domain, domain_guest, qemu
from domicile.rpc.records import DomainInterface, FsInfo, IpAddress
from domicile.rpc.types import Domain, TypedParam
from domicile.service import guest_info
from domicile.service.guest import GuestInterface

if TYPE_CHECKING:
    from domicile.api.libvirt.session import Session
    from domicile.service.service import Service

handlers: Registry[Service] = Registry()
_LEASE, _AGENT = 1, 2
_ENCRYPTED = 1
_SYNC = 1
_APPEND, _REMOVE = 1, 2
_STRING = 7
_BY_LEASE, _BY_AGENT, _BY_ARP = range(3)
_LISTED = re.compile(r"(\^?)(\d+)(?:-(\d+))?")
_CPUS_MAX = 16_384


@handlers.handle(domain_guest.domain_get_hostname)
async def get_hostname(conn: Session[Service], dom: Domain, flags: int) -> str:
    """Give the guest's own name."""
    known(flags, _LEASE | _AGENT, "domain_get_hostname")
    if flags == _LEASE | _AGENT:
        raise InvalidRequest("Flags 'VIR_DOMAIN_GET_HOSTNAME_LEASE' and '…_AGENT' are mutually exclusive")
    entry, _ = machine_of(conn, dom)
    return await conn.context.guest.hostname(entry, lease=flags == _LEASE)


@handlers.handle(domain_guest.domain_fstrim)
async def fstrim(conn: Session[Service], dom: Domain, mountpoint: str | None, minimum: int, flags: int) -> None:
    """Give unused blocks of the guest's file systems back."""
    known(flags, 0, "domain_fstrim")
    entry, _ = machine_of(conn, dom)
    await conn.context.guest.trim(entry, mountpoint, minimum)


@handlers.handle(domain_guest.domain_fsfreeze)
async def fsfreeze(conn: Session[Service], dom: Domain, mountpoints: list[str], flags: int) -> int:
    """Hold the guest's file systems still."""
    known(flags, 0, "domain_fsfreeze")
    entry, _ = machine_of(conn, dom)
    return await conn.context.guest.freeze(entry, mountpoints)


@handlers.handle(domain_guest.domain_fsthaw)
async def fsthaw(conn: Session[Service], dom: Domain, mountpoints: list[str], flags: int) -> int:
    """Let the guest's file systems go on."""
    known(flags, 0, "domain_fsthaw")
    if mountpoints:
        raise DomicileError("specifying mount points is not supported: all are thawed at once", code=74)
    entry, _ = machine_of(conn, dom)
    return await conn.context.guest.thaw(entry)


@handlers.handle(domain_guest.domain_get_time)
async def get_time(conn: Session[Service], dom: Domain, flags: int) -> tuple[int, int]:
    """Give the guest's time."""
    known(flags, 0, "domain_get_time")
    entry, _ = machine_of(conn, dom)
    return await conn.context.guest.time(entry)


@handlers.handle(domain_guest.domain_set_time)
async def set_time(conn: Session[Service], dom: Domain, seconds: int, nseconds: int, flags: int) -> None:
    """Set the guest's time."""
    known(flags, _SYNC, "domain_set_time")
    entry, _ = machine_of(conn, dom)
    await conn.context.guest.set_time(entry, seconds, nseconds, from_rtc=bool(flags & _SYNC))


@handlers.handle(domain_guest.domain_get_fsinfo)
async def get_fsinfo(conn: Session[Service], dom: Domain, flags: int) -> tuple[list[FsInfo], int]:
    """List the guest's mounted file systems."""
    known(flags, 0, "domain_get_fsinfo")
    entry, _ = machine_of(conn, dom)
    found = await conn.context.guest.file_systems(entry)
    return [FsInfo(each.mountpoint, each.name, each.kind, list(each.disks)) for each in found], len(found)


@handlers.handle(domain_guest.domain_interface_addresses)
async def interface_addresses(conn: Session[Service], dom: Domain, source: int, flags: int) -> list[DomainInterface]:
    """List the addresses of the guest's interfaces."""
    known(flags, 0, "domain_interface_addresses")
    entry, _ = machine_of(conn, dom)
    guest = conn.context.guest
    if source == _BY_AGENT:
        return [_interface(each) for each in await guest.interfaces(entry)]
    if source == _BY_ARP:
        return [_interface(each) for each in guest.neighbours(entry)]
    if source != _BY_LEASE:
        raise DomicileError(f"Unknown IP address data source {source}; 0 to 2 are known", code=74)
    return [_interface(each) for each in await guest.leased(entry)]


def _interface(found: GuestInterface) -> DomainInterface:
    addresses = [IpAddress(each.kind, each.text, each.prefix) for each in found.addresses]
    return DomainInterface(found.name, found.mac, addresses)


@handlers.handle(domain_guest.domain_set_user_password)
async def set_user_password(
    conn: Session[Service], dom: Domain, user: str | None, password: str | None, flags: int
) -> None:
    """Set the password of one of the guest's users."""
    known(flags, _ENCRYPTED, "domain_set_user_password")
    if user is None or password is None:
        raise InvalidRequest("a user's name and a password are needed")
    entry, _ = machine_of(conn, dom)
    who, encrypted = author(conn, "set-user-password"), bool(flags & _ENCRYPTED)
    await conn.context.guest.set_password(entry, user, password, who, encrypted=encrypted)


@handlers.handle(domain_guest.domain_authorized_ssh_keys_get)
async def ssh_keys_get(conn: Session[Service], dom: Domain, user: str, flags: int) -> list[str]:
    """List the keys that let somebody in as one of the guest's users."""
    known(flags, 0, "domain_authorized_ssh_keys_get")
    entry, _ = machine_of(conn, dom)
    return await conn.context.guest.ssh_keys(entry, user)


@handlers.handle(domain_guest.domain_authorized_ssh_keys_set)
async def ssh_keys_set(conn: Session[Service], dom: Domain, user: str, keys: list[str], flags: int) -> None:
    """Change the keys that let somebody in as one of the guest's users."""
    known(flags, _APPEND | _REMOVE, "domain_authorized_ssh_keys_set")
    if flags == _APPEND | _REMOVE:
        raise InvalidRequest("keys are either appended or removed")
    if flags and not keys:
        raise InvalidRequest("no keys are given that could be appended or removed")
    entry, _ = machine_of(conn, dom)
    who = author(conn, "set-user-sshkeys")
    await conn.context.guest.set_ssh_keys(
        entry, user, keys, who, append=bool(flags & _APPEND), remove=bool(flags & _REMOVE)
    )


@handlers.handle(domain_guest.domain_get_guest_vcpus)
async def get_guest_vcpus(conn: Session[Service], dom: Domain, flags: int) -> list[TypedParam]:
    """Say which CPUs the guest has, uses, and could stop using."""
    known(flags, 0, "domain_get_guest_vcpus")
    entry, _ = machine_of(conn, dom)
    found = await conn.context.guest.vcpus(entry)
    return [TypedParam(name, _STRING, _listed(numbers)) for name, numbers in found.items()]


def _listed(numbers: list[int]) -> str:
    """Write numbers as a list with runs: 0-2,5."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


@handlers.handle(domain_guest.domain_set_guest_vcpus)
async def set_guest_vcpus(conn: Session[Service], dom: Domain, cpumap: str, state: int, flags: int) -> None:
    """Let the guest use CPUs or stop using them."""
    known(flags, 0, "domain_set_guest_vcpus")
    if state not in (0, 1):
        raise InvalidRequest(f"unsupported state value {state}; 0 and 1 are")
    entry, _ = machine_of(conn, dom)
    who = author(conn, "setguestvcpus")
    await conn.context.guest.set_vcpus(entry, sorted(_cpus(cpumap)), who, online=bool(state))


def _cpus(text: str) -> set[int]:
    """Read a list with runs and exceptions: 0-3,^2."""
    found: set[int] = set()
    for word in text.split(","):
        match = _LISTED.fullmatch(word.strip())
        if match is None or int(match[2]) > _CPUS_MAX or int(match[3] or 0) > _CPUS_MAX:
            raise InvalidRequest(f"'{text}' is no list of CPUs; one such as 0-3,^2 would be accepted")
        numbers = range(int(match[2]), int(match[3] or match[2]) + 1)
        (found.difference_update if match[1] else found.update)(numbers)
    if not found:
        raise InvalidRequest(f"'{text}' names no CPU")
    return found


@handlers.handle(domain_guest.domain_get_guest_info)
async def get_guest_info(conn: Session[Service], dom: Domain, types: int, flags: int) -> list[TypedParam]:
    """Give all that the agent tells about the guest."""
    known(flags, 0, "domain_get_guest_info")
    if types & ~guest_info.KNOWN:
        raise InvalidRequest(f"unsupported guest information types '{types:#x}'; {guest_info.KNOWN:#x} are known")
    entry, _ = machine_of(conn, dom)
    return [TypedParam(*param) for param in await guest_info.of(conn.context, entry, types)]


@handlers.handle(domain_guest.domain_agent_set_response_timeout)
def set_response_timeout(conn: Session[Service], dom: Domain, timeout: int, flags: int) -> int:
    """Say how long the agent may take."""
    known(flags, 0, "domain_agent_set_response_timeout")
    conn.context.agents.set_timeout(entry_of(conn, dom), timeout)
    return 0


@handlers.handle(qemu.qemu_domain_agent_command)
async def agent_command(
    conn: Session[Service],
    dom: Domain,
    command: str,
    timeout: int,  # noqa: ASYNC109 - the wire's name
    flags: int,
) -> str | None:
    """Pass a client's own words to the agent."""
    known(flags, 0, "qemu_domain_agent_command")
    entry, _ = machine_of(conn, dom)
    return await conn.context.agents.raw(entry, command, timeout, author(conn, "qemu-agent-command"))


@handlers.handle(domain.domain_pm_suspend_for_duration)
async def pm_suspend(conn: Session[Service], dom: Domain, target: int, duration: int, flags: int) -> None:
    """Put the guest to sleep."""
    known(flags, 0, "domain_pm_suspend_for_duration")
    entry, _ = machine_of(conn, dom)
    await conn.context.guest.sleep(entry, target, duration, author(conn, "dompmsuspend"))
