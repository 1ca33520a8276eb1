"""Elements that are kept as they were written, any number of them, until a slice declares what is in them.

Used as `of=VERBATIM` in `children`.
"""

from __future__ import annotations

from typing import Any

from domicile.schema.write import verbatim


class Verbatim:
    """Reads an element as itself and writes it back."""

    def read(self, reader: Any, node: Any) -> Any:
        """Keep the node."""
        return node

    def write(self, value: Any, indent: str, lines: list[str], secrets: bool) -> None:
        """Write the node as it was read, in libvirt's quotes."""
        lines.extend(verbatim(value, indent))


VERBATIM = Verbatim()
