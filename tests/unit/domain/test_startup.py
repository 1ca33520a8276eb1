"""Clocks, features, menus, threads and counters: what is filled in and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from domicile.base.errors import Unsupported
from domicile.domain.document import write


def document(more: str, os: str = "", devices: str = "") -> str:
    return (
        "<domain type='qemu'><name>n</name><memory unit='MiB'>64</memory>"
        f"<os><type arch='x86_64' machine='q35'>hvm</type>{os}</os>{more}<devices>{devices}</devices></domain>"
    )


def timer(words: str, inside: str = "") -> str:
    return f"<clock offset='utc'><timer {words}>{inside}</timer></clock>"


def features(words: str) -> str:
    return f"<features>{words}</features>"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("<clock offset='timezone'/>", "'timezone'"),
        ("<clock offset='absolute'/>", "'start'"),
        ("<clock offset='variable' adjustment='reset'/>", "'reset'"),
        (timer("name='platform'"), "'platform'"),
        (timer("name='armvtimer'"), "'armvtimer'"),
        (timer("present='yes'"), "'name'"),
        (timer("name='pit' tickpolicy='merge'"), "'merge'"),
        (timer("name='rtc' tickpolicy='discard'"), "'discard'"),
        (timer("name='kvmclock' tickpolicy='delay'"), "'kvmclock'"),
        (timer("name='rtc' track='boot'"), "'boot'"),
        (timer("name='pit' track='guest'"), "'track'"),
        (timer("name='rtc' frequency='100'"), "'frequency'"),
        (timer("name='hpet' mode='native'"), "'mode'"),
        (timer("name='rtc' tickpolicy='delay'", "<catchup slew='1'/>"), "<catchup>"),
        (features("<hyperv><relaxed/></hyperv>"), "'relaxed'"),
        (features("<hyperv mode='none'/>"), "'none'"),
        (features("<hyperv><spinlocks state='on'/></hyperv>"), "'retries'"),
        (features("<hyperv><spinlocks state='on' retries='100'/></hyperv>"), "'100'"),
        (features("<hyperv><vendor_id state='on' value='1234567890123'/></hyperv>"), "'1234567890123'"),
        (features("<hyperv><vendor_id state='on' value='a,b'/></hyperv>"), "'a,b'"),
        (features("<kvm><dirty-ring state='on' size='1000'/></kvm>"), "'1000'"),
        (features("<kvm><dirty-ring state='on' size='131072'/></kvm>"), "'131072'"),
        ("<bootloader>/b</bootloader>", "'bootloader'"),
        ("<perf><event name='luck' enabled='yes'/></perf>", "'luck'"),
        ("<perf><event name='cmt' enabled='yes'/><event name='cmt' enabled='no'/></perf>", "'cmt'"),
        ("<perf><event name='cmt' enabled='perhaps'/></perf>", "'perhaps'"),
    ],
)
def test_refused(core: Any, more: str, words: str) -> None:
    messages = [problem.message for problem in core.problems(document(more))]
    assert any(words in message for message in messages), messages


@pytest.mark.parametrize(
    ("os", "words"),
    [
        ("<bootmenu enable='yes' timeout='65536'/>", "'65536'"),
        ("<bios rebootTimeout='-2'/>", "'-2'"),
        ("<bios rebootTimeout='65536'/>", "'65536'"),
        ("<bios useserial='yes'/>", "'useserial'"),
    ],
)
def test_refused_at_start_up(core: Any, os: str, words: str) -> None:
    (problem,) = core.problems(document("", os))
    assert words in problem.message


@pytest.mark.parametrize(
    ("more", "kept"),
    [
        ("<clock offset='variable'/>", "<clock offset='variable' adjustment='0' basis='utc'/>"),
        ("<clock offset='utc' adjustment='123'/>", "<clock offset='variable' adjustment='123' basis='utc'/>"),
        ("<clock offset='localtime' adjustment='-5'/>", "<clock offset='variable' adjustment='-5' basis='localtime'/>"),
        ("<clock offset='localtime' adjustment='reset'/>", "<clock offset='localtime' adjustment='reset'/>"),
        ("<clock offset='timezone' timezone='UTC' adjustment='5'/>", "<clock offset='timezone' timezone='UTC'/>"),
        (features("<smm state='off'><tseg>48</tseg></smm>"), "<smm state='off'/>"),
        (features("<hyperv mode='passthrough'/>"), "    <hyperv mode='passthrough'>\n    </hyperv>"),
        (
            "<iothreads>3</iothreads><iothreadids><iothread id='4'/></iothreadids>",
            "<iothread id='4'/>\n    <iothread id='1'/>\n    <iothread id='2'/>",
        ),
        ("<iothreadids><iothread id='4'/><iothread id='2'/></iothreadids>", "<iothreads>2</iothreads>"),
        ("<genid/>", "<genid>00000000-0000-4000-8000-"),
    ],
)
def test_filled_in(core: Any, more: str, kept: str) -> None:
    assert kept in write(core.complete(document(more)).domain)


def test_a_table_of_lines_nobody_knows_is_left_out(core: Any) -> None:
    text = document("<sysinfo type='smbios'><bios><entry name='luck'>x</entry></bios></sysinfo>")
    assert "<sysinfo type='smbios'/>" in write(core.complete(text).domain)


@pytest.mark.parametrize(("os", "more"), [("<bootmenu/>", ""), ("<bootmenu timeout='3'/>", ""), ("", "<pm/>")])
def test_left_out(core: Any, os: str, more: str) -> None:
    text = write(core.complete(document(more, os)).domain)
    assert "bootmenu" not in text and "<pm" not in text


def test_a_timer_is_told_to_delay_ticks_unless_told_otherwise(core: Any) -> None:
    words = [a.words for a in core.arguments(document(timer("name='pit'")))]
    assert ("-global", "kvm-pit.lost_tick_policy=delay") in [tuple(w) for w in words]


def test_a_panic_told_to_hyperv_is_a_feature_of_the_cpu(core: Any) -> None:
    words = next(
        a.words[1] for a in core.arguments(document("", devices="<panic model='hyperv'/>")) if a.words[0] == "-cpu"
    )
    assert words == "qemu64,hv-crash=on"


def test_tables_that_are_not_there_are_missed_at_start(core: Any) -> None:
    with pytest.raises(Unsupported, match="'sysinfo'"):
        core.arguments(document("", "<smbios mode='sysinfo'/>"))
