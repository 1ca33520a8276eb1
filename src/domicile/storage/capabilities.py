"""The document of pool capabilities: which types there are, and the formats each knows. The front doors ask.

Source: observed with libvirt 9.0.
"""

from __future__ import annotations

from domicile.storage.driver import undefinable
from domicile.storage.kinds import KINDS


def document() -> str:
    """Write it."""
    lines = ["<storagepoolCapabilities>"]
    for name, kind in KINDS.items():
        lines.append(f"  <pool type='{name}' supported='{'no' if undefinable(name) else 'yes'}'>")
        if kind.formats:
            lines += _options("pool", "source", kind.format, kind.formats)
        if kind.volumes:
            lines += _options("vol", "target", kind.volume, () if kind.listed else kind.volumes)
        lines.append("  </pool>")
    return "\n".join([*lines, "</storagepoolCapabilities>", ""])


def _options(what: str, side: str, default: str | None, formats: tuple[str, ...]) -> list[str]:
    values = [f"        <value>{name}</value>" for name in formats]
    return [
        f"    <{what}Options>", f"      <defaultFormat type='{default}'/>", f"      <enum name='{side}FormatType'>", *values,
        "      </enum>", f"    </{what}Options>",
    ]  # fmt: skip
