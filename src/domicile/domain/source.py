"""An author's own text as a tree that can be changed and written back in the form it had: comments, blanks, single quotes.

Called by adapt, which changes somebody's document without rewriting it.
"""

from __future__ import annotations

from typing import Any

from lxml import etree

from domicile.base.errors import InvalidDocument
from domicile.base.problem import Problem
from domicile.schema import read as reading

_TEXT = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_VALUE = str.maketrans({"&": "&amp;", "<": "&lt;", "'": "&apos;", "\n": "&#10;", "\t": "&#9;"})


def parse(text: str | bytes) -> Any:
    """Parse a document with its comments, as strictly as any other.

    Raises:
        InvalidDocument: it is not well-formed, too large, or no domain.
    """
    root: Any = reading.parse(text)
    if root.tag != "domain":
        raise InvalidDocument([Problem("", f"the root element is '{root.tag}'", root.sourceline or 0, "<domain>")])
    data = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    return etree.fromstring(data, etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False))


def drop(node: Any) -> None:
    """Take an element out, and the line it stood on."""
    parent, before = node.getparent(), node.getprevious()
    if node.getnext() is None:
        if before is not None:
            before.tail = node.tail
        elif len(parent) == 1:
            parent.text = None
    parent.remove(node)


def write(root: Any) -> str:
    """Write the tree back."""
    around = list(root.itersiblings(preceding=True))[::-1]
    head = "".join(f"<!--{node.text}-->\n" for node in around if isinstance(node, etree._Comment))
    out: list[str] = [head]
    _node(root, {}, out)
    return "".join(out).rstrip("\n") + "\n"


def _node(node: Any, known: dict[str | None, str], out: list[str]) -> None:
    if isinstance(node, etree._Comment):
        out.append(f"<!--{node.text}-->{(node.tail or '').translate(_TEXT)}")
        return
    if not isinstance(node.tag, str):
        out.append(node.tail or "")
        return
    name = _name(node.tag, node.nsmap, node.prefix)
    out.append(f"<{name}")
    for key, value in node.items():
        out.append(f" {_name(key, node.nsmap)}='{value.translate(_VALUE)}'")
    for prefix, uri in node.nsmap.items():
        if known.get(prefix) != uri:
            out.append(f" xmlns:{prefix}='{uri}'" if prefix else f" xmlns='{uri}'")
    if len(node) or node.text:
        out.append(f">{(node.text or '').translate(_TEXT)}")
        for sub in node:
            _node(sub, dict(node.nsmap), out)
        out.append(f"</{name}>")
    else:
        out.append("/>")
    out.append((node.tail or "").translate(_TEXT) if node.getparent() is not None else "")


def _name(tag: str, nsmap: dict[str | None, str], prefix: str | None = None) -> str:
    if not tag.startswith("{"):
        return tag
    uri, _, local = tag[1:].partition("}")
    if prefix is None:
        prefix = next((p for p, u in nsmap.items() if u == uri and p), None)
    return f"{prefix}:{local}" if prefix else local
