"""What happens when the guest ends, and which ways of sleeping it has. Part of `domain.Domain`."""

from __future__ import annotations

from domicile.schema import field as f
from domicile.schema.scalar import YES_NO, enum
from domicile.schema.shape import Element, element

ON_POWEROFF = enum("destroy", "restart", "rename-restart", "preserve")
ON_CRASH = enum("destroy", "restart", "rename-restart", "preserve", "coredump-destroy", "coredump-restart")
ON_LOCKFAILURE = enum("poweroff", "restart", "pause", "ignore")


@element("suspend", "睡眠状态")
class Sleep(Element):
    """A way of sleeping."""

    enabled: bool | None = f.attr("Whether the guest is offered it.", "是否提供给客户机。", YES_NO, guest=True)


@element("pm", "电源管理")
class Pm(Element):
    """The ways of sleeping the guest is offered."""

    suspend_to_mem: Sleep | None = f.child(
        "Sleep with the memory powered (S3).", "挂起到内存（S3）。", Sleep, name="suspend-to-mem"
    )
    suspend_to_disk: Sleep | None = f.child(
        "Sleep with the memory on disk (S4).", "挂起到磁盘（S4）。", Sleep, name="suspend-to-disk"
    )
