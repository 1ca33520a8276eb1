"""What pools and volumes say alike: amounts, and the rights of their files. Used by `pool` and `volume`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from domicile.base.errors import XML_INVALID_SCHEMA
from domicile.base.problem import Problem
from domicile.devices.parts.size import count
from domicile.schema import field as f
from domicile.schema.scalar import PATH, Scalar
from domicile.schema.shape import Element, element

_MOST = 2**64 - 1
_SLASHES = re.compile(r"//+")


def _octal(text: str) -> int:
    value = int(text, 8)
    if not 0 <= value <= 0o7777 or "_" in text:
        raise ValueError
    return value


def _owner(text: str) -> int:
    value = int(text)
    if not -1 <= value < 2**32 - 1:
        raise ValueError
    return value


def _number(text: str) -> int:
    value = int(text.strip())
    if not 0 <= value <= _MOST or "_" in text:
        raise ValueError
    return value


def sane(path: str) -> str:
    """Write a path with single slashes and none at its end; two at its beginning stay two."""
    head = "//" if path.startswith("//") and not path.startswith("///") else "/" if path.startswith("/") else ""
    body = _SLASHES.sub("/", path.lstrip("/")).rstrip("/")
    return head + body or path[:1]


def judged(problems: Sequence[Problem], *, strict: bool) -> list[Problem]:
    """Pick what is wrong; where nothing may be unknown, what is ignored is an error of the schema."""
    found = [p for p in problems if p.severity == "error"]
    if strict:
        found += [replace(p, severity="error", code=XML_INVALID_SCHEMA) for p in problems if p.severity == "ignored"]
    return found


OCTAL = Scalar("octal", _octal, lambda value: f"{value:04o}", "an octal mode such as 0644", spec="04o")
OWNER = Scalar("owner", _owner, str, "a number, or -1 for whoever runs the daemon", spec="d")
AMOUNT = Scalar("amount", _number, str, "a number of bytes or of the unit named", spec="d")
ANY_PATH = Scalar("path", sane, PATH.show, "a path")


@element("capacity", "容量")
class Amount(Element):
    """An amount of storage."""

    unit: str | None = f.attr(
        "The unit; bytes unless told. KB is 1000 bytes, KiB or K 1024.",
        "单位，默认字节；KB 为 1000 字节，KiB 或 K 为 1024。",
    )
    value: int | None = f.text("The amount.", "数量。", AMOUNT)

    def count(self) -> int | None:
        """Count the bytes; None where the unit is none, or there are too many."""
        counted = count(self.value, self.unit)
        return counted if counted is not None and counted <= _MOST else None


def bytes_of(count: int) -> Amount:
    """Say an amount in bytes."""
    return Amount(unit="bytes", value=count)


@element("permissions", "访问权限")
class Permissions(Element):
    """Who may open the files."""

    mode: int | None = f.leaf("The mode, in octal.", "八进制模式。", OCTAL)
    owner: int | None = f.leaf("The owner's number.", "属主编号。", OWNER)
    group: int | None = f.leaf("The group's number.", "属组编号。", OWNER)
    label: str | None = f.leaf("The security label.", "安全标签。")
