"""Limits on a disk's traffic, and what an old guest is told of its shape. Used by model, plan and the domain's groups."""

from __future__ import annotations

from domicile.schema import field as f
from domicile.schema.scalar import FILLED, UINT, ULONG, enum
from domicile.schema.shape import Element, element


@element("iotune", "读写限速")
class IoTune(Element):
    """Limits on the disk's traffic; 0 is none."""

    total_bytes_sec: int | None = f.leaf("Bytes a second, both ways.", "每秒总字节数。", ULONG, effect="live")
    read_bytes_sec: int | None = f.leaf("Bytes read a second.", "每秒读取字节数。", ULONG, effect="live")
    write_bytes_sec: int | None = f.leaf("Bytes written a second.", "每秒写入字节数。", ULONG, effect="live")
    total_iops_sec: int | None = f.leaf("Requests a second, both ways.", "每秒总请求数。", ULONG, effect="live")
    read_iops_sec: int | None = f.leaf("Reads a second.", "每秒读请求数。", ULONG, effect="live")
    write_iops_sec: int | None = f.leaf("Writes a second.", "每秒写请求数。", ULONG, effect="live")
    total_bytes_sec_max: int | None = f.leaf("Bytes a second in a burst.", "突发每秒总字节数。", ULONG, effect="live")
    read_bytes_sec_max: int | None = f.leaf(
        "Bytes read a second in a burst.", "突发每秒读取字节数。", ULONG, effect="live"
    )
    write_bytes_sec_max: int | None = f.leaf(
        "Bytes written a second in a burst.", "突发每秒写入字节数。", ULONG, effect="live"
    )
    total_iops_sec_max: int | None = f.leaf("Requests a second in a burst.", "突发每秒总请求数。", ULONG, effect="live")
    read_iops_sec_max: int | None = f.leaf("Reads a second in a burst.", "突发每秒读请求数。", ULONG, effect="live")
    write_iops_sec_max: int | None = f.leaf("Writes a second in a burst.", "突发每秒写请求数。", ULONG, effect="live")
    size_iops_sec: int | None = f.leaf(
        "How many bytes count as one request.", "多少字节算一次请求。", ULONG, effect="live"
    )
    group_name: str | None = f.leaf("Disks of one group share their limits.", "同组磁盘共用限额。", effect="live")
    total_bytes_sec_max_length: int | None = f.leaf(
        "Seconds a burst may last.", "突发可持续的秒数。", ULONG, effect="live"
    )
    read_bytes_sec_max_length: int | None = f.leaf(
        "Seconds a burst of reading may last.", "读突发可持续的秒数。", ULONG, effect="live"
    )
    write_bytes_sec_max_length: int | None = f.leaf(
        "Seconds a burst of writing may last.", "写突发可持续的秒数。", ULONG, effect="live"
    )
    total_iops_sec_max_length: int | None = f.leaf(
        "Seconds a burst of requests may last.", "请求突发可持续的秒数。", ULONG, effect="live"
    )
    read_iops_sec_max_length: int | None = f.leaf(
        "Seconds a burst of reads may last.", "读请求突发可持续的秒数。", ULONG, effect="live"
    )
    write_iops_sec_max_length: int | None = f.leaf(
        "Seconds a burst of writes may last.", "写请求突发可持续的秒数。", ULONG, effect="live"
    )


@element("geometry", "磁盘几何参数")
class Geometry(Element):
    """The cylinders, heads and sectors an old guest is told."""

    cyls: int | None = f.attr("Cylinders.", "柱面数。", UINT, guest=True)
    heads: int | None = f.attr("Heads.", "磁头数。", UINT, guest=True)
    secs: int | None = f.attr("Sectors a track.", "每磁道扇区数。", UINT, guest=True)
    trans: str | None = f.attr(
        "How the BIOS translates them.", "BIOS 如何换算。", enum("auto", "none", "lba"), guest=True
    )


@element("blockio", "块大小")
class BlockIo(Element):
    """The block sizes the guest is told."""

    logical_block_size: int | None = f.attr(
        "The smallest the guest may address, in bytes.", "可寻址的最小单位（字节）。", UINT, guest=True
    )
    physical_block_size: int | None = f.attr(
        "The disk's own, in bytes.", "磁盘自身的块大小（字节）。", UINT, guest=True
    )
    discard_granularity: int | None = f.attr(
        "The unit of freeing blocks, in bytes.", "释放块的单位（字节）。", UINT, guest=True
    )


@element("throttlefilter", "限速过滤器", identity=("group",))
class ThrottleFilter(Element):
    """One of the domain's groups of limits that this disk's traffic passes."""

    group: str | None = f.attr("The group's name.", "组名。", FILLED, effect="live")


@element("throttlefilters", "限速过滤器")
class ThrottleFilters(Element):
    """The groups of limits the disk's traffic passes, one after the other."""

    throttlefilter: list[ThrottleFilter] = f.children("One group.", "一个限速组。", ThrottleFilter, effect="live")


@element("throttlegroup", "限速组", identity=("group_name",))
class ThrottleGroup(IoTune):
    """Limits that several disks may share by its name."""


@element("throttlegroups", "限速组")
class ThrottleGroups(Element):
    """The domain's groups of limits."""

    throttlegroup: list[ThrottleGroup] = f.children("One group.", "一个限速组。", ThrottleGroup, effect="live")
