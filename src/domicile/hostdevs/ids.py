"""The names of vendors and products of PCI devices, from the system's pci.ids. Used by `describe`."""

from __future__ import annotations

from functools import cache
from pathlib import Path

_PLACES = ("/usr/share/misc/pci.ids", "/usr/share/hwdata/pci.ids", "/usr/share/pci.ids")


@cache
def pci_names() -> dict[str, str]:
    """Read the names: of vendors by ``8086``, of their products by ``8086:1000``; nothing where the file is not there."""
    for place in _PLACES:
        try:
            text = Path(place).read_text("utf-8", "replace")
        except OSError:
            continue
        return _read(text)
    return {}


def _read(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    vendor = ""
    for line in text.splitlines():
        if line.startswith("C "):
            break  # classes follow
        if not line or line[0] == "#" or line.startswith("\t\t"):
            continue
        number, _, name = line.strip().partition("  ")
        if line[0] == "\t":
            found[f"{vendor}:{number.lower()}"] = name.strip()
        else:
            vendor = number.lower()
            found[vendor] = name.strip()
    return found
