"""The writer: declared elements into libvirt's exact text form.

Called by domain/document; attributes in single quotes, two spaces a level, an element without content closed at once.
"""

from __future__ import annotations

from typing import Any

from lxml import etree

from domicile.schema.shape import Element, Shape

_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "'": "&apos;", '"': "&quot;"})
#: The prefixes of the namespaces that belong to the document itself.
PREFIXES = {"http://libvirt.org/schemas/domain/qemu/1.0": "qemu"}
_SPECIAL = frozenset("&<>'\"")
_CONTROL = {c: None for c in range(32) if c not in (9, 10, 13)}


def escape(value: str) -> str:
    """Escape a text for an attribute or an element; control characters XML cannot hold are dropped."""
    if _SPECIAL.isdisjoint(value) and value.isprintable():
        return value
    return value.translate(_CONTROL).translate(_ESCAPES)


def write(made: Element, *, secrets: bool = True, tag: str = "") -> str:
    """Write one element and all below it; without `secrets`, fields declared secret are left out."""
    lines: list[str] = []
    _element(made.shape, made, "", lines, secrets, tag or made.shape.tag)
    return "\n".join(lines) + "\n"


def _element(shape: Shape, made: Any, indent: str, lines: list[str], secrets: bool, tag: str) -> None:
    head = f"{indent}<{tag}"
    for declared, value in shape.set_attrs(made):
        if secrets or not declared.secret:
            shown = declared.scalar.show(value)
            if not shown.isalnum():
                shown = escape(shown)
            head += f" {declared.name}='{shown}'"
    inside = shape.set_elements(made)
    if not inside and shape.text is None:
        lines.append(head + "/>")
        return
    start = len(lines)
    lines.append(head)
    deeper = indent + "  "
    for declared, value in inside:
        kind = declared.kind
        if kind == "children":
            for item in value:
                _value(declared, item, deeper, lines, secrets)
        elif kind == "flag":
            lines.append(f"{deeper}<{declared.name}/>")
        elif kind == "raw":
            lines.extend(foreign(value, deeper) if declared.foreign else verbatim(value, deeper))
        else:
            _value(declared, value, deeper, lines, secrets)
    empty = len(lines) == start + 1
    if shape.text is not None:
        value = getattr(made, shape.text.slot)
        if value is not None and (secrets or not shape.text.secret):
            head += ">" + escape(shape.text.scalar.show(value))
            if empty:
                lines[start] = f"{head}</{tag}>"
            else:
                lines[start] = head
                lines.append(f"{indent}</{tag}>")
            return
    if empty:
        lines[start] = head + "/>"
    else:
        lines[start] = head + ">"
        lines.append(f"{indent}</{tag}>")


def _value(declared: Any, value: Any, indent: str, lines: list[str], secrets: bool) -> None:
    if declared.of is None:
        lines.append(f"{indent}<{declared.name}>{escape(declared.scalar.show(value))}</{declared.name}>")
        return
    if isinstance(value, Element):
        start = len(lines)
        _element(value.shape, value, indent, lines, secrets, declared.name)
        if not declared.keep_empty and len(lines) == start + 1 and lines[start] == f"{indent}<{declared.name}/>":
            del lines[start]
        return
    declared.of.write(value, indent, lines, secrets)


def compact(node: Any) -> str:
    """Write kept XML in one line, the same however it was indented."""
    copy = etree.fromstring(etree.tostring(node, with_tail=False))
    _arrange(copy, None)
    etree.cleanup_namespaces(copy)
    return etree.tostring(copy, encoding="unicode")


def foreign(node: Any, indent: str) -> list[str]:
    """Write foreign XML as libxml2 does: its own quotes, indented where it holds no text beside elements."""
    copy = etree.fromstring(etree.tostring(node, with_tail=False))
    _arrange(copy, indent)
    etree.cleanup_namespaces(copy)
    return [indent + etree.tostring(copy, encoding="unicode")]


def _arrange(node: Any, indent: str | None) -> None:
    """Put each child on a line of its own (without an indent, all on one), unless there is text among them.

    Where there is, nothing below is touched.
    """
    if not len(node) or any(text is not None and text.strip() for text in (node.text, *(sub.tail for sub in node))):
        return
    deeper = None if indent is None else indent + "  "
    between = None if deeper is None else "\n" + deeper
    node.text = between
    for sub in node:
        _arrange(sub, deeper)
        sub.tail = between
    node[-1].tail = None if indent is None else "\n" + indent


def name_of(node: Any) -> str:
    """Say an element's name with the prefix of its namespace, ``qemu:arg``; foreign prefixes become libvirt's own."""
    found = etree.QName(node)
    if found.namespace is None:
        return found.localname
    prefix = PREFIXES.get(found.namespace) or node.prefix
    return f"{prefix}:{found.localname}" if prefix else found.localname


def verbatim(node: Any, indent: str) -> list[str]:
    """Write an element nobody declared yet, in the form of the declared ones."""
    tag = name_of(node)
    head = indent + "<" + tag + "".join(f" {name}='{escape(value)}'" for name, value in node.items())
    text = (node.text or "").strip()
    if not len(node):
        return [f"{head}>{escape(text)}</{tag}>" if text else head + "/>"]
    lines = [head + ">"]
    for sub in node:
        if isinstance(sub.tag, str):
            lines += verbatim(sub, indent + "  ")
    return [*lines, f"{indent}</{tag}>"]
