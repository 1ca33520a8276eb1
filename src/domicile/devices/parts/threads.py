"""I/O threads that serve the queues of a virtio device. Used by the disks and the SCSI controllers."""

from __future__ import annotations

from typing import Any

from domicile.plan.facts import Completion
from domicile.schema import field as f
from domicile.schema.scalar import PUINT, UINT
from domicile.schema.shape import Element, element


@element("queue", "队列")
class MappedQueue(Element):
    """A queue of the device."""

    id: int | None = f.attr("Its number, from 0.", "编号，从 0 开始。", UINT, required=True)


@element("iothread", "I/O 线程")
class MappedThread(Element):
    """An I/O thread that serves some of the device's queues, or its share of all where none is named."""

    id: int | None = f.attr("The I/O thread's number.", "I/O 线程编号。", PUINT, required=True)
    queue: list[MappedQueue] = f.children("A queue it serves.", "它服务的队列。", MappedQueue)


@element("iothreads", "I/O 线程分配")
class ThreadMap(Element):
    """Which I/O threads serve which queues of the device."""

    iothread: list[MappedThread] = f.children("One I/O thread.", "一个 I/O 线程。", MappedThread)


def props(mapping: ThreadMap | None) -> list[dict[str, Any]] | None:
    """Say the threads and their queues in QEMU's words."""
    if mapping is None or not mapping.iothread:
        return None
    return [
        {"iothread": f"iothread{thread.id}", "vqs": [queue.id for queue in thread.queue] or None}
        for thread in mapping.iothread
    ]


def named(driver: Any) -> list[int | None]:
    """List the I/O threads that a driver names."""
    mapping = driver.iothreads.iothread if driver.iothreads is not None else []
    return [driver.iothread, *(thread.id for thread in mapping)]


def check(driver: Any, whose: str, typename: str, c: Completion) -> None:
    """Find queues that no thread or more than one serves; `typename` is the QEMU device that must know of the mapping."""
    mapping: ThreadMap | None = driver.iothreads
    if mapping is None:
        return
    if not c.caps.has_property(typename, "iothread-vq-mapping"):
        c.problem(driver, f"this QEMU knows no <iothreads> of {whose}", "iothread='…'", "iothreads")
    if driver.iothread is not None:
        c.problem(driver, f"{whose} has both 'iothread' and <iothreads>", "one of them", "iothreads")
    threads = mapping.iothread
    numbers = [thread.id for thread in threads]
    for number in {number for number in numbers if numbers.count(number) > 1}:
        c.problem(mapping, f"I/O thread '{number}' of {whose} stands twice", "once", "iothread")
    served = [queue.id for thread in threads for queue in thread.queue]
    if not served:
        return
    if not all(thread.queue for thread in threads):
        c.problem(mapping, f"some I/O threads of {whose} have queues, others none", "all", "iothread")
    if driver.queues is None:
        c.problem(driver, f"<queue> for {whose} needs the attribute 'queues'", "queues='…'", "@queues")
    elif sorted(number or 0 for number in served) != list(range(driver.queues)):
        what = f"each queue of {whose} needs one I/O thread"
        c.problem(mapping, what, f"0 to {driver.queues - 1}", "iothread")
