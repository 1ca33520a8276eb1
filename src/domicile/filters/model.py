"""What a document of a network filter may say, in libvirt's order of writing. Read and written by `document`."""

from __future__ import annotations

import dataclasses
from typing import Any

from domicile.base.errors import CONFIG_UNSUPPORTED, INTERNAL_ERROR, INVALID_ARG, XML_ERROR
from domicile.devices.interface.filterref import FilterRef
from domicile.filters.protocols import LINK_PROTOCOLS, PROTOCOLS, TITLES, Attribute
from domicile.schema import field as f
from domicile.schema.scalar import UUID, Scalar, enum, integer, plain
from domicile.schema.shape import Element, element

ACTIONS = ("drop", "accept", "reject", "return", "continue")
DIRECTIONS = ("in", "out", "inout")
PRIORITY = integer(-1000, 1000)
#: The chains' beginnings, each with the priority it has where none is given. Source: observed with libvirtd 9.0.
CHAINS = {"root": 0, "mac": -800, "vlan": -750, "stp": 0, "arp": -500, "rarp": -400, "ipv4": -700, "ipv6": -600}
_CHAIN_LENGTH = 12
_WORD = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.:")


def _chain(text: str) -> str:
    if text in ("", "root"):
        return "root"
    if len(text) > _CHAIN_LENGTH or not _WORD.issuperset(text) or chain_kind(text) == "root":
        raise ValueError
    return text


def chain_kind(name: str) -> str:
    """Say the protocol whose packets come to a chain, by the beginning of its name; ``root`` where there is none."""
    return next((kind for kind in CHAINS if kind != "root" and name.startswith(kind)), "root")


def _stateful(text: str) -> bool:
    known = {"false": False, "0": False, "true": True, "1": True}
    try:
        return known[text.lower()]
    except KeyError:
        raise ValueError from None


CHAIN = Scalar(
    "chain", _chain, plain,
    f"root, or a name of at most {_CHAIN_LENGTH} letters, digits and _-.: that begins with {', '.join(k for k in CHAINS if k != 'root')}",
)  # fmt: skip
STATEFUL = Scalar("stateful", _stateful, lambda value: "true" if value else "false", "false, true")


class Match(Element):
    """What is looked at in a packet; the class of each protocol is made from its attributes."""

    def values(self) -> dict[str, str]:
        """Give what is looked for, by the attributes' names."""
        found = ((name, getattr(self, declared.slot)) for name, declared in self.shape.attrs.items())
        return {name: value for name, value in found if value is not None and name not in ("match", "comment")}


def _class(tag: str, attributes: tuple[Attribute, ...]) -> type[Match]:
    title, zh = TITLES.get(tag, (tag.partition("-")[0].upper() + (" on IPv6" if "ipv6" in tag else ""), tag.upper()))
    names: dict[str, Any] = {"__doc__": f"{title}.", "__module__": __name__, "__annotations__": {"match": "str | None"}}
    names["match"] = f.attr("Whether what follows must be so, or must not.", "是匹配还是取反。", enum("yes", "no"))
    for name, english, chinese, scalar in attributes:
        slot = name.replace("-", "_")
        names["__annotations__"][slot] = "str | None"
        names[slot] = f.attr(english, chinese, scalar, name=name, code=INTERNAL_ERROR)
    made: type[Match] = element(tag, zh)(type(f"Match{tag.title().replace('-', '')}", (Match,), names))
    return made


#: The class of each protocol's element.
MATCHES: dict[str, type[Match]] = {tag: _class(tag, attributes) for tag, attributes in PROTOCOLS.items()}


def _rule() -> type[Any]:
    """Make the class that rules derive from: a child for each protocol, of which the first counts."""
    names: dict[str, Any] = {"__doc__": "One of each protocol.", "__module__": __name__, "__annotations__": {}}
    for tag, cls in MATCHES.items():
        slot = tag.replace("-", "_")
        names["__annotations__"][slot] = "Any"
        names[slot] = f.child(cls.shape.en, cls.shape.zh, cls, name=tag, order=1)
    return element("rule", "规则")(type("_OfProtocols", (Element,), names))


_OfProtocols: Any = _rule()


@element("rule", "规则", closed=True)
class Rule(_OfProtocols):  # type: ignore[misc]
    """What becomes of packets that match."""

    action: str | None = f.attr(
        "What becomes of a packet.", "对数据包的处理。", enum(*ACTIONS), required=True, code=CONFIG_UNSUPPORTED
    )
    direction: str | None = f.attr(
        "Which way it goes, as the guest sees it.", "从客户机看的方向。", enum(*DIRECTIONS), required=True, code=CONFIG_UNSUPPORTED
    )  # fmt: skip
    priority: int | None = f.attr("Lower ones are tried first; 500 by default.", "数值小者优先，默认 500。", PRIORITY)
    statematch: bool | None = f.attr(
        "Whether answers pass an accepting rule by themselves, and nothing else the other way.", "是否按连接状态匹配。", STATEFUL
    )  # fmt: skip

    @property
    def match(self) -> Match | None:
        """What is looked at, None for any packet of the chain."""
        slots = (tag.replace("-", "_") for tag in MATCHES)
        found: Match | None = next((getattr(self, slot) for slot in slots if getattr(self, slot) is not None), None)
        return found

    @property
    def on_link(self) -> bool:
        """Whether it is a rule on frames, in a chain; the others are rules on IP, with connections."""
        return self.match is None or self.match.shape.tag in LINK_PROTOCOLS


@element("filter", "网络过滤器")
class Filter(Element):
    """Rules that the packets of an interface pass."""

    name: str | None = f.attr("Its name.", "名称。", code=INTERNAL_ERROR)
    chain: str | None = f.attr("The chain its rules on frames are in.", "规则所在的链。", CHAIN, code=INVALID_ARG)
    priority: int | None = f.attr(
        "When the chain is passed; lower ones first.", "链的优先级，数值小者优先。", PRIORITY, code=INVALID_ARG
    )
    uuid: str | None = f.leaf("Its UUID.", "其 UUID。", UUID, code=XML_ERROR, empty_code=XML_ERROR)
    filterref: list[FilterRef] = f.children("Another filter whose rules belong to it.", "引用的过滤器。", FilterRef)
    rule: list[Rule] = f.children("A rule.", "规则。", Rule)
    entries: list[Rule | FilterRef] = dataclasses.field(default_factory=list)

    @property
    def chain_priority(self) -> int:
        """When its chain is passed."""
        return CHAINS[chain_kind(self.chain or "root")] if self.priority is None else self.priority
