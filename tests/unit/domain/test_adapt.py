"""Documents from elsewhere made to run on a host with QEMU 7.2 and no KVM."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from domicile.base.errors import InvalidDocument
from domicile.domain import nearest, source
from domicile.domain.adapt import Adapted, Surroundings, adapt

MYVM = (Path(__file__).parents[3] / "examples/MyVM.xml").read_text()
Adapt = Callable[..., Adapted]


@pytest.fixture
def adapted(core: Any) -> Adapt:
    def run(
        text: str,
        *,
        bridges: tuple[str, ...] = (),
        files: tuple[str, ...] = (),
        networks: tuple[str, ...] = (),
        **maps: str,
    ) -> Adapted:
        def find(emulator: str | None, arch: str) -> Any:
            return core.caps if emulator in (None, core.caps.binary) and arch == "x86_64" else None

        pairs = {key: value for key, _, value in (pair.partition("=") for pair in maps.values())}
        around = Surroundings(
            core.host(), find, frozenset(bridges), frozenset(networks), lambda path: path in files, "no vmx", pairs
        )
        return adapt(text, around)

    return run


def test_myvm_becomes_runnable(adapted: Adapt, core: Any) -> None:
    done = adapted(MYVM, files=("/new.img",), map="/data/image_file.img=/new.img")
    assert done.runnable
    assert core.complete(done.text).domain.name == "MyVM"
    changed = {a.path: (a.old, a.new) for a in done.adjustments}
    assert changed == {
        "@type": ("kvm", "qemu"),
        "os/type/@machine": ("pc-i440fx-rhel7.0.0", "pc-i440fx-7.2"),
        "cpu/model": ("Broadwell-noTSX-IBRS", "Westmere"),
        "cpu/feature[1]": ("require md-clear", ""),
        "cpu/feature[2]": ("require spec-ctrl", ""),
        "cpu/feature[3]": ("require ssbd", ""),
        "devices/emulator": ("/usr/libexec/qemu-kvm", "/usr/bin/qemu-system-x86_64"),
        "devices/disk[1]/source/@file": ("/data/image_file.img", "/new.img"),
        "devices/interface/@type": ("bridge virbr0", "user"),
    }
    assert all(a.why.en and a.why.zh and a.notice.en and a.notice.zh and a.line for a in done.adjustments)
    assert [a.line for a in done.adjustments] == sorted(a.line for a in done.adjustments)


def test_what_is_adapted_needs_no_more(adapted: Adapt) -> None:
    done = adapted(MYVM, files=("/new.img",), map="/data/image_file.img=/new.img")
    again = adapted(done.text, files=("/new.img",))
    assert again.adjustments == []
    assert again.text == done.text


def test_only_the_lines_that_must_change(adapted: Adapt) -> None:
    done = adapted(MYVM, bridges=("virbr0",), files=("/data/image_file.img",))
    before, after = MYVM.splitlines(), done.text.splitlines()
    assert [line for line in after if line not in before] == [
        "<domain type='qemu'>",
        "    <type arch='x86_64' machine='pc-i440fx-7.2'>hvm</type>",
        "    <model fallback='allow'>Westmere</model>",
        "    <emulator>/usr/bin/qemu-system-x86_64</emulator>",
    ]


def test_a_missing_file_is_left_to_the_owner(adapted: Adapt) -> None:
    done = adapted(MYVM)
    (left,) = [a for a in done.adjustments if a.open]
    assert left.path == "devices/disk[1]/source/@file"
    assert "--map /data/image_file.img=" in left.why.en
    assert not done.runnable
    assert "/data/image_file.img" in done.text


def test_a_directory_is_mapped(adapted: Adapt) -> None:
    assert "file='/srv/image_file.img'" in adapted(MYVM, files=("/srv/image_file.img",), map="/data=/srv").text


def test_a_bridge_is_mapped(adapted: Adapt) -> None:
    text = adapted(MYVM, map="virbr0=br7").text
    assert "<source bridge='br7'/>" in text
    assert "<interface type='bridge'>" in text


def test_a_network_that_is_not_here(adapted: Adapt, sketch: Any) -> None:
    text = sketch("<interface type='network'><mac address='52:54:00:00:00:01'/><source network='default'/></interface>")
    assert "<interface type='user'><mac address='52:54:00:00:00:01'/></interface>" in adapted(text).text
    assert adapted(text, networks=("default",)).adjustments == []
    assert "type='bridge'" in adapted(text, map="default=br0").text


def test_a_host_cpu_without_kvm(adapted: Adapt, sketch: Any) -> None:
    done = adapted(sketch(body="<cpu mode='host-passthrough'/>", kind="kvm"))
    assert "<cpu mode='maximum'/>" in done.text
    assert done.runnable


def test_a_cpu_like_no_other_gives_way_to_the_machines_own(adapted: Adapt, sketch: Any) -> None:
    done = adapted(sketch(body="<cpu mode='custom'><model>Toaster</model></cpu>"))
    assert "<cpu" not in done.text
    assert done.runnable


def test_a_machine_like_no_other_is_left(adapted: Adapt, sketch: Any) -> None:
    done = adapted(sketch(machine="toaster-1"))
    assert not done.runnable
    assert done.problems


def test_what_is_no_domain_is_refused(adapted: Adapt) -> None:
    for text in ("<network/>", "<domain", "", "<!DOCTYPE domain><domain/>"):
        with pytest.raises(InvalidDocument):
            adapted(text)


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("pc-i440fx-rhel7.6.0", "pc-i440fx-7.2"),
        ("pc-q35-rhel8.6.0", "pc-q35-7.2"),
        ("pc-q35-9.1", "pc-q35-7.2"),
        ("pc-i440fx-1.2", "pc-i440fx-1.4"),
        ("pc-i440fx-focal", "pc-i440fx-7.2"),
        ("pc-q35-2.3", "pc-q35-2.4"),
        ("rhel6.5.0", "pc-i440fx-7.2"),
        ("pc-1.0", "pc-i440fx-1.4"),
    ],
)
def test_the_nearest_machine(core: Any, name: str, near: str) -> None:
    found = nearest.machine(core.caps, name, False)
    assert found is not None
    assert found.name == near


@pytest.mark.parametrize(
    ("name", "near"),
    [("Skylake-Client-IBRS", "Westmere"), ("EPYC-Milan", "Opteron_G2"), ("Penryn", "Conroe"), ("pentium9", None)],
)
def test_the_nearest_cpu(core: Any, name: str, near: str | None) -> None:
    found = nearest.cpu(core.caps, name, False)
    assert (found.name if found else None) == near


def test_the_authors_form_is_kept() -> None:
    text = """<!-- mine -->
<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <!-- a comment &amp; more -->
  <name>a &amp; b &lt;c&gt;</name>
  <metadata>
    <app:x app:y='it&apos;s' xmlns:app='urn:x'>text</app:x>
  </metadata>
  <devices/>
  <qemu:commandline>
    <qemu:arg value='-newarg'/>
  </qemu:commandline>
</domain>
"""
    assert source.write(source.parse(text)) == text
