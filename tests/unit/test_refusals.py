"""What must be refused: each in one clear sentence that names the element, the value and what would be accepted instead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from domicile.base.problem import Problem

Sketch = Callable[..., str]
NAME = "<name>vm</name>"
MEMORY = "<memory>65536</memory>"
OS = "<os><type arch='x86_64'>hvm</type></os>"


def document(inside: str, head: str = "type='qemu'") -> str:
    machine = "" if "<os>" in inside else OS
    return f"<domain {head}>{inside}{machine}</domain>"


def devices(inside: str) -> str:
    return document(f"{NAME}{MEMORY}<devices>\n{inside}</devices>")


REFUSED: dict[str, tuple[str, tuple[str, ...]]] = {
    "malformed": ("<domain type='qemu'>", ("not well-formed",)),
    "empty": ("", ("empty", "an XML document")),
    "not XML": ("hello", ("not well-formed",)),
    "entity": ("<!DOCTYPE d [<!ENTITY a 'b'>]><domain type='qemu'><name>&a;</name></domain>", ("DOCTYPE",)),
    "unknown entity": (document("<name>&a;</name>"), ("not well-formed", "'a'")),
    "50 MB": (document(NAME + " " * 50_000_000), ("bytes", "at most 4194304 bytes")),
    "wrong root": ("<network><name>vm</name></network>", ("'network'", "<domain>")),
    "wrong root of snapshots": ("<domainsnapshot/>", ("'domainsnapshot'", "<domain>")),
    "missing name": (document(MEMORY), ("<name>",)),
    "empty name": (document(f"<name></name>{MEMORY}"), ("'name'", "a name that is not empty")),
    "blank name": (document(f"<name>  </name>{MEMORY}"), ("'name'", "a name that is not empty")),
    "path in name": (document(f"<name>../x</name>{MEMORY}"), ("'name'", "'../x'", "neither a slash")),
    "slash in name": (document(f"<name>a/b</name>{MEMORY}"), ("'name'", "'a/b'", "neither a slash")),
    "two dots as name": (document(f"<name>..</name>{MEMORY}"), ("'name'", "'..'")),
    "line break in name": (document(f"<name>a\nb</name>{MEMORY}"), ("'name'", "line break")),
    "long name": (document(f"<name>{'é' * 200}</name>{MEMORY}"), ("name", "400 bytes", "255")),
    "bad uuid": (document(f"{NAME}<uuid>12345</uuid>{MEMORY}"), ("'uuid'", "'12345'", "a UUID such as")),
    "uuid of wrong letters": (document(f"{NAME}<uuid>{'g' * 32}</uuid>{MEMORY}"), ("'uuid'", "a UUID such as")),
    "no type": (f"<domain>{NAME}{MEMORY}{OS}</domain>", ("'type'", "kvm, qemu")),
    "unknown type": (document(NAME + MEMORY, "type='zen'"), ("'type'", "'zen'", "kvm")),
    "type of another hypervisor": (document(NAME + MEMORY, "type='xen'"), ("'type'", "'xen'", "kvm, qemu")),
    "kvm without kvm": (document(NAME + MEMORY, "type='kvm'"), ("'kvm'", "type='qemu'")),
    "no memory": (document(NAME), ("'memory'", "an amount such as")),
    "memory 0": (document(f"{NAME}<memory>0</memory>"), ("'memory'", "an amount such as")),
    "negative memory": (document(f"{NAME}<memory>-1</memory>"), ("'memory'", "'-1'")),
    "memory in words": (document(f"{NAME}<memory>much</memory>"), ("'memory'", "'much'", "whole number")),
    "memory in an unknown unit": (document(f"{NAME}<memory unit='parsec'>1</memory>"), ("parsec",)),
    "more memory than there is": (document(f"{NAME}<memory unit='EiB'>9</memory>"), ("'memory'", "8 EiB")),
    "100,000 vcpus": (document(f"{NAME}{MEMORY}<vcpu>100000</vcpu>"), ("'vcpu'", "'100000'", "1 to 255")),
    "no vcpu": (document(f"{NAME}{MEMORY}<vcpu>0</vcpu>"), ("'vcpu'", "'0'", "1 or more")),
    "more vcpus than there are": (document(f"{NAME}{MEMORY}<vcpu current='3'>2</vcpu>"), ("'current'", "3", "1 to 2")),
    "topology of other size": (
        document(f"{NAME}{MEMORY}<vcpu>3</vcpu><cpu><topology sockets='1' cores='2' threads='2'/></cpu>"),
        ("'topology'", "4", "3"),
    ),
    "unknown machine": (
        document(f"{NAME}{MEMORY}<os><type arch='x86_64' machine='pc-rhel7'>hvm</type></os>"),
        ("'pc-rhel7'", "domicile adapt"),
    ),
    "unknown architecture": (
        document(f"{NAME}{MEMORY}<os><type arch='pdp11'>hvm</type></os>"),
        ("pdp11",),
    ),
    "unknown boot device": (document(f"{NAME}{MEMORY}<os><type>hvm</type><boot dev='tape'/></os>"), ("'tape'", "fd, hd, cdrom")),
    "unknown end": (document(f"{NAME}{MEMORY}<on_reboot>dance</on_reboot>"), ("'on_reboot'", "'dance'", "restart")),
    "unknown clock": (document(f"{NAME}{MEMORY}<clock offset='sundial'/>"), ("'offset'", "'sundial'", "utc")),
    "disk without source": (devices("<disk type='file' device='disk'><target dev='vda'/></disk>"), ("'vda'", "source", "file=")),
    "block disk without source": (devices("<disk type='block'><target dev='vda'/></disk>"), ("'vda'", "source", "dev=")),
    "disk without target": (devices("<disk><source file='/a'/></disk>"), ("'disk'", "<target>", "vda")),
    "disk with a strange name": (devices("<disk><source file='/a'/><target dev='disk0'/></disk>"), ("'dev'", "'disk0'", "vda")),
    "unknown bus": (devices("<disk><source file='/a'/><target dev='vda' bus='warp'/></disk>"), ("'bus'", "'warp'", "virtio")),
    "the same disk name": (
        devices("<disk><source file='/a'/><target dev='vda'/></disk><disk><source file='/b'/><target dev='vda'/></disk>"),
        ("'vda'", "more than one"),
    ),
    "unknown cache mode": (
        devices("<disk><driver cache='magic'/><source file='/a'/><target dev='vda'/></disk>"), ("'cache'", "'magic'", "writeback"),
    ),
    "bridge without bridge": (devices("<interface type='bridge'/>"), ("'bridge'", "<source bridge=")),
    "bad MAC": (devices("<interface type='user'><mac address='1:2:3'/></interface>"), ("'address'", "'1:2:3'", "52:54:00")),
    "MAC of a group": (devices("<interface type='user'><mac address='01:00:00:00:00:01'/></interface>"), ("multicast", "01:00:00")),
    "unknown interface": (devices("<interface type='wormhole'/>"), ("'type'", "'wormhole'", "bridge")),
    "unknown controller": (devices("<controller type='tape'/>"), ("'type'", "'tape'", "scsi")),
    "unknown controller model": (devices("<controller type='usb' model='usb9'/>"), ("'model'", "'usb9'", "qemu-xhci")),
    "two controllers of one index": (
        devices("<controller type='scsi' index='0'/><controller type='scsi' index='0'/>"), ("'scsi'", "'0'", "once"),
    ),
    "unknown graphics": (devices("<graphics type='hologram'/>"), ("'type'", "'hologram'", "vnc")),
    "unknown address": (
        devices("<disk><source file='/a'/><target dev='vda'/><address type='street'/></disk>"), ("'type'", "'street'", "pci"),
    ),
    "the same PCI place": (
        devices("<interface type='user'><address type='pci' slot='0x09'/></interface>" * 2), ("0000:00:09.0", "twice"),
    ),
    "PCI slot 32": (devices("<interface type='user'><address type='pci' slot='0x20'/></interface>"), ("0x20", "0x1f")),
    "boot orders beside boot devices": (
        document(
            f"{NAME}{MEMORY}<os><type>hvm</type><boot dev='hd'/></os>"
            "<devices><interface type='user'><boot order='1'/></interface></devices>"
        ),
        ("<boot>", "one of the two"),
    ),
    "the same boot order": (devices("<interface type='user'><boot order='1'/></interface>" * 2), ("'1'", "once")),
    "boot order 0": (devices("<interface type='user'><boot order='0'/></interface>"), ("'order'", "'0'", "from 1")),
    "relative emulator": (devices("<emulator>qemu</emulator>").replace("\n", ""), ("qemu",)),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_one_clear_sentence(core: Any, name: str) -> None:
    xml, words = REFUSED[name]
    if name == "relative emulator":
        problems = _without_emulator(core, xml)
    else:
        problems = core.problems(xml)
    assert len(problems) == 1, [problem.sentence() for problem in problems]
    (problem,) = problems
    for word in words:
        assert word in problem.sentence(), problem.sentence()
    assert "\n" not in problem.sentence()
    assert len(problem.sentence()) < 600
    assert problem.severity == "error"


def _without_emulator(core: Any, xml: str) -> list[Problem]:
    from domicile.base.errors import InvalidDocument
    from domicile.domain.complete import complete_text

    with pytest.raises(InvalidDocument) as refused:
        complete_text(xml, core.host(), lambda emulator, arch: None)
    return refused.value.problems


def test_all_problems_at_once_each_with_its_line_and_path(core: Any) -> None:
    xml = """<domain type='qemu'>
  <name>a/b</name>
  <uuid>nonsense</uuid>
  <memory>0</memory>
  <os><type>hvm</type></os>
  <vcpu>two</vcpu>
  <on_crash>burn</on_crash>
  <devices>
    <disk type='file'>
      <target dev='vda' bus='warp'/>
    </disk>
    <disk type='file'>
      <target dev='vdb'/>
    </disk>
    <interface type='bridge'>
      <mac address='x'/>
    </interface>
  </devices>
</domain>"""
    problems = core.problems(xml)
    found = {(problem.line, problem.path) for problem in problems}
    for place in (
        (2, "name"),
        (3, "uuid"),
        (4, "memory"),
        (6, "vcpu"),
        (7, "on_crash"),
        (10, "devices/disk[1]/target/@bus"),
        (12, "devices/disk[2]/source"),
        (15, "devices/interface/source"),
        (16, "devices/interface/mac/@address"),
    ):
        assert place in found, sorted(found)
    lines = [problem.line for problem in problems if problem.line]
    assert lines == sorted(lines)


def test_each_problem_says_what_would_be_accepted(core: Any) -> None:
    silent = []
    for name, (xml, _) in REFUSED.items():
        if name in ("malformed", "not XML", "unknown entity", "relative emulator"):
            continue
        silent += [f"{name}: {p.sentence()}" for p in core.problems(xml) if not p.accepted]
    assert not silent


UNKNOWN = """<domain type='qemu' mood='good'>
  <name>vm</name>
  <memory colour='red'>65536</memory>
  <os><type>hvm</type></os>
  <flavour>vanilla</flavour>
  <devices>
    <disk type='file'>
      <source file='/a'/>
      <target dev='vda' bus='virtio' spin='left'/>
      <wheel/>
    </disk>
  </devices>
</domain>"""


def test_what_nobody_knows_is_reported_and_has_no_effect(core: Any) -> None:
    done = core.complete(UNKNOWN)
    found = {(p.path, p.line) for p in done.ignored}
    assert found == {
        ("@mood", 1),
        ("memory/@colour", 3),
        ("flavour", 5),
        ("devices/disk/target/@spin", 9),
        ("devices/disk/wheel", 10),
    }
    assert all(p.severity == "ignored" for p in done.ignored)
    assert {entry.path for entry in done.report if entry.kind == "ignored"} == {path for path, _ in found}
    assert "vanilla" not in core.completed(UNKNOWN)


def test_what_nobody_knows_is_refused_where_the_author_wants_it(core: Any) -> None:
    problems = core.problems(UNKNOWN, strict=True)
    assert {p.path for p in problems} == {
        "@mood", "memory/@colour", "flavour", "devices/disk/target/@spin", "devices/disk/wheel",
    }  # fmt: skip
    assert all("not known" in p.message for p in problems)


def test_what_stands_twice_counts_once(core: Any) -> None:
    done = core.complete(document(f"{NAME}<name>other</name>{MEMORY}"))
    assert done.domain.name == "vm"
    assert [(p.path, p.severity) for p in done.ignored] == [("name[2]", "ignored")]


def test_a_flood_of_problems_is_cut(core: Any) -> None:
    problems = core.problems(devices("<disk type='x'/>" * 5000))
    assert len(problems) < 500


@pytest.mark.parametrize("text", ["1", "0x1", "007", " 1"])
def test_numbers_as_libvirt_reads_them(core: Any, text: str) -> None:
    xml = devices(f"<interface type='user'><address type='pci' bus='0' slot='{text}'/></interface>")
    problems = core.problems(xml.replace(text, "0xzz"))
    assert "'0xzz'" in problems[0].sentence()
