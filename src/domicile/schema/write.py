"""The writer: declared elements into libvirt's exact text form.

Called by domain/document; attributes in single quotes, two spaces a level, an element without content closed at once.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from lxml import etree

from domicile.schema.field import Field
from domicile.schema.scalar import plain
from domicile.schema.shape import Element, Shape, Variant

_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "'": "&apos;", '"': "&quot;"})
#: The prefixes of the namespaces that belong to the document itself.
PREFIXES = {
    "http://libvirt.org/schemas/domain/qemu/1.0": "qemu",
    "http://libvirt.org/schemas/network/dnsmasq/1.0": "dnsmasq",
}
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
    writer_of(made.shape)(made, "", lines, secrets, tag or made.shape.tag, None)
    return "\n".join(lines) + "\n"


def write_marked(made: Element) -> tuple[str, dict[int, int]]:
    """Write one element and all below it, and say on which line (from 1) each element begins, by the element's id()."""
    lines: list[str] = []
    marks: dict[int, int] = {}
    writer_of(made.shape)(made, "", lines, True, made.shape.tag, marks)
    text = "\n".join(lines) + "\n"
    if text.count("\n") != len(lines):
        number, begins = 1, []
        for line in lines:
            begins.append(number)
            number += line.count("\n") + 1
        marks = {key: begins[mark - 1] for key, mark in marks.items()}
    return text, marks


#: Writes an element: (element, indentation, lines to append to, whether secrets are written, tag, lines where each begins).
Writer = Callable[[Any, str, list[str], bool, str, dict[int, int] | None], None]
#: Scalars whose text never needs escaping.
_SAFE = frozenset({"integer", "hexadecimal", "enum", "switch", "uuid", "mac", "numbers"})


def writer_of(shape: Shape) -> Writer:
    """Give a shape's writer, made when it is first asked for.

    It is a function of its own code: tests and assignments one after the other, where a loop over the declared fields would
    take twice the time.
    """
    found: Writer | None = shape.writer
    if found is None:
        found = shape.writer = _make(shape)
    return found


def _make(shape: Shape) -> Writer:
    names: dict[str, Any] = {
        "escape": escape,
        "Element": Element,
        "writer_of": writer_of,
        "foreign": foreign,
        "verbatim": verbatim,
    }
    body = ["if marks is not None: marks[id(made)] = len(lines) + 1", "head = f'{indent}<{tag}'"]
    for number, declared in enumerate(shape.attrs.values()):
        test = "value is not None" + (" and secrets" if declared.secret else "")
        body += [
            f"value = made.{declared.slot}",
            f"if {test}: head += f\" {declared.name}='{{{_shown(declared, 'value', f'show_{number}', names)}}}'\"",
        ]
    if not shape.elements and shape.text is None:
        body.append("lines.append(head + '/>')")
    else:
        body += ["start = len(lines)", "lines.append(head)", "deeper = indent + '  '"]
        for number, declared in enumerate(shape.elements.values()):
            body += [f"value = made.{declared.slot}", *_below(declared, f"of_{number}", names)]
        if shape.text is not None:
            secret = " and secrets" if shape.text.secret else ""
            body += [
                f"value = made.{shape.text.slot}",
                f"if value is not None{secret}:",
                f" head = f'{{head}}>{{{_shown(shape.text, 'value', 'show_text', names)}}}'",
                " if len(lines) == start + 1: lines[start] = f'{head}</{tag}>'",
                " else:",
                "  lines[start] = head",
                "  lines.append(f'{indent}</{tag}>')",
                " return",
            ]
        if not shape.spread:
            body.append("if len(lines) == start + 1: lines[start] = head + '/>'; return")
        body += ["lines[start] = head + '>'", "lines.append(f'{indent}</{tag}>')"]
    code = "def write(made, indent, lines, secrets, tag, marks):\n" + "\n".join(f" {line}" for line in body)
    exec(code, names)  # noqa: S102  our own declarations
    made: Writer = names["write"]
    return made


def _shown(declared: Field, value: str, name: str, names: dict[str, Any]) -> str:
    """Give the expression of a value's text, escaped where it may need it."""
    scalar = declared.scalar
    if scalar.show is plain:
        return value if scalar.name in _SAFE else f"{value} if {value}.isalnum() else escape({value})"
    if scalar.spec:
        return f"{value}:{scalar.spec}"
    names[name] = scalar.show
    return f"{name}({value})" if scalar.name in _SAFE else f"escape({name}({value}))"


def _below(declared: Field, name: str, names: dict[str, Any]) -> list[str]:
    """Give the code that writes one declared child; `value` holds what is set."""
    if declared.kind == "flag":
        return [f"if value: lines.append(deeper + '<{declared.name}/>')"]
    if declared.kind == "raw":
        how = "foreign" if declared.foreign else "verbatim"
        return [f"if value is not None: lines.extend({how}(value, deeper))"]
    item, head = ("item", "for item in value:") if declared.kind == "children" else ("value", "if value is not None:")
    if declared.of is None:
        shown = _shown(declared, item, name, names)
        return [head, f" lines.append(f'{{deeper}}<{declared.name}>{{{shown}}}</{declared.name}>')"]
    call = f"({item}.shape.writer or writer_of({item}.shape))({item}, deeper, lines, secrets, '{declared.name}', marks)"
    if isinstance(declared.of, Variant) or (isinstance(declared.of, type) and issubclass(declared.of, Element)):
        inside = [call]
    else:
        names[name] = declared.of
        inside = [f"if isinstance({item}, Element): {call}", f"else: {name}.write({item}, deeper, lines, secrets)"]
    if not declared.keep_empty:
        inside = [
            "here = len(lines)",
            *inside,
            f"if len(lines) == here + 1 and lines[here] == deeper + '<{declared.name}/>':",
            " del lines[here]",
            f" if marks is not None: marks.pop(id({item}), None)",
        ]
    return [head, *(f" {line}" for line in inside)]


def compact(node: Any) -> str:
    """Write kept XML in one line, the same however it was indented."""
    copy = etree.fromstring(etree.tostring(node, with_tail=False))
    _arrange(copy, None)
    etree.cleanup_namespaces(copy)
    return etree.tostring(copy, encoding="unicode")


def foreign(node: Any, indent: str) -> list[str]:
    """Write foreign XML as libxml2 does: its own quotes, indented where it holds no text beside elements."""
    copy = deepcopy(node)
    copy.tail = None
    _arrange(copy, indent)
    etree.cleanup_namespaces(copy)
    return (indent + etree.tostring(copy, encoding="unicode")).split("\n")


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
