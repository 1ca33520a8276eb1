"""Users and groups of containers, kept for them: QEMU's machines have no use of it. Part of `domain.Domain`."""

from __future__ import annotations

from domicile.schema import field as f
from domicile.schema.scalar import UINT
from domicile.schema.shape import Element, element


@element("uid", "用户映射")
class IdRange(Element):
    """A range of numbers inside and what it is outside."""

    start: int | None = f.attr("The first number inside.", "内部起始编号。", UINT)
    target: int | None = f.attr("The first number outside.", "外部起始编号。", UINT)
    count: int | None = f.attr("How many.", "数量。", UINT)


@element("gid", "组映射")
class GroupRange(IdRange):
    """A range of group numbers inside and what it is outside."""


@element("idmap", "用户与组映射")
class IdMap(Element):
    """Which users and groups of the host those of a container are."""

    uid: list[IdRange] = f.children("Users.", "用户。", IdRange)
    gid: list[GroupRange] = f.children("Groups.", "组。", GroupRange)
