"""`domicile migrate`: a running machine goes to another host, with its progress on the terminal; or what stands against it."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import click

from domicile.base.errors import DomicileError, NotFound
from domicile.cli import connection, screen
from domicile.cli.command import Argument, Option, command, machine, state
from domicile.cli.connection import calls
from domicile.cli.words import say
from domicile.rpc.calls import domain as remote
from domicile.rpc.calls import domain_migrate
from domicile.rpc.client import Client
from domicile.rpc.types import Domain, TypedParam

# Source: virDomainMigrateFlags.
_LIVE, _P2P, _PERSIST, _UNDEFINE, _PAUSED, _COPY, _UNSAFE, _CONVERGE, _TLS = 1, 2, 8, 16, 32, 64, 512, 8192, 65536
_STRING, _ULLONG = 7, 4
_LOOK, _LONG = 0.2, 24 * 3600.0


@command(
    "migrate",
    machine("vm"),
    Argument(["host_uri"], metavar="HOST_URI"),
    Option(["--check"], is_flag=True),
    Option(["--copy-storage"], is_flag=True),
    Option(["--keep-definition"], is_flag=True),
    Option(["--name"]),
    Option(["--way"], metavar="URI"),
    Option(["--bandwidth"], type=click.IntRange(min=1), metavar="MIB"),
    Option(["--auto-converge"], is_flag=True),
    Option(["--tls"], is_flag=True),
    Option(["--paused"], is_flag=True),
    Option(["--unsafe"], is_flag=True),
)
def migrate_(vm: str, host_uri: str, check: bool, **given: Any) -> None:
    """Move a running machine to another host."""
    with connection.connect(state()) as client:
        dom = connection.find(client, vm)
        target = host_uri if ":" in host_uri else str(candidates(client, host_uri)[0]["uris"][0])
        if check:
            _check(client, dom, target, *_wish(given))
            return
        took = move(client, dom, target, given)
    if state().json:
        screen.json({"name": dom.name, "uuid": dom.uuid_text, "target": target, "seconds": round(took, 3)})
    else:
        screen.out(say("did_migrate", name=given["name"] or dom.name, target=host_uri, seconds=f"{took:.1f}"))


def move(client: Client, dom: Domain, target: str, given: Mapping[str, Any]) -> float:
    """Move a machine to the host of a URI, with its definition; return how many seconds it took. Raises: DomicileError."""
    flags, params = _wish(given)
    if client.call(remote.domain_is_persistent, dom):
        flags |= _PERSIST | (0 if given.get("keep_definition") else _UNDEFINE)
    began = time.monotonic()
    _follow(client, dom, target, flags, params)
    return time.monotonic() - began


def _wish(given: Mapping[str, Any]) -> tuple[int, list[TypedParam]]:
    flags = _LIVE | _P2P
    for name, bit in (
        ("copy_storage", _COPY),
        ("auto_converge", _CONVERGE),
        ("tls", _TLS),
        ("paused", _PAUSED),
        ("unsafe", _UNSAFE),
    ):
        flags |= bit if given.get(name) else 0
    params = []
    if given.get("name"):
        params.append(TypedParam("destination_name", _STRING, given["name"]))
    if given.get("way"):
        params.append(TypedParam("migrate_uri", _STRING, given["way"]))
    if given.get("bandwidth"):
        params.append(TypedParam("bandwidth", _ULLONG, given["bandwidth"]))
    return flags, params


def _check(client: Client, dom: Domain, target: str, flags: int, params: list[TypedParam]) -> None:
    """Show all that stands against it; it ends with an error where there is anything."""
    found = connection.ask_of(client, calls.migration_check, dom.uuid_text, target, flags, params)
    against = [(end, each) for end in ("source", "target") for each in found[end]]
    if state().json:
        screen.json(found)
    elif not against:
        screen.out(say("can_migrate", name=dom.name, target=target))
    for end, each in [] if state().json else against:
        where = f"{each['path']}: " if each["path"] else ""
        accepted = say("would_be_accepted", what=each["accepted"]) if each["accepted"] else ""
        screen.out(
            f"{say('migrate_source' if end == 'source' else 'migrate_target')}: {where}{each['message']}{accepted}"
        )
    if against:
        sys.exit(1)


def _follow(client: Client, dom: Domain, target: str, flags: int, params: list[TypedParam]) -> None:
    """Let the daemon do it over a connection of its own, show how far it is; Ctrl-C ends it. Raises: DomicileError."""
    failed: list[BaseException] = []
    # Not Thread.join: one that is interrupted takes the thread for ended (Python 3.11).
    done = threading.Event()
    worker = connection.connect(state())

    def perform() -> None:
        try:
            with worker as other:
                other.call_within(_LONG, domain_migrate.domain_migrate_perform3_params, dom, target, params, b"", flags)
        except BaseException as error:  # told by the thread that waits
            failed.append(error)
        finally:
            done.set()

    moving = threading.Thread(target=perform, name="migration", daemon=True)
    moving.start()
    asked = False
    while not done.is_set():
        try:
            if not done.wait(_LOOK):
                _show(client, dom)
        except KeyboardInterrupt:
            if asked:
                raise
            asked = True
            screen.hint("\r" + say("migrate_cancelling"))
            with suppress(DomicileError):
                client.call(remote.domain_abort_job, dom)
    if sys.stderr.isatty():
        sys.stderr.write("\r\033[K")
    if failed:
        raise failed[0]


def _show(client: Client, dom: Domain) -> None:
    """Show how much of memory and disks has travelled, where somebody looks."""
    if not sys.stderr.isatty() or state().json:
        return
    with suppress(DomicileError):
        _, params = client.call(remote.domain_get_job_stats, dom, 0)
        seen = {param.field: int(param.value) for param in params}
        total, left = seen.get("data_total", 0), seen.get("data_remaining", 0)
        share = 100 * (total - left) // total if total else 0
        speed = seen.get("memory_bps", 0) / 2**20
        sys.stderr.write("\r\033[K" + say("migrate_progress", share=share, speed=f"{speed:.0f}"))
        sys.stderr.flush()


def candidates(client: Client, name: str | None) -> list[dict[str, Any]]:
    """List the hosts that machines may go to, the one with the most free memory first. Raises: NotFound where there is none."""
    hosts = connection.ask_of(client, calls.hosts)
    wanted = [each for each in hosts if each["open"] and not each["here"]]
    if name is not None:
        wanted = [each for each in wanted if name in (each.get("hostname"), each["id"])]
    if not wanted:
        raise NotFound(say("host_none" if name is None else "host_unknown", name=name))
    return sorted(wanted, key=lambda each: -int(each.get("free_kib", 0)))
