"""`domicile pool`: storage pools, seen and changed."""

from __future__ import annotations

from typing import Any

import click

from domicile.base import ids
from domicile.base.errors import InvalidRequest, NotFound
from domicile.cli import connection, screen
from domicile.cli.command import Argument, Option, command, read_document, state
from domicile.cli.words import say
from domicile.rpc.call import Stub
from domicile.rpc.calls import storage
from domicile.rpc.client import Client
from domicile.rpc.types import StoragePool
from domicile.schema.write import escape

_LONG = 3600.0
_STATES = ("off", "building", "running", "degraded", "inaccessible")
_OVERWRITE = 8
_HEADS = {"uuid": "UUID"}
#: What is done to one pool, and the word for what was done.
ACTS: dict[str, tuple[Stub[..., None], tuple[Any, ...], str]] = {
    "start": (storage.storage_pool_create, (0,), "did_start_pool"),
    "stop": (storage.storage_pool_destroy, (), "did_stop_pool"),
    "refresh": (storage.storage_pool_refresh, (0,), "did_refresh"),
    "delete": (storage.storage_pool_delete, (0,), "did_delete"),
    "undefine": (storage.storage_pool_undefine, (), "did_undefine_object"),
}
ACTIONS = ("list", "info", "xml", "define", "build", *ACTS, "autostart")


def find(client: Client, key: str) -> StoragePool:
    """Find a pool by name or uuid. Raises: NotFound."""
    try:
        return client.call(storage.storage_pool_lookup_by_name, key)
    except NotFound:
        uuid = ids.parse_uuid(key)
        if uuid is None:
            raise
        return client.call(storage.storage_pool_lookup_by_uuid, bytes.fromhex(uuid.replace("-", "")))


def named(given: str | None, what: str) -> str:
    """Give what must have been named. Raises: InvalidRequest."""
    if given is None:
        raise InvalidRequest(say("name_it", what=what))
    return given


def describe(client: Client, pool: StoragePool) -> dict[str, Any]:
    """Say what a pool is."""
    info = client.call(storage.storage_pool_get_info, pool)
    return {
        "name": pool.name,
        "uuid": str(ids.parse_uuid(pool.uuid.hex())),
        "state": _STATES[info.state],
        "autostart": bool(client.call(storage.storage_pool_get_autostart, pool)),
        "persistent": bool(client.call(storage.storage_pool_is_persistent, pool)),
        "capacity": info.capacity,
        "allocation": info.allocation,
        "available": info.available,
    }


@command(
    "pool", Argument(["action"], type=click.Choice(ACTIONS)), Argument(["name"], required=False, metavar="POOL|FILE"),
    Option(["--target"], metavar="DIR"), Option(["--disable"], is_flag=True), Option(["--overwrite"], is_flag=True),
)  # fmt: skip
def pool_(action: str, name: str | None, target: str | None, disable: bool, overwrite: bool) -> None:
    """See and change storage pools."""
    with connection.connect(state()) as client:
        if action == "list":
            _list(client)
        elif action == "define":
            _define(client, named(name, "POOL|FILE"), target)
        else:
            found = find(client, named(name, "POOL"))
            if action == "xml":
                screen.out(client.call(storage.storage_pool_get_xml_desc, found, 0).rstrip("\n"))
            elif action == "info":
                _info(describe(client, found))
            else:
                _act(client, found, action, disable=disable, overwrite=overwrite)


def _list(client: Client) -> None:
    pools, _ = client.call(storage.connect_list_all_storage_pools, 1, 0)
    found = [describe(client, pool) for pool in sorted(pools, key=lambda pool: pool.name)]
    if state().json:
        screen.json(found)
    elif not found:
        screen.hint(say("no_pools"))
    else:
        headers = [say(key) for key in ("name", "state", "autostart", "capacity", "allocation", "available")]
        rows = [
            [
                screen.paint(one["name"], "bold"),
                _state(one["state"]),
                say("yes" if one["autostart"] else "no"),
                *(screen.size(one[key]) for key in ("capacity", "allocation", "available")),
            ]
            for one in found
        ]
        screen.table(headers, rows, right=(3, 4, 5))


def _state(name: str) -> str:
    return screen.paint(say(f"pool_{name}"), {"running": "green", "off": "dim"}.get(name, "yellow"))


def _info(one: dict[str, Any]) -> None:
    if state().json:
        screen.json(one)
        return
    for key in ("name", "uuid", "state", "autostart", "capacity", "allocation", "available"):
        value = one[key]
        shown = _state(value) if key == "state" else say("yes" if value else "no") if isinstance(value, bool) else value
        screen.out(f"{_HEADS.get(key) or say(key)}: {screen.size(shown) if isinstance(shown, int) else shown}")


def _define(client: Client, given: str, target: str | None) -> None:
    text = (
        f"<pool type='dir'><name>{escape(given)}</name><target><path>{escape(target)}</path></target></pool>"
        if target is not None
        else read_document(given)
    )
    pool = client.call(storage.storage_pool_define_xml, text, 0)
    told(pool.name, "did_define_object", describe(client, pool))


def _act(client: Client, pool: StoragePool, action: str, *, disable: bool, overwrite: bool) -> None:
    if action == "autostart":
        client.call(storage.storage_pool_set_autostart, pool, int(not disable))
        told(pool.name, "did_autostart_object" if not disable else "did_not_autostart_object")
    elif action == "build":
        client.call_within(_LONG, storage.storage_pool_build, pool, _OVERWRITE if overwrite else 0)
        told(pool.name, "did_build")
    else:
        stub, more, word = ACTS[action]
        client.call_within(_LONG, stub, pool, *more)
        told(pool.name, word)


def told(name: str, word: str, answer: dict[str, Any] | None = None) -> None:
    """Say what was done."""
    if state().json:
        screen.json(answer if answer is not None else {"name": name, "done": True})
    else:
        screen.out(say(word, name=name))
