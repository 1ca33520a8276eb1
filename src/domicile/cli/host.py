"""`domicile host`: the hosts that share one database, and emptying one of them."""

from __future__ import annotations

import sys
from typing import Any

import click

from domicile.base.errors import Conflict, DomicileError
from domicile.cli import connection, migrate, screen
from domicile.cli.command import Argument, Option, command, state
from domicile.cli.connection import calls
from domicile.cli.words import say
from domicile.rpc.calls import connect
from domicile.rpc.client import Client
from domicile.rpc.types import Domain

_ACTIVE = 1


@command(
    "host",
    Argument(["action"], type=click.Choice(["list", "drain", "undrain"]), metavar="ACTION"),
    Option(["--to"], metavar="HOST"),
    Option(["--copy-storage"], is_flag=True),
    Option(["--unsafe"], is_flag=True),
)
def host_(action: str, to: str | None, copy_storage: bool, unsafe: bool) -> None:
    """Look at the hosts of a fleet; empty this one, or open it again."""
    with connection.connect(state()) as client:
        if action == "list":
            _list(connection.ask_of(client, calls.hosts))
            return
        connection.ask_of(client, calls.host_drained, int(action == "drain"))
        if action == "undrain":
            screen.out(say("host_open"))
            return
        _empty(client, to, copy_storage, unsafe)


def _list(hosts: list[dict[str, Any]]) -> None:
    if state().json:
        screen.json(hosts)
        return
    rows = []
    for each in hosts:
        how = say("host_drained") if each.get("drained") else say("host_ready") if each["open"] else say("host_silent")
        free = f"{each.get('free_kib', 0) / 2**20:.1f} GiB"
        rows.append(
            (
                each.get("hostname", ""),
                how,
                str(each.get("machines", "")),
                free,
                say("host_here") if each["here"] else "",
            )
        )
    heads = (say("host_name"), say("host_state"), say("host_machines"), say("host_free"), "")
    screen.table(heads, rows, right=(2, 3))


def _empty(client: Client, to: str | None, copy_storage: bool, unsafe: bool) -> None:
    """Move every machine that runs here to another host; what cannot move stays, and is told of."""
    domains, _ = client.call(connect.connect_list_all_domains, 1, _ACTIVE)
    stayed = [dom.name for dom in domains if not _away(client, dom, to, copy_storage, unsafe)]
    if stayed:
        raise Conflict(say("host_stayed", names=", ".join(stayed)))
    screen.out(say("host_empty"))


def _away(client: Client, dom: Domain, to: str | None, copy_storage: bool, unsafe: bool) -> bool:
    """Move one machine to the host with the most free memory that takes it."""
    given = {"copy_storage": copy_storage, "unsafe": unsafe}
    for target in migrate.candidates(client, to):
        try:
            seconds = migrate.move(client, dom, target["uris"][0], given)
        except DomicileError as error:
            sys.stderr.write(say("host_refused", name=dom.name, host=target["hostname"], why=error.message) + "\n")
        else:
            screen.out(say("did_migrate", name=dom.name, target=target["hostname"], seconds=f"{seconds:.1f}"))
            return True
    return False
