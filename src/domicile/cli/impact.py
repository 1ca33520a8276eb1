"""`domicile impact`: what uses an image, bridge, network, pool or file, and what stops starting with another QEMU."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from domicile.base.errors import DomicileError, HostFailure, InvalidDocument, InvalidRequest
from domicile.cli import connection, screen
from domicile.cli.command import Argument, command, state
from domicile.cli.connection import calls
from domicile.cli.words import say
from domicile.rpc.client import Client

if TYPE_CHECKING:
    from domicile.plan.capabilities import Capabilities
    from domicile.plan.qemu import Item

#: Where a definition names each kind of thing.
PLACES: dict[str, tuple[str, ...]] = {
    "image": ("devices/disk/**/@file", "devices/disk/**/@dev", "devices/disk/source/@name"),
    "bridge": ("devices/interface/source/@bridge",),
    "network": ("devices/interface/source/@network",),
    "pool": ("devices/disk/**/@pool",),
    "file": ("**",),
}


@command("impact", Argument(["kind"], type=click.Choice((*PLACES, "qemu"))), Argument(["name"]))
def impact_(kind: str, name: str) -> None:
    """Say what would be hit."""
    with connection.connect(state()) as client:
        connection.tell_age(client)
        found = _qemu(client, name) if kind == "qemu" else _uses(client, PLACES[kind], name)
    if state().json:
        screen.json(found)
    elif not found:
        screen.hint(say("im_none"))
    elif kind == "qemu":
        rows = [
            [screen.paint(one["name"], "bold"), screen.state(one["state"]), why]
            for one in found
            for why in one["problems"]
        ]
        screen.table([say("name"), say("state"), say("im_why")], rows)
    else:
        rows = [[screen.paint(one["name"], "bold"), screen.state(one["state"]), one["path"]] for one in found]
        screen.table([say("name"), say("state"), say("path")], rows)
    if not found:
        raise SystemExit(1)


def _uses(client: Client, places: tuple[str, ...], name: str) -> list[dict[str, Any]]:
    states = {one["uuid"]: connection.word(one["state"]) for one in connection.ask_of(client, calls.domains)}
    found = []
    for place in places:
        for match in connection.ask_of(client, calls.find_leaf, place, "=", name, 0):
            found.append({**match, "state": states.get(match["uuid"], "off")})
    return sorted(found, key=lambda one: (one["name"], one["path"]))


def _qemu(client: Client, name: str) -> list[dict[str, Any]]:
    """Judge every definition by another QEMU; what is wrong with it by this one already is not the other's doing."""
    from domicile.cli.offline import Local

    local = Local.look()
    other = _capabilities(Path(name), local)
    found = []
    for one in connection.ask_of(client, calls.domains):
        if not one["persistent"] or one["arch"] != other.arch:
            continue
        xml = connection.ask_of(client, calls.show, one["uuid"], 0, 0)["xml"]
        before = _problems(xml, local, local.find)
        after = _problems(xml, local, lambda emulator, arch: other)
        fresh = [problem for problem in after if problem not in before]
        if fresh:
            found.append(
                {"name": one["name"], "uuid": one["uuid"], "state": connection.word(one["state"]), "problems": fresh}
            )
    return found


def _problems(xml: str, local: Any, find: Any) -> list[str]:
    """List what keeps a definition from a start: what completing refuses, then what planning does."""
    from domicile.domain.complete import complete_text
    from domicile.domain.plan import plan_domain

    try:
        done = complete_text(xml, local.host, find)
        caps = done.facts.caps if done.facts is not None else None
        if caps is not None:
            plan = plan_domain(done.domain, caps, local.host)
            return [*_gone(plan.items, caps)]
    except InvalidDocument as fault:
        return [problem.sentence() for problem in fault.problems]
    except DomicileError as fault:
        return [fault.message]
    return []


def _gone(items: Iterable[Item], caps: Capabilities) -> Iterator[str]:
    """Name the devices and the CPU model that a start asks for and QEMU has not."""
    from domicile.plan.qemu import Keyed, Structured

    for item in items:
        if (
            isinstance(item, Structured)
            and item.flag == "device"
            and not caps.has_device(str(item.props.get("driver")))
        ):
            yield say("im_no_device", name=item.props.get("driver"))
        elif isinstance(item, Keyed) and item.flag == "-cpu" and caps.cpu(str(item.pairs[0][1])) is None:
            yield say("im_no_cpu", name=item.pairs[0][1])


def _capabilities(path: Path, local: Any) -> Any:
    """Read recorded capabilities, or ask a QEMU that is installed somewhere. Raises: HostFailure, InvalidRequest."""
    import msgspec

    from domicile.plan.capabilities import Capabilities
    from domicile.qemu import cache

    try:
        begin = path.read_bytes()[:4] if path.is_file() else b""
        if begin == b"\x7fELF" or begin[:2] == b"#!":
            return asyncio.run(cache.capabilities(path.absolute(), local.directory, kvm=local.runs.works))
        data = path.read_bytes()
        return Capabilities.from_json(gzip.decompress(data) if begin[:2] == b"\x1f\x8b" else data)
    except OSError as error:
        raise HostFailure(say("cannot_read", path=path, why=error.strerror or str(error))) from None
    except (msgspec.DecodeError, EOFError, gzip.BadGzipFile) as error:
        raise InvalidRequest(say("im_no_qemu", path=path, why=str(error))) from None
