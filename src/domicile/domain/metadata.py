"""Other programs' notes in a domain's metadata: one element for each namespace. Called by service."""

from __future__ import annotations

from lxml import etree

from domicile.base.errors import InvalidRequest
from domicile.domain.domain import Domain
from domicile.schema import read


def get(domain: Domain, uri: str) -> str | None:
    """Give the notes of one namespace without it, as they were handed in; None where there are none."""
    for node in domain.metadata if domain.metadata is not None else ():
        if isinstance(node.tag, str) and etree.QName(node).namespace == uri:
            return etree.tostring(_bare(node, uri), encoding="unicode", with_tail=False)
    return None


def put(domain: Domain, uri: str, key: str | None, xml: str | None) -> None:
    """Set or (with no XML) remove the notes of one namespace; `key` is the prefix they are written with.

    Raises:
        InvalidDocument: not well-formed.
        InvalidRequest: no prefix was given.
    """
    root = domain.metadata if domain.metadata is not None else etree.Element("metadata")
    for node in list(root):
        if isinstance(node.tag, str) and etree.QName(node).namespace == uri:
            root.remove(node)
    if xml is not None:
        if not key:
            raise InvalidRequest("a key is needed to set metadata; a prefix such as 'my' would be accepted")
        given = read.parse(xml)
        made = etree.SubElement(root, etree.QName(uri, etree.QName(given).localname), nsmap={key: uri})
        made.text = given.text
        for name, value in given.items():
            made.set(name, value)
        made.extend(list(given))
    domain.metadata = root if len(root) else None


def _bare(node: etree._Element, uri: str) -> etree._Element:
    made = etree.Element(etree.QName(node).localname)
    made.text = node.text
    for name, value in node.items():
        made.set(name, value)
    for child in node:
        if isinstance(child.tag, str):
            made.append(_bare(child, uri) if etree.QName(child).namespace in (uri, None) else child)
    return made
