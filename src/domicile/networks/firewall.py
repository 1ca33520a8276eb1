"""The rules of a network as nftables takes them: a table of its own for each, put in place and removed as a whole. Pure.

Source: libnftables-json(5). The table only ever speaks of the network's own bridge; what others rule is left to them.
"""

from __future__ import annotations

import ipaddress
import json
from typing import Any

from domicile.networks.complete import address_of
from domicile.networks.model import Network

Json = dict[str, Any]
FAMILY = "inet"
# What is never translated: it stays on the link.
_LOCAL = ("224.0.0.0/24", "255.255.255.255/32")
_LOCAL6 = ("fe80::/10", "ff02::/16")


def table(network: Network) -> str:
    """Name a network's table; the uuid keeps it apart from all others."""
    return f"domicile_{(network.uuid or '').replace('-', '')}"


def load(network: Network) -> str:
    """Write the commands that put a network's rules in place of whatever it had."""
    name = table(network)
    made: Json = {"table": {"family": FAMILY, "name": name}}
    commands: list[Json] = [{"add": made}, {"delete": made}]
    chains = _chains(network)
    if chains:
        commands.append({"add": made})
    for chain, hook, priority, rules in chains:
        head: Json = {"family": FAMILY, "table": name, "name": chain}
        base = head | {
            "type": "nat" if hook == "postrouting" else "filter",
            "hook": hook,
            "prio": priority,
            "policy": "accept",
        }
        commands.append({"add": {"chain": base}})
        place: Json = {"family": FAMILY, "table": name, "chain": chain}
        commands += [{"add": {"rule": place | {"expr": rule}}} for rule in rules]
    return json.dumps({"nftables": commands})


def unload(uuid: str) -> str:
    """Write the commands that remove a network's rules, if there are any."""
    made: Json = {"table": {"family": FAMILY, "name": f"domicile_{uuid.replace('-', '')}"}}
    return json.dumps({"nftables": [{"add": made}, {"delete": made}]})


def _chains(network: Network) -> list[tuple[str, str, int, list[list[Json]]]]:
    bridge = network.bridge.name if network.bridge is not None else ""
    mode = network.mode
    if not bridge or mode == "open":
        return []
    networks = [place.network for place in map(address_of, network.ip) if place is not None]
    outside = network.forward.dev if network.forward is not None else None
    translated = [
        n for n in networks if n.version == 4 or (network.forward and network.forward.nat and network.forward.nat.ipv6)
    ]
    forward: list[list[Json]] = [[_is("iifname", bridge), _is("oifname", bridge), _ACCEPT]]
    if mode:
        for one in networks:
            out = [_is("oifname", outside)] if outside else []
            back = [_is("iifname", outside)] if outside else []
            answer = [_ANSWER] if mode == "nat" and one in translated else []
            forward.append([_is("iifname", bridge), *out, _from(one), _ACCEPT])
            forward.append([_is("oifname", bridge), *back, _to(one), *answer, _ACCEPT])
    forward += [[_is("iifname", bridge), {"reject": None}], [_is("oifname", bridge), {"reject": None}]]
    chains = [("forward", "forward", 0, forward)]
    if mode == "nat" and translated:
        rules: list[list[Json]] = []
        for one in translated:
            rules += _translation(network, one, outside)
        chains.append(("postrouting", "postrouting", 100, rules))
    return chains


def _translation(network: Network, one: Any, outside: str | None) -> list[list[Json]]:
    rules = [
        [_from(one), _to(ipaddress.ip_network(local)), {"return": None}]
        for local in (_LOCAL if one.version == 4 else _LOCAL6)
    ]
    nat = network.forward.nat if network.forward is not None else None
    ports = [nat.port.start, nat.port.end] if nat is not None and nat.port is not None else [1024, 65535]
    leaving = [_from(one), _to(one, "!="), *([_is("oifname", outside)] if outside else [])]
    span = nat.address if nat is not None else None
    for protocols in (["tcp", "udp"], None):
        how: Json = {}
        if protocols is not None:
            how["port"] = {"range": ports}
        if span is not None and span.start and (":" in span.start) == (one.version == 6):
            how["family"] = "ip" if one.version == 4 else "ip6"
            how["addr"] = span.start if span.end in (None, span.start) else {"range": [span.start, span.end]}
            verdict: Json = {"snat": how}
        else:
            verdict = {"masquerade": how or None}
        only = (
            []
            if protocols is None
            else [{"match": {"op": "==", "left": {"meta": {"key": "l4proto"}}, "right": {"set": protocols}}}]
        )
        rules.append([*leaving, *only, verdict])
    return rules


_ACCEPT: Json = {"accept": None}
_ANSWER: Json = {"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": ["established", "related"]}}


def _is(key: str, name: str | None) -> Json:
    return {"match": {"op": "==", "left": {"meta": {"key": key}}, "right": name}}


def _from(network: Any) -> Json:
    return _of(network, "saddr", "==")


def _to(network: Any, op: str = "==") -> Json:
    return _of(network, "daddr", op)


def _of(network: Any, field: str, op: str) -> Json:
    protocol = "ip" if network.version == 4 else "ip6"
    right: Any = {"prefix": {"addr": str(network.network_address), "len": network.prefixlen}}
    if network.prefixlen == network.max_prefixlen:
        right = str(network.network_address)
    return {"match": {"op": op, "left": {"payload": {"protocol": protocol, "field": field}}, "right": right}}
