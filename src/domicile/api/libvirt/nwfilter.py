"""Handlers of network filters and their bindings. `doors` merges them with the others."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from domicile.api.libvirt.author import author
from domicile.api.libvirt.flags import known
from domicile.api.libvirt.registry import Registry
from domicile.filters import document
from domicile.filters.document import FROM_NWFILTER
from domicile.rpc.calls import nwfilter
from domicile.rpc.types import NwFilter, NwFilterBinding

if TYPE_CHECKING:
    from domicile.api.libvirt.session import Session
    from domicile.service import filters
    from domicile.service.filter_bindings import Bound
    from domicile.service.service import Service

handlers: Registry[Service] = Registry()
_VALIDATE = 1


def _of(conn: Session[Service], ref: NwFilter) -> filters.NwFilter:
    return conn.context.filters.all.by_uuid(str(UUID(bytes=ref.uuid)), ref.name)


def _reference(found: filters.NwFilter) -> NwFilter:
    if found.ref is None:
        found.ref = NwFilter(found.name, UUID(found.uuid).bytes)
    ref: NwFilter = found.ref
    return ref


def _binding(bound: Bound) -> NwFilterBinding:
    return NwFilterBinding(bound.binding.device, bound.binding.filter)


@handlers.handle(nwfilter.connect_num_of_nwfilters)
def count(conn: Session[Service]) -> int:
    """Count the filters."""
    return len(conn.context.filters.all)


@handlers.handle(nwfilter.connect_list_nwfilters)
def names(conn: Session[Service], maxnames: int) -> list[str]:
    """Name the filters."""
    return [found.name for found in conn.context.filters.all][: max(0, maxnames)]


@handlers.handle(nwfilter.connect_list_all_nwfilters)
def list_all(conn: Session[Service], need_results: int, flags: int) -> tuple[list[NwFilter], int]:
    """List the filters."""
    known(flags, 0, "connect_list_all_nwfilters", FROM_NWFILTER)
    found = list(conn.context.filters.all)
    return [_reference(one) for one in found] if need_results else [], len(found)


@handlers.handle(nwfilter.nwfilter_lookup_by_name)
def by_name(conn: Session[Service], name: str) -> NwFilter:
    """Find a filter."""
    return _reference(conn.context.filters.all.by_name(name))


@handlers.handle(nwfilter.nwfilter_lookup_by_uuid)
def by_uuid(conn: Session[Service], uuid: bytes) -> NwFilter:
    """Find a filter."""
    return _reference(conn.context.filters.all.by_uuid(str(UUID(bytes=uuid))))


@handlers.handle(nwfilter.nwfilter_get_xml_desc)
def get_xml_desc(conn: Session[Service], nwfilter: NwFilter, flags: int) -> str:
    """Write a filter's document."""
    known(flags, 0, "nwfilter_get_xml_desc", FROM_NWFILTER)
    return conn.context.filters.xml(_of(conn, nwfilter))


@handlers.handle(nwfilter.nwfilter_define_xml)
async def define(conn: Session[Service], xml: str) -> NwFilter:
    """Store a definition."""
    return _reference(await conn.context.filters.define(xml, author(conn, "nwfilter-define")))


@handlers.handle(nwfilter.nwfilter_define_xml_flags)
async def define_flags(conn: Session[Service], xml: str, flags: int) -> NwFilter:
    """Store a definition."""
    known(flags, _VALIDATE, "nwfilter_define_xml_flags", FROM_NWFILTER)
    who = author(conn, "nwfilter-define")
    return _reference(await conn.context.filters.define(xml, who, strict=bool(flags & _VALIDATE)))


@handlers.handle(nwfilter.nwfilter_undefine)
async def undefine(conn: Session[Service], nwfilter: NwFilter) -> None:
    """Take a definition out of service."""
    await conn.context.filters.undefine(_of(conn, nwfilter), author(conn, "nwfilter-undefine"))


# Bindings.


@handlers.handle(nwfilter.connect_list_all_nwfilter_bindings)
def list_bindings(conn: Session[Service], need_results: int, flags: int) -> tuple[list[NwFilterBinding], int]:
    """List the interfaces that have a filter."""
    known(flags, 0, "connect_list_all_nwfilter_bindings", FROM_NWFILTER)
    found = list(conn.context.filters.bindings)
    return [_binding(one) for one in found] if need_results else [], len(found)


@handlers.handle(nwfilter.nwfilter_binding_lookup_by_port_dev)
def binding_of(conn: Session[Service], name: str) -> NwFilterBinding:
    """Find an interface's filter."""
    return _binding(conn.context.filters.bindings.by_device(name))


@handlers.handle(nwfilter.nwfilter_binding_get_xml_desc)
def binding_xml(conn: Session[Service], binding: NwFilterBinding, flags: int) -> str:
    """Write a binding's document."""
    known(flags, 0, "nwfilter_binding_get_xml_desc", FROM_NWFILTER)
    return document.write_binding(conn.context.filters.bindings.by_device(binding.portdev).binding)


@handlers.handle(nwfilter.nwfilter_binding_create_xml)
async def create_binding(conn: Session[Service], xml: str, flags: int) -> NwFilterBinding:
    """Put a filter on an interface."""
    known(flags, _VALIDATE, "nwfilter_binding_create_xml", FROM_NWFILTER)
    return _binding(await conn.context.filters.bindings.create(xml, strict=bool(flags & _VALIDATE)))


@handlers.handle(nwfilter.nwfilter_binding_delete)
async def delete_binding(conn: Session[Service], binding: NwFilterBinding) -> None:
    """Take an interface's filter away."""
    bindings = conn.context.filters.bindings
    await bindings.drop([bindings.by_device(binding.portdev)])
