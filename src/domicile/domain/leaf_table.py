"""Every value of a completed document under a name that outlives changes beside it: ``devices/disk[vda]/source/@file``.

Called by blame. Elements of lists are named by what identifies them (see `schema.shape.element`), by their address, or by their
number; so a disk is the same disk wherever it stands. Documents of one domain share most of their elements, word for word, so
each element's text is taken apart once.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

from lxml import etree

from domicile.base.errors import InvalidDocument
from domicile.domain.domain import QEMU, Domain
from domicile.schema import read as reading
from domicile.schema.shape import Shape, Variant


class Leaf(NamedTuple):
    """A value, and its path below the element it is in."""

    value: str
    path: str


#: The values of one element by their names in it.
Leaves = dict[str, Leaf]


class Part(NamedTuple):
    """One element of a document: its path, and its values; parts of equal text have the same values, the very object."""

    path: str
    leaves: Leaves


#: The parts of a document by their lasting names, in its order: the root itself, what stands in it, and each device.
Table = dict[str, Part]
#: One element on its own: what it is called, its tag, its values.
_Piece = tuple[str, str, Leaves]
_ROOT, _DEVICES = Domain.shape, "devices"


class Tables:
    """Makes tables of the documents of one domain, remembering the elements that they share."""

    def __init__(self) -> None:
        self._known: dict[tuple[bool, str], _Piece] = {}

    def table(self, completed: str) -> Table:
        """Take a completed document apart."""
        try:
            return self._quickly(completed)
        except (etree.XMLSyntaxError, ValueError):
            return whole(completed)

    def _quickly(self, completed: str) -> Table:
        """Take apart only what was not seen before. Raises: ValueError, etree.XMLSyntaxError where its form is not this program's."""
        head, *lines = completed.rstrip("\n").split("\n")
        if not lines or lines.pop() != "</domain>":
            raise ValueError("another form")
        top, below = [self._piece(head[:-1] + "/>", root=True)], []
        for block in _blocks(lines, "  "):
            if block[0].startswith("  <devices") and len(block) > 1:
                below = [self._piece("\n".join(inner), devices=True) for inner in _blocks(block[1:-1], "    ")]
                top.append((_DEVICES, _DEVICES, _EMPTY))
            else:
                top.append(self._piece("\n".join(block)))
        return _joined(top, below)

    def _piece(self, text: str, *, devices: bool = False, root: bool = False) -> _Piece:
        known = self._known.get((devices, text))
        if known is None:
            if "qemu:" in text and not root:
                node = etree.fromstring(f"<domain xmlns:qemu='{QEMU}'>{text}</domain>", _PARSER)[0]
            else:
                node = etree.fromstring(text, _PARSER)
            known = ("", "", _inside(node, _ROOT)) if root else _piece(node, _LISTS if devices else _ROOT)
            self._known[devices, text] = known
        return known


_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
_EMPTY: Leaves = {"": Leaf("", "")}
_LISTS: Shape = _ROOT.elements[_DEVICES].nested


def whole(completed: str) -> Table:
    """Take a document apart whatever form it has; one that cannot be read has no values."""
    try:
        root = reading.parse(completed)
    except InvalidDocument:
        return {}
    top: list[_Piece] = [("", "", _own(root))]
    below: list[_Piece] = []
    for node in root:
        if node.tag == _DEVICES:
            top.append((_DEVICES, _DEVICES, _EMPTY))
            below = [_piece(device, _LISTS) for device in node if isinstance(device.tag, str)]
        elif isinstance(node.tag, str):
            top.append(_piece(node, _ROOT))
    return _joined(top, below)


def _joined(top: list[_Piece], below: list[_Piece]) -> Table:
    found = {name: Part(path, leaves) for name, path, leaves in _numbered(top)}
    for name, path, leaves in _numbered(below):
        found[f"{_DEVICES}/{name}"] = Part(f"{_DEVICES}/{path}", leaves)
    return found


def join(base: str, below: str) -> str:
    """Put a path behind the path of the element it is in."""
    return f"{base}/{below}" if base and below else base or below


def _blocks(lines: list[str], indent: str) -> list[list[str]]:
    """Part lines into the elements that begin at this indentation."""
    start, end = indent + "<", indent + "</"
    found: list[list[str]] = []
    for line in lines:
        if line.startswith(start) and not line.startswith(end):
            found.append([line])
        elif found:
            found[-1].append(line)
        else:
            raise ValueError("another form")
    return found


def _numbered(pieces: list[_Piece]) -> list[_Piece]:
    """Say of siblings which is which, in names and in paths."""
    tags, names = Counter(tag for _, tag, _ in pieces), Counter(name for name, _, _ in pieces)
    if len(tags) == len(pieces):
        return pieces
    seen: Counter[str] = Counter()
    found = []
    for name, tag, leaves in pieces:
        seen[f"<{tag}"] += 1
        seen[name] += 1
        called = f"{name}#{seen[name]}" if names[name] > 1 else name
        found.append((called, f"{tag}[{seen[f'<{tag}']}]" if tags[tag] > 1 else tag, leaves))
    return found


def _piece(node: Any, holder: Shape | None) -> _Piece:
    """Take one element apart; `holder` is the shape of the element it is in."""
    tag = node.tag
    declared = holder.elements.get(tag) if holder is not None else None
    shape = declared.nested if declared is not None else None
    if declared is not None and isinstance(declared.of, Variant):
        case = declared.of.cases.get(node.get(declared.of.attribute) or "", declared.of.otherwise)
        shape = case.shape if case is not None else None
    name = tag
    if declared is not None and declared.kind == "children":
        known = _identity(node, shape) or _address(node)
        name = f"{tag}[{known}]" if known else tag
    return name, tag, _inside(node, shape)


def _inside(node: Any, shape: Shape | None) -> Leaves:
    found = _own(node)
    for name, path, leaves in _numbered([_piece(child, shape) for child in node if isinstance(child.tag, str)]):
        for below, leaf in leaves.items():
            found[join(name, below)] = Leaf(leaf.value, join(path, leaf.path))
    return found


def _own(node: Any) -> Leaves:
    """Give what an element itself says: that it is there, its text, its attributes."""
    text = (node.text or "").strip()
    alone = not len(node) and not node.attrib
    found = {"": Leaf(text if alone else "", "")}
    if text and not alone:
        found["text()"] = Leaf(text, "text()")
    for key, value in node.attrib.items():
        found[f"@{key}"] = Leaf(value, f"@{key}")
    return found


def _identity(node: Any, shape: Shape | None) -> str:
    """Give the values by which an element is known to be the same one."""
    if shape is None or not shape.identity:
        return ""
    values = []
    for dotted in shape.identity:
        *way, last = dotted.split(".")
        for step in way:
            node_at = node.find(step)
            if node_at is None:
                break
            value = node_at.get(last)
            values.append(value or "")
        if not way:
            values.append(node.get(last) or (node.findtext(last) or "").strip())
    return " ".join(value for value in values if value)


def _address(node: Any) -> str:
    """Name a device that has no name by where it is."""
    for place in (node.find("address"), node.find("target")):
        if place is not None:
            words = [place.get(key) for key in ("type", "domain", "bus", "slot", "function", "port", "unit")]
            known = " ".join(word for word in words if word)
            if known:
                return known
    return ""
