"""`domicile volume`: volumes of storage pools, seen, made, filled and removed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from domicile.base.errors import HostFailure
from domicile.cli import connection, pool, screen
from domicile.cli.command import Argument, Option, command, state
from domicile.cli.words import say
from domicile.domain.create import size
from domicile.rpc.calls import storage
from domicile.rpc.client import Client
from domicile.rpc.types import StoragePool, StorageVol
from domicile.schema.write import escape

_LONG, _PART = 12 * 3600.0, 262_144
_TYPES = ("file", "block", "dir", "network", "netdir", "ploop")
_SHRINK = 4
ACTIONS = ("list", "info", "xml", "path", "create", "clone", "resize", "wipe", "delete", "upload", "download")


@command(
    "volume", Argument(["action"], type=click.Choice(ACTIONS)), Argument(["pool_name"], metavar="POOL"),
    Argument(["name"], required=False, metavar="VOLUME"), Argument(["other"], required=False, metavar="NEW|FILE"),
    Option(["--size", "amount"], metavar="SIZE"), Option(["--format", "form"], metavar="FORMAT", default="qcow2"),
    Option(["--backing"], metavar="VOLUME"), Option(["--shrink"], is_flag=True),
)  # fmt: skip
def volume_(
    action: str, pool_name: str, name: str | None, other: str | None, amount: str | None, form: str, backing: str | None, shrink: bool,
) -> None:  # fmt: skip
    """See and change the volumes of a pool."""
    with connection.connect(state()) as client:
        place = pool.find(client, pool_name)
        if action == "list":
            _list(client, place)
            return
        wanted = pool.named(name, "VOLUME")
        if action == "create":
            _create(client, place, wanted, amount, form, backing)
            return
        found = client.call(storage.storage_vol_lookup_by_name, place, wanted)
        if action in ("upload", "download", "clone"):
            _with_other(client, place, found, action, pool.named(other, "NEW|FILE"))
        elif action in ("info", "xml", "path"):
            _look(client, found, action)
        else:
            _change(client, found, action, amount, shrink)


def _describe(client: Client, volume: StorageVol) -> dict[str, Any]:
    info = client.call(storage.storage_vol_get_info, volume)
    path = client.call(storage.storage_vol_get_path, volume)
    return {
        "name": volume.name, "pool": volume.pool, "path": path, "type": _TYPES[info.type], "capacity": info.capacity,
        "allocation": info.allocation,
    }  # fmt: skip


def _list(client: Client, place: StoragePool) -> None:
    volumes, _ = client.call(storage.storage_pool_list_all_volumes, place, 1, 0)
    found = [_describe(client, volume) for volume in sorted(volumes, key=lambda volume: volume.name)]
    if state().json:
        screen.json(found)
    elif not found:
        screen.hint(say("no_volumes", name=place.name))
    else:
        rows = [
            [screen.paint(one["name"], "bold"), one["path"], *(screen.size(one[k]) for k in ("capacity", "allocation"))]
            for one in found
        ]
        screen.table([say(key) for key in ("name", "path", "capacity", "allocation")], rows, right=(2, 3))


def _look(client: Client, volume: StorageVol, action: str) -> None:
    if action == "xml":
        screen.out(client.call(storage.storage_vol_get_xml_desc, volume, 0).rstrip("\n"))
    elif action == "path":
        screen.out(client.call(storage.storage_vol_get_path, volume))
    else:
        one = _describe(client, volume)
        if state().json:
            screen.json(one)
            return
        for key, value in one.items():
            screen.out(f"{say(key)}: {screen.size(value) if isinstance(value, int) else value}")


def _create(client: Client, place: StoragePool, name: str, amount: str | None, form: str, backing: str | None) -> None:
    below = ""
    if backing is not None:
        under = client.call(storage.storage_vol_lookup_by_name, place, backing)
        path = client.call(storage.storage_vol_get_path, under)
        kind = _format_of(client.call(storage.storage_vol_get_xml_desc, under, 0))
        below = f"<backingStore><path>{escape(path)}</path><format type='{escape(kind)}'/></backingStore>"
    capacity = f"<capacity>{size(amount)}</capacity>" if amount is not None else ""
    text = (
        f"<volume><name>{escape(name)}</name>{capacity}<allocation>0</allocation>"
        f"<target><format type='{escape(form)}'/></target>{below}</volume>"
    )
    made = client.call_within(_LONG, storage.storage_vol_create_xml, place, text, 0)
    pool.told(made.name, "did_create_volume", _describe(client, made) if state().json else None)


def _format_of(text: str) -> str:
    from domicile.schema.read import parse

    found = parse(text).find("target/format")
    return found.get("type") or "raw" if found is not None else "raw"


def _change(client: Client, volume: StorageVol, action: str, amount: str | None, shrink: bool) -> None:
    if action == "resize":
        wanted = size(pool.named(amount, "--size"))
        client.call_within(_LONG, storage.storage_vol_resize, volume, wanted, _SHRINK if shrink else 0)
        pool.told(volume.name, "did_resize_volume")
    elif action == "wipe":
        client.call_within(_LONG, storage.storage_vol_wipe, volume, 0)
        pool.told(volume.name, "did_wipe_volume")
    else:
        client.call(storage.storage_vol_delete, volume, 0)
        pool.told(volume.name, "did_delete")


def _with_other(client: Client, place: StoragePool, volume: StorageVol, action: str, other: str) -> None:
    if action == "clone":
        kind = _format_of(client.call(storage.storage_vol_get_xml_desc, volume, 0))
        text = f"<volume><name>{escape(other)}</name><target><format type='{escape(kind)}'/></target></volume>"
        made = client.call_within(_LONG, storage.storage_vol_create_xml_from, place, text, volume, 0)
        pool.told(made.name, "did_create_volume", _describe(client, made) if state().json else None)
        return
    path = Path(other)
    try:
        if action == "upload":
            _, stream = client.open_stream(storage.storage_vol_upload, volume, 0, 0, 0)
            with path.open("rb") as file:
                while part := file.read(_PART):
                    stream.send(part)
            stream.finish(_LONG)
        else:
            _, stream = client.open_stream(storage.storage_vol_download, volume, 0, 0, 0)
            with path.open("wb") as file:
                while part := stream.recv(_LONG):
                    file.write(part)
            stream.finish()
    except OSError as error:
        raise HostFailure(say("cannot_read", path=other, why=error.strerror or str(error))) from None
    pool.told(volume.name, f"did_{action}")
