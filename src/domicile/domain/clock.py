"""The clock and its timers. Part of `domain.Domain`."""

from __future__ import annotations

from domicile.base.errors import CONFIG_UNSUPPORTED
from domicile.schema import field as f
from domicile.schema.scalar import ULONG, YES_NO, Scalar, enum, integer
from domicile.schema.shape import Element, element


def _adjustment(text: str) -> str:
    return text if text == "reset" else str(_SECONDS.parse(text))


_SECONDS = integer(-(2**63), 2**63 - 1)
ADJUSTMENT = Scalar("adjustment", _adjustment, str, "a whole number of seconds, or reset")


@element("catchup", "追赶参数")
class Catchup(Element):
    """How fast lost ticks are made up."""

    threshold: int | None = f.attr("From how many lost nanoseconds on.", "丢失多少纳秒后开始。", ULONG)
    slew: int | None = f.attr("The greatest speed-up.", "最大加速。", ULONG)
    limit: int | None = f.attr("The most that is made up.", "追赶的上限。", ULONG)


@element("timer", "定时器", identity=("name",))
class Timer(Element):
    """A source of time for the guest."""

    name: str | None = f.attr(
        "Which timer.", "哪个定时器。",
        enum("platform", "pit", "rtc", "hpet", "tsc", "kvmclock", "hypervclock", "armvtimer"), effect="never", guest=True,
    )  # fmt: skip
    present: bool | None = f.attr("Whether the guest has it.", "客户机是否拥有。", YES_NO, guest=True)
    tickpolicy: str | None = f.attr(
        "What happens to ticks the guest could not take.",
        "客户机错过的时钟中断如何处理。",
        enum("delay", "catchup", "merge", "discard"),
        guest=True,
    )
    track: str | None = f.attr(
        "What it follows.", "跟随的时钟。", enum("boot", "guest", "wall", "realtime"), guest=True
    )
    frequency: int | None = f.attr("Ticks a second.", "频率（赫兹）。", ULONG, guest=True)
    mode: str | None = f.attr(
        "How the TSC is given.",
        "TSC 的提供方式。",
        enum("auto", "native", "emulate", "paravirt", "smpsafe"),
        guest=True,
    )
    catchup: Catchup | None = f.child("How fast lost ticks are made up.", "追赶参数。", Catchup)


@element("clock", "时钟")
class Clock(Element):
    """The time the guest's hardware clock starts with."""

    offset: str | None = f.attr(
        "Universal time, the host's zone, a zone of its own, a difference, or a fixed moment.",
        "世界时、主机时区、指定时区、偏移量或固定时刻。", enum("utc", "localtime", "timezone", "variable", "absolute"), guest=True, code=CONFIG_UNSUPPORTED,
    )  # fmt: skip
    adjustment: str | None = f.attr("Seconds off, or reset.", "偏差秒数，或 reset。", ADJUSTMENT, guest=True)
    basis: str | None = f.attr("What the difference is from.", "偏移的基准。", enum("utc", "localtime"), guest=True)
    timezone: str | None = f.attr("The zone.", "时区。", guest=True)
    start: int | None = f.attr(
        "The moment, in seconds since 1970.", "起始时刻（自 1970 年的秒数）。", integer(0, 2**63 - 1), guest=True
    )
    timer: list[Timer] = f.children("A source of time.", "定时器。", Timer)
