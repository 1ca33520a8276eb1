"""Handlers of live migration: libvirt's protocol 3, with typed parameters and without, and what is set around it.

`doors` merges them with the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from domicile.api.libvirt.author import author
from domicile.api.libvirt.flags import known
from domicile.api.libvirt.params import ARGUMENT_UNSUPPORTED
from domicile.api.libvirt.reference import entry_of, machine_of, reference
from domicile.api.libvirt.registry import Registry
from domicile.base import tasks
from domicile.base.errors import FROM_NONE, DomicileError, InvalidRequest, Unsupported
from domicile.rpc.calls import domain_migrate as calls
from domicile.rpc.calls import domicile as own
from domicile.rpc.types import Domain, TypedParam
from domicile.service.migration import limits, preview, towards
from domicile.service.migration.wish import KNOWN, PARAMS, How, Wish

if TYPE_CHECKING:
    from domicile.api.libvirt.session import Session
    from domicile.api.libvirt.stream import Stream
    from domicile.service.service import Service

handlers: Registry[Service] = Registry()
_POSTCOPY = 1
_json = msgspec.json.encode


def _given(params: list[TypedParam]) -> dict[str, Any]:
    """Read the parameters of a migration; those that may stand more than once become lists."""
    found: dict[str, Any] = {}
    for param in params:
        kind = PARAMS.get(param.field)
        if kind is None:
            words = f"parameter '{param.field}' not supported; accepted are {', '.join(PARAMS)}"
            raise DomicileError(words, code=ARGUMENT_UNSUPPORTED, domain=FROM_NONE)
        if kind is int and isinstance(param.value, str):
            raise InvalidRequest(
                f"invalid type 'string' for parameter '{param.field}', expected a number", domain=FROM_NONE
            )
        if kind is not int and not isinstance(param.value, str):
            raise InvalidRequest(f"invalid type for parameter '{param.field}', expected 'string'", domain=FROM_NONE)
        if kind is list:
            found.setdefault(param.field, []).append(param.value)
        elif param.field in found:
            raise InvalidRequest(f"parameter '{param.field}' occurs multiple times", domain=FROM_NONE)
        else:
            found[param.field] = param.value
    return found


def _wish(flags: int, params: list[TypedParam], call: str) -> Wish:
    known(flags, KNOWN, call)
    return Wish.read(flags, _given(params))


def _older(
    flags: int, dname: str | None, resource: int, call: str, xml: str | None = None, uri: str | None = None
) -> Wish:
    """Read what calls without typed parameters say."""
    known(flags, KNOWN, call)
    given = {"destination_name": dname, "bandwidth": resource, "destination_xml": xml, "migrate_uri": uri}
    return Wish.read(flags, {name: value for name, value in given.items() if value})


# The five steps.


async def _begin(conn: Session[Service], dom: Domain, wish: Wish) -> tuple[bytes, str]:
    entry = entry_of(conn, dom)
    if not wish.how & How.OFFLINE:
        machine_of(conn, dom)
    departures = conn.context.departures
    cookie, xml, token = await departures.begin(entry, wish, author(conn, "migrate"))
    conn.on_close(lambda: tasks.spawn("client of a migration gone", departures.client_gone(token)))
    return cookie.write(), xml


async def _prepare(conn: Session[Service], wish: Wish, cookie: bytes, xml: str) -> tuple[bytes, str | None]:
    arrivals = conn.context.arrivals
    found, uri, token = await arrivals.prepare(wish, cookie, xml, author(conn, "migrate"))
    conn.on_close(lambda: tasks.spawn("client of a migration gone", arrivals.client_gone(token)))
    return found.write(), uri


async def _perform(conn: Session[Service], dom: Domain, dconnuri: str | None, wish: Wish, cookie: bytes) -> bytes:
    entry = entry_of(conn, dom)
    if wish.how & How.PEER2PEER:
        if not dconnuri:
            raise InvalidRequest("peer-to-peer migration needs the URI of the target's daemon")
        await towards.migrate(conn.context, entry, dconnuri, wish, author(conn, "migrate"))
        return b""
    if dconnuri:
        raise InvalidRequest("Unexpected dconnuri parameter with non-peer2peer migration", code=1)
    found = await conn.context.departures.perform(entry, wish, cookie, wish.text("migrate_uri") or "")
    return found.write()


async def _finish(conn: Session[Service], wish: Wish, name: str, cookie: bytes, cancelled: int) -> tuple[Domain, bytes]:
    who = author(conn, "migrate")
    entry, found = await conn.context.arrivals.finish(name, cookie, wish, who, cancelled=bool(cancelled))
    return reference(entry), found.write()


async def _confirm(conn: Session[Service], dom: Domain, wish: Wish, cookie: bytes, cancelled: int) -> None:
    entry, who = entry_of(conn, dom), author(conn, "migrate")
    await conn.context.departures.confirm(entry, wish, cookie, who, cancelled=bool(cancelled))


# With typed parameters.


@handlers.handle(calls.domain_migrate_begin3_params)
async def begin3_params(conn: Session[Service], dom: Domain, params: list[TypedParam], flags: int) -> tuple[bytes, str]:
    """Hold a machine for its migration."""
    return await _begin(conn, dom, _wish(flags, params, "domain_migrate_begin3_params"))


@handlers.handle(calls.domain_migrate_prepare3_params)
async def prepare3_params(
    conn: Session[Service], params: list[TypedParam], cookie_in: bytes, flags: int
) -> tuple[bytes, str | None]:
    """Make ready for a machine that is to come."""
    wish = _wish(flags, params, "domain_migrate_prepare3_params")
    xml = wish.text("destination_xml")
    if xml is None:
        raise InvalidRequest("the document of the machine that is to come is missing")
    return await _prepare(conn, wish, cookie_in, xml)


@handlers.handle(calls.domain_migrate_perform3_params)
async def perform3_params(
    conn: Session[Service], dom: Domain, dconnuri: str | None, params: list[TypedParam], cookie_in: bytes, flags: int
) -> bytes:
    """Send a machine, or do all of its migration."""
    return await _perform(conn, dom, dconnuri, _wish(flags, params, "domain_migrate_perform3_params"), cookie_in)


@handlers.handle(calls.domain_migrate_finish3_params)
async def finish3_params(
    conn: Session[Service], params: list[TypedParam], cookie_in: bytes, flags: int, cancelled: int
) -> tuple[Domain, bytes]:
    """Take a machine over, or give it up."""
    wish = _wish(flags, params, "domain_migrate_finish3_params")
    name = wish.text("destination_name")
    if name is None:
        raise InvalidRequest("the name of the machine that has come is missing")
    return await _finish(conn, wish, name, cookie_in, cancelled)


@handlers.handle(calls.domain_migrate_confirm3_params)
async def confirm3_params(
    conn: Session[Service], dom: Domain, params: list[TypedParam], cookie_in: bytes, flags: int, cancelled: int
) -> None:
    """End a machine here, or let it go on."""
    await _confirm(conn, dom, _wish(flags, params, "domain_migrate_confirm3_params"), cookie_in, cancelled)


# Without.


@handlers.handle(calls.domain_migrate_begin3)
async def begin3(
    conn: Session[Service], dom: Domain, xmlin: str | None, flags: int, dname: str | None, resource: int
) -> tuple[bytes, str]:
    """Hold a machine for its migration."""
    return await _begin(conn, dom, _older(flags, dname, resource, "domain_migrate_begin3", xmlin))


@handlers.handle(calls.domain_migrate_prepare3)
async def prepare3(
    conn: Session[Service], cookie_in: bytes, uri_in: str | None, flags: int, dname: str | None, resource: int, dom_xml: str
) -> tuple[bytes, str | None]:  # fmt: skip
    """Make ready for a machine that is to come."""
    return await _prepare(
        conn, _older(flags, dname, resource, "domain_migrate_prepare3", uri=uri_in), cookie_in, dom_xml
    )


@handlers.handle(calls.domain_migrate_perform3)
async def perform3(
    conn: Session[Service], dom: Domain, xmlin: str | None, cookie_in: bytes, dconnuri: str | None, uri: str | None, flags: int,
    dname: str | None, resource: int,
) -> bytes:  # fmt: skip
    """Send a machine, or do all of its migration."""
    wish = _older(flags, dname, resource, "domain_migrate_perform3", xmlin, uri)
    return await _perform(conn, dom, dconnuri, wish, cookie_in)


@handlers.handle(calls.domain_migrate_finish3)
async def finish3(
    conn: Session[Service], dname: str, cookie_in: bytes, dconnuri: str | None, uri: str | None, flags: int, cancelled: int
) -> tuple[Domain, bytes]:  # fmt: skip
    """Take a machine over, or give it up."""
    return await _finish(conn, _older(flags, None, 0, "domain_migrate_finish3"), dname, cookie_in, cancelled)


@handlers.handle(calls.domain_migrate_confirm3)
async def confirm3(conn: Session[Service], dom: Domain, cookie_in: bytes, flags: int, cancelled: int) -> None:
    """End a machine here, or let it go on."""
    await _confirm(conn, dom, _older(flags, None, 0, "domain_migrate_confirm3"), cookie_in, cancelled)


_TUNNEL = (
    "tunnelled migration is not supported: it copies everything twice; native migration with TLS would be accepted"
)


@handlers.handle_stream(calls.domain_migrate_prepare_tunnel3_params)
def prepare_tunnel3_params(
    conn: Session[Service], stream: Stream, params: list[TypedParam], cookie_in: bytes, flags: int
) -> bytes:
    """Refuse to take a machine in through the daemons' own connection."""
    raise Unsupported(_TUNNEL)


@handlers.handle_stream(calls.domain_migrate_prepare_tunnel3)
def prepare_tunnel3(
    conn: Session[Service], stream: Stream, cookie_in: bytes, flags: int, dname: str | None, resource: int, dom_xml: str
) -> bytes:  # fmt: skip
    """Refuse to take a machine in through the daemons' own connection."""
    raise Unsupported(_TUNNEL)


@handlers.handle_stream(calls.domain_migrate_prepare_tunnel)
def prepare_tunnel(
    conn: Session[Service], stream: Stream, flags: int, dname: str | None, resource: int, dom_xml: str
) -> None:
    """Refuse to take a machine in through the daemons' own connection."""
    raise Unsupported(_TUNNEL)


# Around it.


@handlers.handle(calls.domain_migrate_set_max_downtime)
async def set_max_downtime(conn: Session[Service], dom: Domain, downtime: int, flags: int) -> None:
    """Set for how long the guest may stand still."""
    known(flags, 0, "domain_migrate_set_max_downtime")
    entry, _ = machine_of(conn, dom)
    await limits.set_downtime(conn.context, entry, downtime, author(conn, "migrate-setmaxdowntime"))


@handlers.handle(calls.domain_migrate_get_max_downtime)
async def get_max_downtime(conn: Session[Service], dom: Domain, flags: int) -> int:
    """Give for how long the guest may stand still."""
    known(flags, 0, "domain_migrate_get_max_downtime")
    return await limits.downtime(machine_of(conn, dom)[1])


@handlers.handle(calls.domain_migrate_set_max_speed)
async def set_max_speed(conn: Session[Service], dom: Domain, bandwidth: int, flags: int) -> None:
    """Set how fast a machine may be sent."""
    known(flags, _POSTCOPY, "domain_migrate_set_max_speed")
    entry, _ = machine_of(conn, dom)
    who = author(conn, "migrate-setspeed")
    await limits.set_speed(conn.context, entry, bandwidth, who, postcopy=bool(flags & _POSTCOPY))


@handlers.handle(calls.domain_migrate_get_max_speed)
async def get_max_speed(conn: Session[Service], dom: Domain, flags: int) -> int:
    """Give how fast a machine may be sent."""
    known(flags, _POSTCOPY, "domain_migrate_get_max_speed")
    if flags & _POSTCOPY:
        return await limits.postcopy_speed(machine_of(conn, dom)[1])
    return limits.speed(entry_of(conn, dom))


@handlers.handle(calls.domain_migrate_get_compression_cache)
async def get_compression_cache(conn: Session[Service], dom: Domain, flags: int) -> int:
    """Give the size of the cache that compresses."""
    known(flags, 0, "domain_migrate_get_compression_cache")
    return await limits.cache(machine_of(conn, dom)[1])


@handlers.handle(calls.domain_migrate_set_compression_cache)
async def set_compression_cache(conn: Session[Service], dom: Domain, cache_size: int, flags: int) -> None:
    """Set the size of the cache that compresses."""
    known(flags, 0, "domain_migrate_set_compression_cache")
    entry, _ = machine_of(conn, dom)
    await limits.set_cache(conn.context, entry, cache_size, author(conn, "migrate-compcache"))


@handlers.handle(calls.domain_migrate_start_post_copy)
async def start_post_copy(conn: Session[Service], dom: Domain, flags: int) -> None:
    """Let the guest go on at the target at once."""
    known(flags, 0, "domain_migrate_start_post_copy")
    entry, _ = machine_of(conn, dom)
    await conn.context.departures.post_copy(entry)


# Domicile's own.


@handlers.handle(own.migration_fate)
async def migration_fate(conn: Session[Service], domain: str, token: str, abandon: int) -> bytes:
    """Say what became of a machine that was on its way here."""
    return _json({"fate": await conn.context.arrivals.fate(domain, token, abandon=bool(abandon))})


@handlers.handle(own.migration_check)
async def migration_check(conn: Session[Service], domain: str, uri: str, flags: int, params: list[TypedParam]) -> bytes:
    """List all that keeps a machine from another host."""
    entry = conn.context.find_entry(domain)
    return _json(await preview.both(conn.context, entry, uri, Wish.read(flags, _given(params))))


@handlers.handle(own.migration_check_here)
async def migration_check_here(conn: Session[Service], xml: str, cookie: bytes, name: str | None) -> bytes:
    """List all that keeps a machine of another host from here."""
    return _json(await preview.here(conn.context, xml, cookie, name))


@handlers.handle(own.hosts)
async def hosts(conn: Session[Service]) -> bytes:
    """List the hosts that share this daemon's database."""
    return _json(await conn.context.fleet.hosts())


@handlers.handle(own.host_drained)
async def host_drained(conn: Session[Service], on: int) -> bytes:
    """Close this host to machines, or open it again."""
    await conn.context.fleet.drain(bool(on))
    return _json({"drained": conn.context.fleet.drained})
