"""Handlers of calls that open descriptors come with: a viewer's socket for a display, an image that the client opened.

`doors` merges them with the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from domicile.api.libvirt.flags import known
from domicile.api.libvirt.reference import entry_of
from domicile.api.libvirt.registry import Registry
from domicile.base.errors import InvalidRequest
from domicile.rpc.call import WithFiles
from domicile.rpc.calls import domain, domain_device
from domicile.rpc.types import Domain
from domicile.service import displays

if TYPE_CHECKING:
    from domicile.api.libvirt.session import Session
    from domicile.service.service import Service

handlers: Registry[Service] = Registry()
_SKIP_AUTH = 1
_SECLABEL_RESTORE, _SECLABEL_WRITABLE = 1, 2


@handlers.handle_files(domain_device.domain_open_graphics)
async def open_graphics(conn: Session[Service], fds: tuple[int, ...], dom: Domain, index: int, flags: int) -> None:
    """Let a display serve the viewer at the other end of the client's socket."""
    known(flags, _SKIP_AUTH, "domain_open_graphics")
    if len(fds) != 1:
        raise InvalidRequest(f"one descriptor belongs to this call, {len(fds)} came with it")
    skip = bool(flags & _SKIP_AUTH)
    await displays.hand_over(conn.context, entry_of(conn, dom), index, fds[0], skip_auth=skip)


@handlers.answer_files(domain_device.domain_open_graphics_fd)
async def open_graphics_fd(conn: Session[Service], dom: Domain, index: int, flags: int) -> WithFiles:
    """Give the client a socket on whose other end a display serves."""
    known(flags, _SKIP_AUTH, "domain_open_graphics_fd")
    skip = bool(flags & _SKIP_AUTH)
    return WithFiles(None, (await displays.connect(conn.context, entry_of(conn, dom), index, skip_auth=skip),))


@handlers.handle_files(domain.domain_fd_associate)
def fd_associate(conn: Session[Service], fds: tuple[int, ...], dom: Domain, name: str, flags: int) -> None:
    """Keep descriptors for a domain's images (fdgroup), as long as the client stays."""
    known(flags, _SECLABEL_RESTORE | _SECLABEL_WRITABLE, "domain_fd_associate")
    groups, uuid = conn.context.resources.groups, entry_of(conn, dom).uuid
    group = groups.put(uuid, name, fds)
    conn.on_close(lambda: groups.drop(uuid, name, group))
