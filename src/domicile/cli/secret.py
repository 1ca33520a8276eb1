"""`domicile secret`: secrets by reference; a value comes from a file or from standard input, never from the command line."""

from __future__ import annotations

import sys
from typing import Any

import click

from domicile.base import ids
from domicile.base.errors import HostFailure, NotFound
from domicile.cli import connection, pool, screen
from domicile.cli.command import Argument, Option, command, read_document, state
from domicile.cli.words import say
from domicile.rpc.calls import secret as calls
from domicile.rpc.client import Client
from domicile.rpc.types import Secret

# Source: virSecretUsageType; the position is the number.
_USES = ("none", "volume", "ceph", "iscsi", "tls", "vtpm")
ACTIONS = ("list", "xml", "define", "set", "get", "undefine")


@command(
    "secret", Argument(["action"], type=click.Choice(ACTIONS)), Argument(["name"], required=False, metavar="SECRET|FILE"),
    Option(["--file", "path"], type=click.Path(exists=True, dir_okay=False), metavar="FILE"),
)  # fmt: skip
def secret_(action: str, name: str | None, path: str | None) -> None:
    """See and change secrets."""
    with connection.connect(state()) as client:
        if action == "list":
            _list(client)
            return
        given = pool.named(name, "SECRET")
        if action == "define":
            made = client.call(calls.secret_define_xml, read_document(given), 0)
            pool.told(_uuid(made), "did_define_object", _describe(made))
            return
        _act(client, _find(client, given), action, path)


def _act(client: Client, found: Secret, action: str, path: str | None) -> None:
    if action == "xml":
        screen.out(client.call(calls.secret_get_xml_desc, found, 0).rstrip("\n"))
    elif action == "get":
        sys.stdout.flush()
        sys.stdout.buffer.write(client.call(calls.secret_get_value, found, 0))
        sys.stdout.buffer.flush()
    elif action == "set":
        client.call(calls.secret_set_value, found, _value(path), 0)
        pool.told(_uuid(found), "did_set_secret")
    else:
        client.call(calls.secret_undefine, found)
        pool.told(_uuid(found), "did_undefine_object")


def _value(path: str | None) -> bytes:
    """Read a value: a file as it is, standard input as it is, what is typed without the line's end."""
    try:
        if path is not None:
            with open(path, "rb") as file:  # noqa: PTH123
                return file.read(65_537)
        if sys.stdin.isatty():
            return str(click.prompt(say("secret_value"), hide_input=True)).encode()
        return sys.stdin.buffer.read(65_537)
    except OSError as error:
        raise HostFailure(say("cannot_read", path=path or "-", why=error.strerror or str(error))) from None


def _find(client: Client, key: str) -> Secret:
    uuid = ids.parse_uuid(key)
    if uuid is not None:
        return client.call(calls.secret_lookup_by_uuid, bytes.fromhex(uuid.replace("-", "")))
    found, _ = client.call(calls.connect_list_all_secrets, 1, 0)
    for one in found:
        if one.usage_id == key:
            return one
    raise NotFound(say("no_secret", name=key))


def _uuid(one: Secret) -> str:
    return str(ids.parse_uuid(one.uuid.hex()))


def _describe(one: Secret) -> dict[str, Any]:
    return {"uuid": _uuid(one), "use": _USES[one.usage_type], "usage": one.usage_id}


def _list(client: Client) -> None:
    secrets, _ = client.call(calls.connect_list_all_secrets, 1, 0)
    found = [_describe(one) for one in secrets]
    if state().json:
        screen.json(found)
    elif not found:
        screen.hint(say("no_secrets"))
    else:
        screen.table(
            ["UUID", say("secret_use"), say("name")], [[one["uuid"], one["use"], one["usage"]] for one in found]
        )
