"""From a filter to rules: variables, references, chains in their order, directions, states, what cannot be."""

from __future__ import annotations

import json
from typing import Any

import pytest

from domicile.base.errors import InvalidRequest, NotFound, Unsupported
from domicile.filters import document, instance, learning, ruleset, stock
from domicile.filters.instance import Unresolved

FILTERS = {one.name: one for one in map(document.complete_text, stock.documents())}


def built(body: str, attributes: str = "", **values: str) -> dict[str, list[list[Any]]]:
    """Build a filter's rules; by the chain's name its rules' expressions."""
    made = document.complete_text(f"<filter name='f' {attributes}>{body}</filter>")
    known = {name: tuple(value.split()) for name, value in values.items()}
    found = ruleset.build(instance.instantiate("f", known, {**FILTERS, "f": made}.get), "t")
    return {name: [expression for expression, _ in rules] for name, rules in found.chains}


def rule(match: str = "", action: str = "accept", way: str = "in", more: str = "") -> str:
    head = f"<rule action='{action}' direction='{way}' {more}"
    return f"{head}><{match}/></rule>" if match else f"{head}/>"


def asked(expression: list[Any], field: str) -> list[Any]:
    """Give what a rule compares a field with."""
    return [
        one["match"]["right"] for one in expression
        if "match" in one and one["match"]["left"].get("payload", {}).get("field") == field
    ]  # fmt: skip


def test_lists_are_written_out_in_step_or_in_every_combination() -> None:
    def pairs(match: str) -> list[tuple[Any, Any]]:
        found = built(rule(match), A="1.1.1.1 2.2.2.2 3.3.3.3", B="4.4.4.4 5.5.5.5 6.6.6.6")
        return [(asked(one, "saddr")[0], (asked(one, "daddr") or [""])[0]) for one in found["t.in.root"]]

    assert pairs("ip srcipaddr='$A'") == [("1.1.1.1", ""), ("2.2.2.2", ""), ("3.3.3.3", "")]
    assert pairs("ip srcipaddr='$A[1]'") == [("2.2.2.2", "")]
    assert pairs("ip srcipaddr='$A[@1]' dstipaddr='$B[@1]'") == [
        ("1.1.1.1", "4.4.4.4"), ("2.2.2.2", "5.5.5.5"), ("3.3.3.3", "6.6.6.6"),
    ]  # fmt: skip
    every = pairs("ip srcipaddr='$A[@1]' dstipaddr='$B[@2]'")
    assert len(every) == len(set(every)) == 9 and every[:2] == [("1.1.1.1", "4.4.4.4"), ("2.2.2.2", "4.4.4.4")]


def test_what_has_no_value_is_named() -> None:
    with pytest.raises(Unresolved) as caught:
        built(rule("ip srcipaddr='$A' dstipaddr='$B[3]'"), B="1.1.1.1")
    assert caught.value.names == ("A", "B")
    with pytest.raises(InvalidRequest, match="Cardinality"):
        built(rule("ip srcipaddr='$A' dstipaddr='$B'"), A="1.1.1.1 2.2.2.2", B="1.1.1.1 2.2.2.2 3.3.3.3")
    with pytest.raises(InvalidRequest, match="none"):
        built(rule("ip srcipaddr='$A'"), A="none")
    with pytest.raises(NotFound, match="nowhere"):
        built("<filterref filter='nowhere'/>")
    with pytest.raises(Unsupported, match="20000"):
        many = " ".join(f"10.0.{n // 250}.{n % 250}" for n in range(300))
        built(rule("ip srcipaddr='$A[@1]' dstipaddr='$A[@2]'"), A=many)


def test_who_uses_a_filter_has_the_word_on_its_variables() -> None:
    ref = "<filterref filter='no-ip-spoofing'><parameter name='IP' value='1.1.1.1'/></filterref>"
    assert asked(built(ref)["t.out.ipv4-ip"][1], "saddr") == ["1.1.1.1"]
    assert asked(built(ref, IP="2.2.2.2")["t.out.ipv4-ip"][1], "saddr") == ["2.2.2.2"]


def test_chains_come_at_their_priorities_and_end_by_accepting() -> None:
    found = built("<filterref filter='clean-traffic'/>", MAC="52:54:00:00:00:01", IP="10.0.0.1")
    ends = [one[-1] for one in found["t.out.root"]]
    order = [one["jump"]["target"].rpartition(".")[2] if "jump" in one else next(iter(one)) for one in ends]
    assert order == ["mac", "ipv4-ip", "accept", "arp-mac", "arp-ip", "accept", "rarp", "accept", "drop"]
    assert all(rules[-1] == [{"accept": None}] for name, rules in found.items() if not name.endswith("root"))
    assert found["t.out.mac"][0][-1] == {"return": None}
    assert found["t.out.mac"][1] == [{"drop": None}]


def test_a_rule_for_both_ways_is_turned_round_for_what_goes_out() -> None:
    found = built(
        rule("ip srcipaddr='1.1.1.1' dstipaddr='2.2.2.2'", way="inout")
        + rule("arp arpsrcipaddr='3.3.3.3'", way="inout")
    )
    assert asked(found["t.in.root"][0], "saddr") == ["1.1.1.1"]
    assert asked(found["t.out.root"][0], "saddr") == ["2.2.2.2"] and asked(found["t.out.root"][0], "daddr") == [
        "1.1.1.1"
    ]
    places = [found[f"t.{way}.root"][1][1]["match"]["left"]["payload"]["offset"] for way in ("in", "out")]
    assert places == [112, 192]
    assert asked(built(rule("ip srcipaddr='1.1.1.1'", way="out"))["t.out.root"][0], "saddr") == ["1.1.1.1"]


def bits(expression: list[Any]) -> list[tuple[str, int]]:
    """Give the tests of a packet's mark."""
    return [
        (one["match"]["op"], one["match"]["left"]["&"][1]) for one in expression
        if "match" in one and one["match"]["left"].get("&", [{}])[0] == {"meta": {"key": "mark"}}
    ]  # fmt: skip


def test_states_are_those_of_libvirt() -> None:
    new, known, reply = 0x10000, 0x20000, 0x100000
    found = built(rule("tcp dstportstart='22'"))
    assert bits(found["t.in.ip"][0]) == [("!=", new | known), ("==", reply)]
    assert bits(found["t.out.ip"][0]) == [("!=", known), ("!=", reply)]
    assert bits(built(rule("tcp", way="out"))["t.out.ip"][0]) == [("!=", new | known), ("==", reply)]
    for one in (
        built(rule("tcp", way="inout")), built(rule("tcp", action="drop")), built(rule("tcp", more="statematch='false'")),
    ):  # fmt: skip
        assert bits(one["t.in.ip"][0]) == bits(one["t.out.ip"][0]) == []
    assert "t.out.ip" not in (only := built(rule("tcp state='NEW'"))) and bits(only["t.in.ip"][0]) == [("!=", new)]
    assert "t.out.ip" not in built(rule("tcp state='NONE'"))
    typed = built(rule("icmp type='8'"))
    assert "t.out.ip" not in typed and bits(typed["t.in.ip"][0]) == [("!=", new | known)]
    assert built(rule("icmp type='8'", way="inout"))["t.out.ip"]


def test_the_contrary_is_asked_of_each_value_but_not_of_the_protocol() -> None:
    (found,) = built(rule("tcp match='no' srcipaddr='1.1.1.1' dstportstart='5'", action="drop", way="in"))["t.in.ip"]
    assert [one["match"]["op"] for one in found if "match" in one] == ["==", "==", "!=", "!="]


def test_what_the_kernel_cannot_ask_is_said() -> None:
    for match in ("tcp connlimit-above='3'", "tcp ipset='x'", "tcp option='5'", "arp gratuitous='yes'"):
        with pytest.raises(Unsupported):
            built(rule(match))
    assert built(rule("arp gratuitous='yes' arpsrcipaddr='1.2.3.4'"))


def test_loops_and_references_are_found() -> None:
    one = document.complete_text("<filter name='a'><filterref filter='b'/></filter>")
    other = document.complete_text("<filter name='b'><filterref filter='a'/></filter>")
    find = {"a": one, "b": other}.get
    assert instance.refers({"a": one}.get, "a") == {"a", "b"}
    with pytest.raises(InvalidRequest, match="loop"):
        instance.check_loop(other, {"a": one}.get)
    assert instance.refers(find, "a") == {"a", "b"}


def test_what_is_added_is_dropped_again() -> None:
    made = ruleset.build(
        instance.instantiate("clean-traffic", {"MAC": ("52:54:00:00:00:01",), "IP": ("1.1.1.1",)}, FILTERS.get), "t"
    )
    added = [
        next(iter(one["add"].values())).get("name")
        for one in ruleset.adding("x", "vnet0", made)
        if "chain" in one["add"]
    ]
    dropped = [
        one["delete"]["chain"]["name"]
        for one in ruleset.dropping("x", "vnet0", made)
        if "chain" in one.get("delete", {})
    ]
    assert added == dropped[::-1]
    assert json.loads(ruleset.text(ruleset.setting("x")))


ACK = bytes.fromhex(
    "525400770002a64416dc34a0080045c00148004c000040115d31c0a84d01c0a84d160043004401341cae02010600f80a61640003000000000000"
)


def ack(kind: int = 5, server: str = "c0a84d01") -> bytes:
    message = bytes.fromhex("02010600f80a616400030000") + bytes(4) + bytes([192, 168, 77, 22]) + bytes(8)
    message += (
        bytes.fromhex("525400770002").ljust(16, b"\0")
        + bytes(192)
        + bytes.fromhex(f"6382536335 01 {kind:02x} 33 04 00000e10 ff")
    )
    return ACK[:26] + bytes.fromhex(server) + ACK[30:42] + message


def test_an_address_is_learnt_from_what_is_trusted() -> None:
    mac = bytes.fromhex("525400770002")
    found = learning.told(ack(), True, mac, "dhcp", {})
    assert found == learning.Learnt("192.168.77.22", 3600)
    assert learning.told(ack(2), True, mac, "dhcp", {}) is None, "an offer is no lease"
    assert learning.told(ack(), False, mac, "dhcp", {}) is None, "the guest cannot lend itself an address"
    assert learning.told(ack(), True, mac, "dhcp", {"DHCPSERVER": ("10.0.0.1",)}) is None
    assert learning.told(ack(), True, mac, "dhcp", {"DHCPSERVER": ("192.168.77.1",)}) == found
    assert learning.told(ack(), True, bytes(6), "dhcp", {}) is None
    frame = (
        bytes.fromhex("ffffffffffff525400770002080045000054") + bytes(8) + bytes([10, 0, 0, 5, 10, 0, 0, 1]) + bytes(40)
    )
    assert learning.told(frame, False, mac, "any", {}) == learning.Learnt("10.0.0.5")
    assert learning.told(frame, False, mac, "dhcp", {}) is None
    assert learning.told(frame, False, bytes(6), "any", {}) is None
    for length in range(len(ack())):
        learning.told(ack()[:length], True, mac, "any", {})
