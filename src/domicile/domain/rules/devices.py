"""Devices nobody wrote but every such machine has: PS/2 input, balloon, audio backend, first display, console."""

from __future__ import annotations

from typing import Any

from domicile.devices import BY_TAG
from domicile.devices.audio import default_type
from domicile.domain.domain import Domain
from domicile.plan.facts import Completion


def _list(domain: Domain, tag: str) -> list[Any]:
    found: list[Any] = getattr(domain.devices, tag, [])
    return found


def inputs(domain: Domain, c: Completion) -> None:
    """Add the PS/2 mouse and keyboard that a PC has built in, and what a display cannot be used without."""
    present = _list(domain, "input")
    for kind in c.board.input_added if _list(domain, "graphics") else ():
        alike = ("mouse", "tablet") if kind == "mouse" else (kind,)
        if not any(i.type in alike and i.bus == c.board.input for i in present):
            made = BY_TAG["input"].element(type=kind, bus=c.board.input)
            present.append(made)
            c.add(made, "the display would be of no use without it", "没有它显示便无法使用")
    if c.board.input != "ps2" or "input" not in BY_TAG:
        return
    features = domain.features
    if features is not None and features.ps2 is not None and features.ps2.state is False:
        return
    for kind in ("mouse", "keyboard"):
        if not any(i.type == kind and i.bus == "ps2" for i in present):
            made = BY_TAG["input"].element(type=kind, bus="ps2")
            present.append(made)
            c.add(made, "a PC has it built in", "PC 内建此设备")


def balloon(domain: Domain, c: Completion) -> None:
    """Add the balloon by which the host takes memory back."""
    present = _list(domain, "memballoon")
    if present or not c.board.balloon or "memballoon" not in BY_TAG:
        return
    made = BY_TAG["memballoon"].element(model="virtio")
    present.append(made)
    c.add(made, "lets the host take memory back and count it", "使主机可回收与统计内存")


def panic(domain: Domain, c: Completion) -> None:
    """Add the panic notifier that some machines have by themselves."""
    present = _list(domain, "panic")
    if not c.board.panic_added or any(p.model in (None, c.board.panic) for p in present):
        return
    made = BY_TAG["panic"].element(model=c.board.panic)
    present.append(made)
    c.add(made, "the machine has it by itself", "该机型自带")


def watchdog(domain: Domain, c: Completion) -> None:
    """Name the watchdog that a Q35 chipset has anyway."""
    present = _list(domain, "watchdog")
    if not c.q35 or c.host.libvirt < (9, 1) or "watchdog" not in BY_TAG or any(w.model == "itco" for w in present):
        return
    made = BY_TAG["watchdog"].element(model="itco", action=present[0].action if present else "reset")
    present.append(made)
    c.add(made, "the chipset has it built in", "芯片组内建此看门狗")


def video(domain: Domain, c: Completion) -> None:
    """Add a display adapter where there is something to show it on, and say which one is the first."""
    present = _list(domain, "video")
    if not present and _list(domain, "graphics") and "video" in BY_TAG:
        made = BY_TAG["video"].element()
        present.append(made)
        c.add(made, "a display needs something to show", "显示需要显卡")


def audio(domain: Domain, c: Completion) -> None:
    """Add the backend that sound goes to: the first display's, else none."""
    present = _list(domain, "audio")
    if present or "audio" not in BY_TAG:
        return
    kind, driver = default_type([g.type for g in _list(domain, "graphics")], dict(c.host.environment))
    if kind is None:
        return
    made = BY_TAG["audio"].element(id=1, type=kind, driver=driver)
    present.append(made)
    c.add(made, "sound has to go somewhere, or nowhere on purpose", "声音须有去处，或明确没有去处")
