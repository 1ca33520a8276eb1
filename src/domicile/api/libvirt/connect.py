"""Handlers of the connection: opening, what and where this is, what it can run.

`doors` merges them with the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from domicile.api.libvirt.flags import known
from domicile.api.libvirt.registry import Registry
from domicile.base.errors import DomicileError, InvalidRequest, Unsupported
from domicile.rpc.calls import connect
from domicile.rpc.types import TypedParam
from domicile.service import capabilities_xml, domain_capabilities, node

if TYPE_CHECKING:
    from domicile.api.libvirt.session import Session
    from domicile.plan.capabilities import Capabilities
    from domicile.service.service import Service

handlers: Registry[Service] = Registry()
NO_CONNECT = 5
_READ_ONLY = 1


@handlers.handle(connect.connect_open)
def open_(conn: Session[Service], name: str | None, flags: int) -> None:
    """Open: any URI of QEMU's is this daemon; a client may bind itself to reading.

    libvirt's library sends its own notes among the flags (a user's connection, a daemon to be started): they say nothing here.
    """
    scheme = (name or "qemu").partition(":")[0].partition("+")[0]
    if scheme not in ("qemu", "domicile"):
        raise DomicileError(name or "", code=NO_CONNECT, domain=0)
    conn.read_only = conn.read_only or bool(flags & _READ_ONLY)


@handlers.handle(connect.connect_get_type)
def get_type(conn: Session[Service]) -> str:
    """Name the hypervisor as clients know it."""
    return "QEMU"


@handlers.handle(connect.connect_get_version)
async def get_version(conn: Session[Service]) -> int:
    """Give the version of the QEMU for this host's own architecture."""
    arch, emulators = conn.context.host.arch, conn.context.emulators
    await emulators.ensure(None, arch)
    caps = emulators.find(None, arch)
    if caps is None:
        raise Unsupported(f"there is no QEMU for architecture {arch}")
    return node.version_number(caps.version)


@handlers.handle(connect.connect_get_lib_version)
def get_lib_version(conn: Session[Service]) -> int:
    """Give the version of libvirt whose behaviour this is."""
    return node.version_number(conn.context.host.libvirt)


@handlers.handle(connect.connect_get_uri)
def get_uri(conn: Session[Service]) -> str:
    """Give the URI that leads here."""
    return "qemu:///system" if conn.context.host.privileged else "qemu:///session"


@handlers.handle(connect.connect_get_hostname)
def get_hostname(conn: Session[Service]) -> str:
    """Name the host."""
    return node.hostname()


@handlers.handle(connect.connect_get_max_vcpus)
def get_max_vcpus(conn: Session[Service], type: str | None) -> int:
    """Give the most virtual CPUs that a domain of that type may have by libvirt's old rule."""
    if type is not None and type.lower() not in ("qemu", "kvm"):
        raise InvalidRequest(f"unknown type '{type}'")
    return node.max_vcpus(kvm=type is not None and type.lower() == "kvm")


@handlers.handle(connect.connect_get_capabilities)
async def get_capabilities(conn: Session[Service]) -> str:
    """Describe host and guests."""
    emulators = conn.context.emulators
    guests: dict[str, Capabilities] = {}
    for arch in emulators.usual():
        await emulators.ensure(None, arch)
        caps = emulators.find(None, arch)
        if caps is not None:
            guests[arch] = caps
    user = conn.context.resources.user
    return capabilities_xml.write(guests, node.host_uuid(), (user.uid, user.gid) if user is not None else None)


@handlers.handle(connect.connect_get_domain_capabilities)
async def get_domain_capabilities(
    conn: Session[Service],
    emulator: str | None,
    arch: str | None,
    machine: str | None,
    virttype: str | None,
    flags: int,
) -> str:
    """Describe what one emulator gives a machine."""
    known(flags, 1, "connect_get_domain_capabilities")
    service = conn.context
    await service.emulators.ensure(emulator, arch or service.host.arch)
    wish = domain_capabilities.Wish(emulator, arch, machine, virttype)
    return domain_capabilities.write(wish, service.host, service.emulators.find)


@handlers.handle(connect.connect_get_sysinfo)
def get_sysinfo(conn: Session[Service], flags: int) -> str:
    """Refuse: the host's own SMBIOS tables are not read."""
    known(flags, 0, "connect_get_sysinfo")
    raise Unsupported("Host SMBIOS information is not available")


@handlers.handle(connect.connect_set_identity)
def set_identity(conn: Session[Service], params: list[TypedParam], flags: int) -> None:
    """Accept it from a proxy without believing it: the kernel's word about the peer stands."""
