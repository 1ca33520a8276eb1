"""Handlers of Domicile's own program: history, explanation, search, health. Answers are JSON; what reads many revisions does so in a thread.

`doors` merges them with the others.
"""

from __future__ import annotations

import dataclasses
import time
from asyncio import to_thread
from typing import TYPE_CHECKING, Any

import msgspec

from domicile import __version__
from domicile.api.libvirt.author import author
from domicile.api.libvirt.domicile_change import BY_CONFIGURATION, keeping
from domicile.api.libvirt.registry import Registry
from domicile.base.errors import Conflict, Denied, NotFound
from domicile.domain.leaves import INDEXED, PLACES
from domicile.host import inspect, tap
from domicile.rpc.calls import domicile as calls
from domicile.schema import read
from domicile.service import answers, doctor
from domicile.service.portrait import portrait

if TYPE_CHECKING:
    from domicile.api.libvirt.session import Session
    from domicile.service.service import Service
    from domicile.store.values import Revision

handlers: Registry[Service] = Registry()
json = msgspec.json.encode
_AUTHORED, _SECRETS = 1, 2


@handlers.handle(calls.host_info)
def host_info(conn: Session[Service]) -> bytes:
    """Say what this daemon and its host are."""
    service = conn.context
    return json(
        {
            "version": __version__,
            "hostname": inspect.hostname(),
            "arch": service.host.arch,
            "kvm": service.host.kvm,
            "privileged": service.host.privileged,
            "bridges": tap.bridges(),
            "networks": sorted({*service.machines.networks, *(net.name for net in service.networks.all)}),
            "emulators": {arch: str(path) for arch, path in service.emulators.usual().items()},
            "state": str(service.paths.state),
            "log": str(service.paths.log),
            "socket": str(service.paths.socket),
            "domains": len(service.registry),
            "time": time.time(),
        }
    )


@handlers.handle(calls.doctor)
async def examine(conn: Session[Service]) -> bytes:
    """Examine the host."""
    return json([dataclasses.asdict(finding) for finding in await doctor.examine(conn.context.paths)])


@handlers.handle(calls.domains)
def domains(conn: Session[Service]) -> bytes:
    """List all domains."""
    return json(answers.domains(conn.context))


@handlers.handle(calls.info)
async def info(conn: Session[Service], domain: str) -> bytes:
    """Show one domain as a whole."""
    return json(await portrait(conn.context, conn.context.find_entry(domain)))


async def _revisions(conn: Session[Service], key: str) -> list[Revision]:
    """List the revisions of a domain, named by name, uuid or id; also of one that is no longer defined."""
    service = conn.context
    try:
        entry = service.find_entry(key)
    except NotFound:
        return await service.history(key)
    return await service.history(entry.uuid)


@handlers.handle(calls.history)
async def history(conn: Session[Service], domain: str, limit: int) -> bytes:
    """List revisions, the newest first."""
    return json(await to_thread(answers.history, await _revisions(conn, domain), limit))


@handlers.handle(calls.show)
async def show(conn: Session[Service], domain: str, revision: int, authored: int) -> bytes:
    """Give one revision, the newest for 0; `authored` is 1 for the author's text, plus 2 for its passwords as well.

    Raises:
        Denied: passwords were asked for where one may only look.
    """
    if authored & _SECRETS and conn.read_only:
        raise Denied("passwords are not shown on a read-only connection")
    found = answers.numbered(await _revisions(conn, domain), revision)
    return json(answers.shown(found, authored=bool(authored & _AUTHORED), secrets=bool(authored & _SECRETS)))


@handlers.handle(calls.diff)
async def diff(conn: Session[Service], domain: str, old: int, new: int) -> bytes:
    """Compare two revisions."""
    revisions = await _revisions(conn, domain)
    entry = next((e for e in conn.context.entries() if e.uuid == revisions[0].uuid), None)
    running = entry.live.revision if entry is not None and entry.live is not None else 0
    return json(await to_thread(answers.diff, revisions, old, new, running))


@handlers.handle(calls.rollback)
async def rollback(conn: Session[Service], domain: str, revision: int, why: str | None) -> bytes:
    """Make an old revision the newest again."""
    entry = conn.context.find_entry(domain)
    done = await conn.context.rollback(entry, revision, author(conn, "rollback"), why or "")
    return json(answers.defined(conn.context, done.entry, done.revision, done.report, created=False))


@handlers.handle(calls.undelete)
async def undelete(conn: Session[Service], domain: str, revision: int, why: str | None) -> bytes:
    """Bring an undefined domain back."""
    return json(answers.brief(await conn.context.undelete(domain, author(conn, "undelete"), why or "", revision)))


@handlers.handle(calls.find)
async def find(conn: Session[Service], kind: str, value: str, limit: int) -> bytes:
    """Find domains by what they are commonly looked up by."""
    if kind in INDEXED:
        return json(answers.matches(await conn.context.find(kind, value), limit))
    if kind not in PLACES:
        raise NotFound(f"nothing is looked up by '{kind}' (accepted: {', '.join(sorted(PLACES))}, or path=value)")
    return json(answers.matches(await conn.context.find_leaf(PLACES[kind], "=", value), limit))


@handlers.handle(calls.find_leaf)
async def find_leaf(conn: Session[Service], path: str, operator: str, value: str, limit: int) -> bytes:
    """Find domains by any value of their definitions."""
    return json(answers.matches(await conn.context.find_leaf(path, operator, value), limit))


@handlers.handle(calls.explain)
async def explain(conn: Session[Service], domain: str, path: str | None, language: str | None) -> bytes:
    """Explain a definition line by line."""
    service = conn.context
    entry = service.find_entry(domain)
    # What runs may be an older definition: then the arguments are those the next start would have.
    planned = dataclasses.replace(entry, live=None, machine=None) if entry.pending else entry
    arguments, _, _ = await answers.arguments(service, planned)
    revisions = await service.history(entry.uuid) if entry.persistent else []
    xml = service.xml(entry, inactive=True, secrets=False)
    return json(await to_thread(answers.explained, xml, revisions, arguments, path))


@handlers.handle(calls.argv)
async def argv(conn: Session[Service], domain: str) -> bytes:
    """Give QEMU's arguments, each with the element it came from."""
    entry = conn.context.find_entry(domain)
    arguments, binary, pid = await answers.arguments(conn.context, entry)
    items: list[dict[str, Any]] = [{"words": words, "origin": origin} for words, origin in arguments]
    return json({"name": entry.name, "binary": binary, "pid": pid, "running": pid is not None, "arguments": items})


@handlers.handle(calls.define_report)
async def define_report(conn: Session[Service], xml: str, strict: int, why: str | None, expect_head: int) -> bytes:
    """Store a definition and say what was filled in; with a head given, only where nobody changed it meanwhile."""
    return await _define(conn, xml, strict, why, expect_head, BY_CONFIGURATION)


@handlers.handle(calls.define_keeping)
async def define_keeping(
    conn: Session[Service], xml: str, strict: int, why: str | None, expect_head: int, keep: int
) -> bytes:
    """Do the same, with a word on what the document leaves open: kept as configured (0), all of it (1), nothing (2)."""
    return await _define(conn, xml, strict, why, expect_head, keep)


async def _define(conn: Session[Service], xml: str, strict: int, why: str | None, expect_head: int, keep: int) -> bytes:
    kind: Any = "edit" if expect_head else "define"
    done = await conn.context.define(
        xml, author(conn, kind), strict=bool(strict), why=why or "", expect_head=expect_head or None, kind=kind,
        keep=keeping(conn.context, keep),
    )  # fmt: skip
    return json(answers.defined(conn.context, done.entry, done.revision, done.report, created=done.created))


@handlers.handle(calls.check)
async def check(conn: Session[Service], xml: str) -> bytes:
    """Say all that is wrong with a document."""
    kind = read.parse(xml).find("os/type")
    await conn.context.emulators.ensure(
        None, (kind.get("arch") if kind is not None else None) or conn.context.host.arch
    )
    return json(answers.checked(conn.context, xml))


@handlers.handle(calls.import_domain)
async def import_domain(conn: Session[Service], xml: str, origin: str, autostart: int) -> bytes:
    """Take over a definition from elsewhere; one that is already here as it is stays."""
    service, by = conn.context, author(conn, "import")
    name = (read.parse(xml).findtext("name") or "").strip()
    if name and service.registry.named(name) is not None:
        raise Conflict(f"a domain '{name}' is here already")
    done = await service.define(xml, by, why=f"imported from {origin}", kind="import")
    if autostart:
        await service.set_autostart(done.entry, True, by)
    return json(answers.defined(conn.context, done.entry, done.revision, done.report, created=done.created))


@handlers.handle(calls.log)
async def log(conn: Session[Service], domain: str | None, limit: int) -> bytes:
    """List what was done last."""
    uuid = conn.context.find_entry(domain).uuid if domain else None
    return json(answers.actions(await conn.context.actions(uuid, limit or 100)))
