"""The filter that an interface's packets pass, with the values of its variables. Used by the model and by network filters."""

from __future__ import annotations

import re

from domicile.schema import field as f
from domicile.schema.scalar import FILLED
from domicile.schema.shape import Element, element

_NAME = re.compile(r"[A-Za-z0-9_]+\Z", re.ASCII)
_VALUE = re.compile(r"[A-Za-z0-9_.:]+\Z", re.ASCII)


@element("parameter", "参数")
class FilterParameter(Element):
    """A value of one of the filter's variables; several of one name are a list."""

    name: str | None = f.attr("The variable's name.", "变量名。")
    value: str | None = f.attr("A value of it.", "变量的值。")

    @property
    def counts(self) -> bool:
        """Whether it is one at all: letters, digits and _ in the name, also . and : in the value."""
        return bool(_NAME.match(self.name or "") and _VALUE.match(self.value or ""))


@element("filterref", "过滤器引用")
class FilterRef(Element):
    """The network filter that packets pass."""

    filter: str | None = f.attr("The filter's name.", "过滤器名称。", FILLED, required=True)
    parameter: list[FilterParameter] = f.children("A value of a variable.", "变量的值。", FilterParameter)

    def settle(self) -> list[FilterParameter]:
        """Order the values by their variables, as libvirt does; return those that are none and were left out."""
        dropped = [one for one in self.parameter if not one.counts]
        self.parameter = sorted((one for one in self.parameter if one.counts), key=lambda one: one.name or "")
        return dropped

    @property
    def values(self) -> dict[str, tuple[str, ...]]:
        """The values of each variable."""
        found: dict[str, tuple[str, ...]] = {}
        for one in self.parameter:
            found[one.name or ""] = (*found.get(one.name or "", ()), one.value or "")
        return found
