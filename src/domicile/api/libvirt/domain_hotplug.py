"""Handlers that add, take out and change a domain's devices, stored and live.

`doors` merges them with the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from domicile.api.libvirt.author import author
from domicile.api.libvirt.flags import Affect, affected, known
from domicile.api.libvirt.reference import entry_of
from domicile.api.libvirt.registry import Registry
from domicile.devices.interface import Interface
from domicile.domain.edit import devices as edit
from domicile.rpc.calls import domain_device as calls
from domicile.rpc.types import Domain
from domicile.schema import tree
from domicile.service import hotplug

if TYPE_CHECKING:
    from domicile.api.libvirt.session import Session
    from domicile.devices.parts.device import Device
    from domicile.domain.domain import Domain as Document
    from domicile.service.changes import Running
    from domicile.service.service import Service

handlers: Registry[Service] = Registry()
_FORCE = 4


def _nothing(domain: Document) -> None:
    """Change no document: what is done to the machine changes its document, too."""


@handlers.handle(calls.domain_attach_device_flags)
async def attach_device_flags(conn: Session[Service], dom: Domain, xml: str, flags: int) -> None:
    """Add a device."""
    known(flags, 3, "domain_attach_device_flags")
    await _attach(conn, dom, xml, flags)


@handlers.handle(calls.domain_attach_device)
async def attach_device(conn: Session[Service], dom: Domain, xml: str) -> None:
    """Add a device to a running machine."""
    await _attach(conn, dom, xml, Affect.LIVE)


async def _attach(conn: Session[Service], dom: Domain, xml: str, flags: int) -> None:
    entry = entry_of(conn, dom)
    live, config = affected(entry, flags)
    device = edit.parse(xml)
    hotplug.agree(device)
    if not edit.alone(device):
        await conn.context.changes.judge(entry, device, config=config)
    added: list[str] = []

    def stored(domain: Document) -> None:
        edit.insert(domain, tree.copy(device))

    def running(domain: Document) -> None:
        hotplug.check_attach(domain, device)

    async def act(state: Running) -> None:
        added.append(await hotplug.attach(state, device))

    await conn.context.changes.apply(
        entry, author(conn, "attach-device"), live=live, config=config, stored=stored, running=running, act=act
    )
    for alias in filter(None, added):
        conn.context.happened(entry, "device_added", alias)


@handlers.handle(calls.domain_detach_device_flags)
async def detach_device_flags(conn: Session[Service], dom: Domain, xml: str, flags: int) -> None:
    """Take a device out."""
    known(flags, 3, "domain_detach_device_flags")
    await _detach(conn, dom, edit.parse(xml), flags)


@handlers.handle(calls.domain_detach_device)
async def detach_device(conn: Session[Service], dom: Domain, xml: str) -> None:
    """Take a device out of a running machine."""
    affected(entry_of(conn, dom), Affect.LIVE)
    await _detach(conn, dom, edit.parse(xml), Affect.LIVE)


async def _detach(conn: Session[Service], dom: Domain, device: Device, flags: int) -> None:
    entry = entry_of(conn, dom)
    live, config = affected(entry, flags)
    strict = isinstance(device, Interface)
    device = await conn.context.changes.normal(entry, device, config=not live, strict=strict)

    async def act(state: Running) -> None:
        await hotplug.detach(state, device)

    await conn.context.changes.apply(
        entry, author(conn, "detach-device"), live=live, config=config,
        stored=lambda domain: edit.detach(domain, device), running=lambda domain: hotplug.check_detach(domain, device), act=act,
    )  # fmt: skip


@handlers.handle(calls.domain_detach_device_alias)
async def detach_device_alias(conn: Session[Service], dom: Domain, alias: str, flags: int) -> None:
    """Take out the device of that name."""
    known(flags, 3, "domain_detach_device_alias")
    entry = entry_of(conn, dom)
    live, config = affected(entry, flags)

    async def act(state: Running) -> None:
        await hotplug.detach(state, edit.named(state.domain, alias), by_name=True)

    await conn.context.changes.apply(
        entry, author(conn, "detach-device-alias"), live=live, config=config,
        stored=lambda domain: edit.remove(domain, edit.named(domain, alias)),
        running=lambda domain: hotplug.check_detach(domain, edit.named(domain, alias), by_name=True), act=act,
    )  # fmt: skip


@handlers.handle(calls.domain_update_device_flags)
async def update_device_flags(conn: Session[Service], dom: Domain, xml: str, flags: int) -> None:
    """Change a device: the medium of a drive, the cable of an interface, a display's password."""
    known(flags, 3 | _FORCE, "domain_update_device_flags")
    entry = entry_of(conn, dom)
    live, config = affected(entry, flags)
    device = edit.parse(xml)
    if not hotplug.changes(device):
        await conn.context.changes.judge(entry, device, config=config)
    filled = await conn.context.changes.normal(entry, device, config=not live)

    async def act(state: Running) -> None:
        await hotplug.update(state, filled, force=bool(flags & _FORCE))

    await conn.context.changes.apply(
        entry, author(conn, "update-device"), live=live, config=config,
        stored=lambda domain: edit.update(domain, tree.copy(device)), running=_nothing, act=act,
    )  # fmt: skip
