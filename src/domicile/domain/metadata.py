"""Other programs' notes in a domain's metadata: one element for each namespace. Called by service."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Protocol

from lxml import etree

from domicile.base.errors import InvalidRequest
from domicile.schema import read
from domicile.schema.write import foreign


class Noted(Protocol):
    """A document that holds notes of other programs: a domain, a network."""

    metadata: Any


def get(domain: Noted, uri: str) -> str | None:
    """Give the notes of one namespace without it, as they were handed in; None where there are none."""
    for node in domain.metadata if domain.metadata is not None else ():
        if isinstance(node.tag, str) and etree.QName(node).namespace == uri:
            return "\n".join(foreign(_bare(node, uri), ""))
    return None


def put(domain: Noted, uri: str, key: str | None, xml: str | None) -> None:
    """Set or (with no XML) remove the notes of one namespace; `key` is the prefix they are written with.

    Raises:
        InvalidDocument: not well-formed.
        InvalidRequest: no usable prefix or namespace was given.
    """
    made = None if xml is None else _given(uri, key, xml)
    # Copies of a domain share what is kept verbatim, so it is never changed in place.
    root = deepcopy(domain.metadata) if domain.metadata is not None else etree.Element("metadata")
    for node in list(root):
        if isinstance(node.tag, str) and etree.QName(node).namespace == uri:
            root.remove(node)
    if made is not None:
        root.append(made)
    domain.metadata = root if len(root) else None


def _given(uri: str, key: str | None, xml: str) -> etree._Element:
    """Read notes as they are handed in."""
    if not key:
        raise InvalidRequest("a key is needed to set metadata; a prefix such as 'my' would be accepted")
    if not uri:
        raise InvalidRequest("a namespace is needed to set metadata; one such as 'urn:example' would be accepted")
    node = read.parse(xml)
    try:
        return _prefixed(node, uri, key)
    except ValueError:
        accepted = "'my' and 'urn:example' would be accepted"
        raise InvalidRequest(f"'{key}' or '{uri}' is no key or namespace; {accepted}") from None


def _prefixed(node: etree._Element, uri: str, key: str) -> etree._Element:
    """Put an element, and all below it that are in no namespace, into this one."""
    name = etree.QName(node)
    made = etree.Element(etree.QName(name.namespace or uri, name.localname), nsmap={key: uri})
    made.text, made.tail = node.text, node.tail
    for attribute, value in node.items():
        made.set(attribute, value)
    for child in node:
        if isinstance(child.tag, str):
            made.append(_prefixed(child, uri, key))
    return made


def _bare(node: etree._Element, uri: str) -> etree._Element:
    made = etree.Element(etree.QName(node).localname)
    made.text = node.text
    for name, value in node.items():
        made.set(name, value)
    for child in node:
        if isinstance(child.tag, str):
            made.append(_bare(child, uri) if etree.QName(child).namespace in (uri, None) else child)
    return made
