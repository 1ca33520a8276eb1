"""The reader: XML into declared elements, with every problem of the document collected.

Called by domain/document and by tests; the XML parser is lxml without entities, DTDs or network.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lxml import etree

from domicile.base.errors import CONFIG_UNSUPPORTED, XML_DETAIL, XML_ERROR, InvalidDocument
from domicile.base.problem import Problem
from domicile.schema.field import Field
from domicile.schema.shape import Shape, Variant

MAX_BYTES = 4 * 1024 * 1024
MAX_PROBLEMS = 100
MAX_ATTRIBUTES = 200
# Reading an element takes time by the square of its attributes; no real one has more than thirty.
_crowded = etree.XPath(f"//*[count(@*) > {MAX_ATTRIBUTES}]")
_PARSER_OPTIONS: dict[str, Any] = {
    "resolve_entities": False,
    "no_network": True,
    "load_dtd": False,
    "huge_tree": False,
    "remove_pis": True,
    "remove_comments": True,
    "strip_cdata": True,
    "collect_ids": False,
}
_parser = etree.XMLParser(**_PARSER_OPTIONS)
_TWICE = "stands more than once; the first counts"


def parse(text: str | bytes) -> etree._Element:
    """Parse one document strictly.

    Raises:
        InvalidDocument: not well-formed, larger than 4 MiB, or with a document type declaration.
    """
    try:
        data = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    except UnicodeEncodeError:
        raise InvalidDocument([Problem("", "the document holds half a character", accepted="Unicode text")]) from None
    if len(data) > MAX_BYTES:
        raise InvalidDocument(
            [Problem("", f"the document has {len(data)} bytes", accepted=f"at most {MAX_BYTES} bytes")]
        )
    if not data.strip():
        raise InvalidDocument([Problem("", "the document is empty", accepted="an XML document", code=XML_DETAIL)])
    try:
        root = etree.fromstring(data, _parser)
    except etree.XMLSyntaxError as error:
        line = error.lineno or 0
        raise InvalidDocument([Problem("", f"not well-formed XML: {error.msg}", line, code=XML_DETAIL)]) from None
    except ValueError as error:
        raise InvalidDocument([Problem("", f"not an XML document: {error}")]) from None
    info: Any = root.getroottree().docinfo
    if info.doctype or info.internalDTD is not None:
        raise InvalidDocument(
            [Problem("", "a document type declaration is not allowed", accepted="XML without a DOCTYPE")]
        )
    crowded: Any = _crowded(root) if data.count(b"=") > MAX_ATTRIBUTES else None
    if crowded:
        many = f"element '{crowded[0].tag}' has {len(crowded[0].attrib)} attributes"
        accepted = f"at most {MAX_ATTRIBUTES}"
        raise InvalidDocument([Problem(path_of(crowded[0]), many, crowded[0].sourceline or 0, accepted)])
    return root


def _readers(shape: Shape) -> dict[str, tuple[str, frozenset[str] | None, Any, Field]]:
    """Lay out what reading an element's attributes asks of their declarations: slot, words of an enumeration, else how to parse."""
    found = {
        name: (f.slot, frozenset(f.scalar.values) if f.scalar.name == "enum" else None, f.scalar.parse, f)
        for name, f in shape.attrs.items()
    }
    shape.readers = found
    return found


@dataclass(slots=True)
class Reader:
    """Reads elements and collects problems; `ignored` findings are what no declaration knows."""

    problems: list[Problem] = field(default_factory=list)

    def element(self, shape: Shape, node: Any) -> Any:
        """Read `node` as an element of this shape."""
        made = shape.cls()
        made.source_line = node.sourceline or 0
        attrs = shape.readers or _readers(shape)
        for name, value in node.items():
            known = attrs.get(name)
            if known is None:
                self._unknown(node, f"@{name}")
                continue
            slot, words, parse, declared = known
            if words is not None:
                if value in words:
                    setattr(made, slot, value)
                else:
                    self._bad(node, declared, value)
                continue
            try:
                setattr(made, slot, parse(value))
            except ValueError:
                self._bad(node, declared, value)
        for declared in shape.required:
            if node.get(declared.name) is None:
                what = f"element '{node.tag}' has no attribute '{declared.name}'"
                self.problem(node, what, declared.scalar.accepted, f"@{declared.name}", declared.code)
        elements = shape.elements
        for sub in node:
            tag = sub.tag
            declared = elements.get(tag)
            if declared is None:
                if isinstance(tag, str):
                    if shape.closed:
                        known = ", ".join(elements)
                        self.problem(sub, f"element '{node.tag}' has no '{sub.tag}'", known, "", CONFIG_UNSUPPORTED)
                    else:
                        self._unknown(sub, "")
                else:
                    self.problem(node, "an entity reference is not allowed here", "plain text")
                continue
            nested = declared.nested
            if nested is None:
                self._child(made, declared, sub)
            elif declared.kind == "children":
                getattr(made, declared.slot).append(self.element(nested, sub))
            elif getattr(made, declared.slot) is None:
                setattr(made, declared.slot, self.element(nested, sub))
            else:
                self._unknown(sub, "", _TWICE)
        if shape.text is not None:
            value = node.text or ""
            if len(node) or (shape.elements and value.isspace()):  # blanks around elements inside are no text
                value = value.strip()
            try:
                setattr(made, shape.text.slot, shape.text.scalar.parse(value) if value else None)
            except ValueError:
                self._bad(node, shape.text, value)
        return made

    def _child(self, made: Any, declared: Field, sub: Any) -> None:
        kind = declared.kind
        if kind == "flag":
            setattr(made, declared.slot, True)
            return
        if kind == "raw":
            setattr(made, declared.slot, sub)
            return
        if declared.of is None:
            text = sub.text or ""
            for name in sub.attrib:
                self._unknown(sub, f"@{name}")
            try:
                value = declared.scalar.parse(text)
            except ValueError:
                self._bad(sub, declared, text)
                return
        else:
            value = self._nested(declared, sub)
            if value is None:
                return
        if kind == "children":
            getattr(made, declared.slot).append(value)
        elif getattr(made, declared.slot) is None:
            setattr(made, declared.slot, value)
        else:
            self._unknown(sub, "", _TWICE)

    def _nested(self, declared: Field, sub: Any) -> Any:
        of = declared.of
        if isinstance(of, Variant):
            word = sub.get(of.attribute)
            cls = of.cases.get(word) if word is not None else of.otherwise
            if cls is None:
                if word is None:
                    self.problem(sub, f"element '{sub.tag}' has no attribute '{of.attribute}'", ", ".join(of.cases))
                else:
                    self.problem(
                        sub,
                        f"attribute '{of.attribute}' of element '{sub.tag}' has the value '{word}'",
                        ", ".join(of.cases),
                        f"@{of.attribute}",
                    )
                return None
            return self.element(cls.shape, sub)
        return of.read(self, sub)

    def _bad(self, node: Any, declared: Field, value: str) -> None:
        shown = value if len(value) <= 200 else value[:200] + "…"
        if not shown.isprintable():
            shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in shown)
        if declared.kind == "attr":
            message = f"attribute '{declared.name}' of element '{node.tag}' has the value '{shown}'"
            self.problem(node, message, declared.scalar.accepted, f"@{declared.name}", declared.code)
        else:
            code = declared.code if value else declared.empty_code
            self.problem(node, f"element '{node.tag}' has the value '{shown}'", declared.scalar.accepted, "", code)

    def problem(self, node: Any, message: str, accepted: str = "", step: str = "", code: int = XML_ERROR) -> None:
        """Record that this place of the document is wrong."""
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(path_of(node, step), message, node.sourceline or 0, accepted, code=code))

    def _unknown(self, node: Any, step: str, why: str = "") -> None:
        if len(self.problems) < MAX_PROBLEMS:
            what = f"attribute '{step[1:]}' of element '{node.tag}'" if step else f"element '{node.tag}'"
            message = f"{what} {why or 'is not known and has no effect'}"
            self.problems.append(Problem(path_of(node, step), message, node.sourceline or 0, severity="ignored"))


def path_of(node: Any, step: str = "") -> str:
    """Say where a node stands: ``devices/disk[2]/target/@dev``; the root itself is the empty path."""
    steps: list[str] = [step] if step else []
    current = node
    while current is not None:
        parent = current.getparent()
        if parent is None:
            break
        name = str(current.tag)
        before = sum(1 for _ in current.itersiblings(current.tag, preceding=True))
        after = next(iter(current.itersiblings(current.tag)), None)
        steps.append(f"{name}[{before + 1}]" if before or after is not None else name)
        current = parent
    return "/".join(reversed(steps))
