"""`domicile network`: virtual networks, seen and changed."""

from __future__ import annotations

import time
from typing import Any

import click

from domicile.base import ids
from domicile.base.errors import INTERNAL_ERROR, DomicileError, NotFound
from domicile.cli import connection, screen
from domicile.cli.command import Argument, Option, command, read_document, state
from domicile.cli.pool import named, told
from domicile.cli.words import say
from domicile.rpc.call import Stub
from domicile.rpc.calls import network
from domicile.rpc.client import Client
from domicile.rpc.types import Network

#: What is done to one network, and the word for what was done.
ACTS: dict[str, tuple[Stub[..., None], str]] = {
    "start": (network.network_create, "did_start_network"),
    "stop": (network.network_destroy, "did_stop_network"),
    "undefine": (network.network_undefine, "did_undefine_object"),
}
ACTIONS = ("list", "info", "xml", "define", "default", *ACTS, "autostart", "leases")
_LONG = 60.0
#: The usual network's third byte first, then those that nobody's router is likely to have.
_THIRD = tuple(range(122, 142))
_DEFAULT = """<network>
  <name>{name}</name>
  <forward mode='nat'/>
  <ip address='192.168.{third}.1' netmask='255.255.255.0'>
    <dhcp><range start='192.168.{third}.2' end='192.168.{third}.254'/></dhcp>
  </ip>
</network>
"""


def find(client: Client, key: str) -> Network:
    """Find a network by name or uuid. Raises: NotFound."""
    try:
        return client.call(network.network_lookup_by_name, key)
    except NotFound:
        uuid = ids.parse_uuid(key)
        if uuid is None:
            raise
        return client.call(network.network_lookup_by_uuid, bytes.fromhex(uuid.replace("-", "")))


def describe(client: Client, net: Network) -> dict[str, Any]:
    """Say what a network is."""
    active = bool(client.call(network.network_is_active, net))
    try:
        bridge = client.call(network.network_get_bridge_name, net)
    except DomicileError:  # a network over the host's devices has none
        bridge = ""
    return {
        "name": net.name,
        "uuid": str(ids.parse_uuid(net.uuid.hex())),
        "state": "running" if active else "off",
        "autostart": bool(client.call(network.network_get_autostart, net)),
        "persistent": bool(client.call(network.network_is_persistent, net)),
        "bridge": bridge,
        "leases": client.call(network.network_get_dhcp_leases, net, None, 0, 0)[1] if active else 0,
    }


@command(
    "network", Argument(["action"], type=click.Choice(ACTIONS)), Argument(["name"], required=False, metavar="NETWORK|FILE"),
    Option(["--disable"], is_flag=True),
)  # fmt: skip
def network_(action: str, name: str | None, disable: bool) -> None:
    """See and change virtual networks."""
    with connection.connect(state()) as client:
        if action == "list":
            _list(client)
        elif action == "define":
            made = client.call(network.network_define_xml, read_document(named(name, "FILE")))
            told(made.name, "did_define_object", describe(client, made))
        elif action == "default":
            _default(client, name or "default")
        else:
            found = find(client, named(name, "NETWORK"))
            if action == "xml":
                screen.out(client.call(network.network_get_xml_desc, found, 0).rstrip("\n"))
            elif action == "info":
                _info(describe(client, found))
            elif action == "leases":
                _leases(client, found)
            elif action == "autostart":
                client.call(network.network_set_autostart, found, int(not disable))
                told(found.name, "did_autostart_object" if not disable else "did_not_autostart_object")
            else:
                stub, word = ACTS[action]
                client.call_within(_LONG, stub, found)
                told(found.name, word)


def _list(client: Client) -> None:
    networks, _ = client.call(network.connect_list_all_networks, 1, 0)
    found = [describe(client, net) for net in sorted(networks, key=lambda net: net.name)]
    if state().json:
        screen.json(found)
    elif not found:
        screen.hint(say("no_networks"))
    else:
        headers = [say(key) for key in ("name", "state", "autostart", "bridge", "leases")]
        rows = [
            [
                screen.paint(one["name"], "bold"), _state(one["state"]), say("yes" if one["autostart"] else "no"), one["bridge"],
                str(one["leases"]),
            ]
            for one in found
        ]  # fmt: skip
        screen.table(headers, rows, right=(4,))


def _state(name: str) -> str:
    return screen.paint(say(f"pool_{name}"), "green" if name == "running" else "dim")


def _info(one: dict[str, Any]) -> None:
    if state().json:
        screen.json(one)
        return
    for key in ("name", "uuid", "state", "autostart", "bridge", "leases"):
        value = one[key]
        shown = _state(value) if key == "state" else say("yes" if value else "no") if isinstance(value, bool) else value
        screen.out(f"{'UUID' if key == 'uuid' else say(key)}: {shown}")


def _leases(client: Client, net: Network) -> None:
    found, _ = client.call(network.network_get_dhcp_leases, net, None, 1, 0)
    leases: list[dict[str, Any]] = [
        {
            "address": f"{one.ipaddr}/{one.prefix}",
            "mac": one.mac or "",
            "hostname": one.hostname or "",
            "until": one.expirytime,
        }
        for one in found
    ]
    if state().json:
        screen.json(leases)
    elif not leases:
        screen.hint(say("no_leases", name=net.name))
    else:
        headers = [say(key) for key in ("address", "mac", "hostname", "until")]
        rows = [[one["address"], one["mac"], one["hostname"], _until(one["until"])] for one in leases]
        screen.table(headers, rows)


def _until(moment: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment)) if moment else "∞"


def _default(client: Client, name: str) -> None:
    """Define the usual network on the first range of addresses that the host does not have, start it, now and with the daemon."""
    for third in _THIRD:
        made = client.call(network.network_define_xml, _DEFAULT.format(name=name, third=third))
        try:
            client.call_within(_LONG, network.network_create, made)
        except DomicileError as error:
            client.call(network.network_undefine, made)
            if error.wire_code != INTERNAL_ERROR or third == _THIRD[-1]:  # the number of "in use already"
                raise
            continue
        client.call(network.network_set_autostart, made, 1)
        told(name, "did_start_network", describe(client, made))
        return
