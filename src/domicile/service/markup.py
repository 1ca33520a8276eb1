"""Elements made in one expression: ``E.cpu(E.arch("x86_64"), id="0")``. The capabilities documents are written with it."""

from __future__ import annotations

from collections.abc import Callable

from lxml import etree

Made = etree._Element


class _Maker:
    """Makes the element that an attribute of it is named after."""

    def __call__(self, tag: str, *content: Made | str, **attributes: str) -> Made:
        made = etree.Element(tag)
        for name, value in attributes.items():
            made.set(name, value)
        for item in content:
            if isinstance(item, str):
                made.text = item
            else:
                made.append(item)
        return made

    def __getattr__(self, tag: str) -> Callable[..., Made]:
        def make(*content: Made | str, **attributes: str) -> Made:
            return self(tag, *content, **attributes)

        return make


E = _Maker()
