"""The rules of all filtered interfaces as nftables takes them. Pure; `driver` hands them over.

There are two tables. The one on bridges has a map from devices to chains at each hook; an interface's chains have names of
their own and are replaced as a whole. On many kernels a bridge's rules know no connections and cannot refuse, so the other
table, on IP, notes in bits of a packet's mark what is known of its connection, and refuses what a rule marked to be refused.
It is only asked where a filter's rules need it.

    from the guest    frames at -250 · connection noted (IP, prerouting) · rules on IP at 50
    to the guest      connection noted (IP) · rules on IP in forward and output at -50 · frames in postrouting at 200

Source: libnftables-json(5); observed with libvirtd 9.0.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from domicile.base.errors import Unsupported
from domicile.filters import expressions
from domicile.filters.expressions import Json, Reversed, meta, test
from domicile.filters.instance import Chain, Instance, Wanted
from domicile.filters.model import chain_kind
from domicile.filters.words import ETHERTYPES

#: The bits of a packet's mark that the tables use: the state of its connection, whether it answers, whether it is refused.
STATES = {"NEW": 0x10000, "ESTABLISHED": 0x20000, "RELATED": 0x40000, "INVALID": 0x80000}
_REPLY, _REFUSED = 0x100000, 0x200000
_NOTED = sum(STATES.values()) | _REPLY
_OTHER_BITS = 0xFFFFFFFF & ~_NOTED
_BRIDGE, _INET = "bridge", "inet"
#: The maps from devices to chains: rules on frames and on IP, from the guest and to it.
_MAPS = ("frames_out", "frames_in", "ip_out", "ip_in")
_STP = "01:80:c2:00:00:00"
_VERDICTS: dict[str, Json] = {"accept": {"accept": None}, "drop": {"drop": None}, "return": {"return": None}}
_COMMENT = 100


@dataclass(frozen=True, slots=True)
class Built:
    """One interface's rules: its chains (a caller comes after what it calls), and where its packets enter them."""

    chains: tuple[tuple[str, tuple[tuple[list[Json], str], ...]], ...]
    entries: tuple[tuple[str, str], ...]
    connections: bool

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its chains."""
        return tuple(name for name, _ in self.chains)


# One interface.


def build(instance: Instance, prefix: str) -> Built:
    """Write one interface's rules; its chains' names begin with `prefix`. Raises: Unsupported."""
    chains: list[tuple[str, tuple[tuple[list[Json], str], ...]]] = []
    entries: list[tuple[str, str]] = []
    for way in ("out", "in"):
        below: list[tuple[int, list[Json]]] = []
        for chain in sorted(instance.chains.values(), key=lambda one: one.priority):
            if chain.name == "root":
                continue
            rules = tuple(_frames(chain.rules, way))
            if rules:
                name = f"{prefix}.{way}.{chain.name}"
                # What a chain says nothing about passes: nothing further on is asked.
                chains.append((name, (*rules, ([_VERDICTS["accept"]], ""))))
                below.append((chain.priority, [*_of_chain(chain), {"jump": {"target": name}}]))
        root = _root(instance.chains["root"], way, below)
        if root:
            chains.append((f"{prefix}.{way}.root", tuple(root)))
            entries.append((f"frames_{way}", f"{prefix}.{way}.root"))
    needed = False
    for way in ("out", "in"):
        found = list(_on_ip(instance.on_ip, way))
        if found:
            chains.append((f"{prefix}.{way}.ip", tuple((rule, comment) for rule, comment, _ in found)))
            entries.append((f"ip_{way}", f"{prefix}.{way}.ip"))
            needed = needed or any(connection for _, _, connection in found)
    return Built(tuple(chains), tuple(entries), needed)


def _of_chain(chain: Chain) -> list[Json]:
    kind = chain_kind(chain.name)
    if kind == "stp":
        return [test(expressions.payload("ether", "daddr"), _STP)]
    return [expressions.ethertype(ETHERTYPES[kind])] if kind in ETHERTYPES else []


def _root(chain: Chain, way: str, below: list[tuple[int, list[Json]]]) -> Iterator[tuple[list[Json], str]] | None:
    """Put the root's own rules and the other chains in one order, a chain before rules of the same priority."""
    own = [(wanted.rule.priority or 0, rule) for wanted in chain.rules for rule in _frames([wanted], way)]
    merged = sorted([*((priority, (rule, "")) for priority, rule in below), *own], key=lambda one: one[0])
    return iter(rule for _, rule in merged) if merged else None


def _frames(rules: Iterable[Wanted], way: str) -> Iterator[tuple[list[Json], str]]:
    for wanted in rules:
        rule = wanted.rule
        if rule.direction not in (way, "inout") or rule.action == "continue":
            continue
        # One for both ways is written as it is for what comes in.
        values = Reversed(wanted.values) if rule.direction == "inout" and way == "out" else wanted.values
        verdict = _VERDICTS.get(rule.action or "", _VERDICTS["drop"])  # a frame cannot be refused
        for asked in expressions.link(wanted.protocol, values, wanted.negated) if wanted.protocol else ([],):
            yield [*asked, verdict], _comment(wanted)


def _comment(wanted: Wanted) -> str:
    text = getattr(wanted.rule.match, "comment", None) or ""
    return "".join(c for c in text if c.isprintable() and c.isascii() and c not in '"\\')[:_COMMENT]


def _on_ip(rules: Iterable[Wanted], way: str) -> Iterator[tuple[list[Json], str, bool]]:
    for wanted in rules:
        rule, values = wanted.rule, wanted.values
        if rule.action == "continue":
            continue
        if "connlimit-above" in values:
            raise Unsupported("connlimit-above cannot be applied: connections are counted by no rule on a bridge")
        forward = rule.direction == way or (rule.direction == "inout" and way == "in")
        if not forward and _one_way(wanted):
            continue
        states = _states(wanted, forward)
        asked = expressions.on_ip(wanted.protocol, values if forward else Reversed(values), wanted.negated)
        if states:
            asked += _noted(states)
        refuse = rule.action == "reject"
        yield (
            [*asked, *(_refusal() if refuse else [_VERDICTS[_ip_verdict(rule.action)]])],
            _comment(wanted),
            bool(states) or refuse,
        )


def _ip_verdict(action: str | None) -> str:
    """There is one chain on IP, so that to return from it is to pass."""
    return "drop" if action == "drop" else "accept"


def _one_way(wanted: Wanted) -> bool:
    """Say whether a rule speaks of its own direction alone: of a state, or of a message of ICMP that has no answer of its kind."""
    rule, values = wanted.rule, wanted.values
    if rule.direction == "inout":
        return False
    if rule.statematch is not False and values.get("state", "NONE") != "NONE":
        return True
    if values.get("state") == "NONE":
        return True
    return wanted.protocol in ("icmp", "icmpv6") and ("type" in values or "code" in values)


def _states(wanted: Wanted, forward: bool) -> tuple[tuple[str, ...], bool | None] | None:
    """Say which states of a connection a packet must have, and whether it must be an answer; None where it is not asked."""
    rule, values = wanted.rule, wanted.values
    if rule.statematch is False:
        return None
    if "state" in values:
        return None if values["state"] == "NONE" else (tuple(values["state"].split(",")), None)
    if rule.action != "accept" or rule.direction == "inout":
        return None
    if wanted.protocol in ("icmp", "icmpv6") and ("type" in values or "code" in values):
        return ("NEW", "ESTABLISHED"), None
    return (("NEW", "ESTABLISHED"), False) if forward else (("ESTABLISHED",), True)


def _noted(asked: tuple[tuple[str, ...], bool | None]) -> list[Json]:
    states, answer = asked
    bits = sum(STATES[state] for state in states)
    found = [test({"&": [meta("mark"), bits]}, 0, unlike=True)]
    if answer is not None:
        found.append(test({"&": [meta("mark"), _REPLY]}, 0, unlike=answer))
    return found


def _refusal() -> list[Json]:
    """Mark a packet to be refused by the table on IP, or dropped behind it where that table does not see it."""
    return [_mark({"|": [meta("mark"), _REFUSED]}), {"accept": None}]


def _mark(value: Any) -> Json:
    return {"mangle": {"key": meta("mark"), "value": value}}


# The tables.


def setting(table: str) -> list[Json]:
    """Write the commands that make the tables with their hooks, where they are not there yet."""
    bridge: Json = {"family": _BRIDGE, "table": table}
    commands: list[Json] = [{"add": {"table": {"family": _BRIDGE, "name": table}}}]
    commands += [{"add": {"map": bridge | {"name": name, "type": "ifname", "map": "verdict"}}} for name in _MAPS]
    hooks = (
        ("prerouting", -250, "iifname", "frames_out"), ("prerouting", 50, "iifname", "ip_out"), ("forward", -50, "oifname", "ip_in"),
        ("output", -50, "oifname", "ip_in"), ("postrouting", 200, "oifname", "frames_in"),
    )  # fmt: skip
    for hook, priority, key, name in hooks:
        rules: list[list[Json]] = [[{"vmap": {"key": meta(key), "data": f"@{name}"}}]]
        if hook == "output":  # what the host itself says of a connection: that it was refused, or found no way
            related = test({"&": [meta("mark"), STATES["RELATED"]]}, 0, unlike=True)
            rules.insert(0, [test(meta("l4proto"), {"set": [1, 58]}), related, {"accept": None}])
        commands += _hooked(bridge, f"{hook}_{name}", hook, priority, rules)
    refused = test({"&": [meta("mark"), _REFUSED]}, 0, unlike=True)
    commands += _hooked(bridge, "refused", "postrouting", 250, [[refused, {"drop": None}]])
    return [*commands, *_noting(table, refused)]


def _noting(table: str, refused: Json) -> list[Json]:
    """Write the table on IP."""
    inet: Json = {"family": _INET, "table": table}
    commands: list[Json] = [
        {"add": {"table": {"family": _INET, "name": table}}},
        {"add": {"set": inet | {"name": "bridges", "type": "ifname"}}},
        {"add": {"chain": inet | {"name": "note"}}},
        {"flush": {"chain": inet | {"name": "note"}}},
    ]
    note: list[list[Json]] = [[_mark({"&": [meta("mark"), _OTHER_BITS]})]]
    for state, bit in STATES.items():
        is_so = {"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": state.lower()}}
        note.append([is_so, _mark({"|": [meta("mark"), bit]})])
    note.append([test({"ct": {"key": "direction"}}, "reply"), _mark({"|": [meta("mark"), _REPLY]})])
    commands += [{"add": {"rule": inet | {"chain": "note", "expr": rule}}} for rule in note]
    came, goes = (test(meta(key), "@bridges") for key in ("iifname", "oifname"))
    jump: Json = {"jump": {"target": "note"}}
    elsewhere = test(meta("iifname"), "@bridges", unlike=True)
    refuse = [refused, {"reject": {"type": "icmpx", "expr": "port-unreachable"}}]
    commands += _hooked(inet, "prerouting", "prerouting", -199, [[came, jump]])
    commands += _hooked(inet, "output", "output", -199, [[goes, jump]])
    commands += _hooked(inet, "forward", "forward", -199, [[elsewhere, goes, jump], refuse])
    commands += _hooked(inet, "input", "input", -199, [refuse])
    return commands


def _hooked(table: Json, name: str, hook: str, priority: int, rules: list[list[Json]]) -> list[Json]:
    head = table | {"name": name, "type": "filter", "hook": hook, "prio": priority, "policy": "accept"}
    place = table | {"chain": name}
    found: list[Json] = [{"add": {"chain": head}}, {"flush": {"chain": table | {"name": name}}}]
    return found + [{"add": {"rule": place | {"expr": rule}}} for rule in rules]


def removal(table: str) -> list[Json]:
    """Write the commands that remove both tables, if they are there."""
    found: list[Json] = []
    for family in (_BRIDGE, _INET):
        one: Json = {"table": {"family": family, "name": table}}
        found += [{"add": one}, {"delete": one}]
    return found


def adding(table: str, device: str, built: Built) -> list[Json]:
    """Write the commands that add an interface's chains and lead its packets to them."""
    bridge: Json = {"family": _BRIDGE, "table": table}
    commands: list[Json] = []
    for name, rules in built.chains:
        commands.append({"add": {"chain": bridge | {"name": name}}})
        for rule, comment in rules:
            said = {"comment": comment} if comment else {}
            commands.append({"add": {"rule": bridge | {"chain": name, "expr": rule} | said}})
    for name, chain in built.entries:
        element = [[device, {"jump": {"target": chain}}]]
        commands.append({"add": {"element": bridge | {"name": name, "elem": element}}})
    return commands


def dropping(table: str, device: str, built: Built) -> list[Json]:
    """Write the commands that undo `adding`."""
    bridge: Json = {"family": _BRIDGE, "table": table}
    found: list[Json] = [
        {"delete": {"element": bridge | {"name": name, "elem": [[device, {"jump": {"target": chain}}]]}}}
        for name, chain in built.entries
    ]
    for name in reversed(built.names):
        found += [{"flush": {"chain": bridge | {"name": name}}}, {"delete": {"chain": bridge | {"name": name}}}]
    return found


def bridges(table: str, verb: str, names: Iterable[str]) -> list[Json]:
    """Write the command that notes the connections of what passes these bridges, or notes them no longer."""
    listed = sorted(names)
    place: Json = {"family": _INET, "table": table, "name": "bridges", "elem": listed}
    return [{verb: {"element": place}}] if listed else []


def text(commands: list[Json]) -> str:
    """Write commands as nftables reads them; all of them take effect or none."""
    return json.dumps({"nftables": commands})
