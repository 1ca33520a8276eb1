"""An amount of memory as elements say it: a number with a unit. Used by families whose elements hold one."""

from __future__ import annotations

from domicile.schema import field as f
from domicile.schema.scalar import ULONG
from domicile.schema.shape import Element, element

_POWERS = {"k": 1, "m": 2, "g": 3, "t": 4, "p": 5, "e": 6}


def count(value: int | None, unit: str | None) -> int | None:
    """Count the bytes of an amount in a unit; None where there is no amount, or the unit is none."""
    word = (unit or "b").lower()
    if value is None or word in ("b", "bytes", "byte"):
        return value
    power = _POWERS.get(word[0])
    if power is None or word[1:] not in ("", "b", "ib"):
        return None
    return int(value * (1000 if word[1:] == "b" else 1024) ** power)


@element("size", "容量")
class Size(Element):
    """An amount of memory."""

    unit: str | None = f.attr(
        "The unit; bytes unless told. KB is 1000 bytes, KiB or K 1024.",
        "单位，默认字节；KB 为 1000 字节，KiB 或 K 为 1024。",
    )
    value: int | None = f.text("The amount.", "数量。", ULONG)

    def count(self) -> int | None:
        """Count the bytes; None where the unit is none."""
        return count(self.value, self.unit)
