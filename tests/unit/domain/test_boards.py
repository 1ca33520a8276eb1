"""What only some kinds of machines have: chosen where it must be, refused elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from domicile.base.errors import Unsupported

ARCHES = {"pseries": "ppc64", "virt": "aarch64", "mac99": "ppc64", "vexpress-a9": "armv7l"}
Sketch = Callable[..., str]


def document(sketch: Sketch, machine: str, body: str, **more: str) -> str:
    return sketch("", machine=machine, arch=ARCHES.get(machine, "x86_64"), body=body, **more)


@pytest.mark.parametrize(
    ("machine", "features", "words"),
    [
        ("q35", "<htm state='on'/>", ("'htm'", "'x86_64'")),
        ("virt", "<hpt resizing='enabled'/>", ("'hpt'", "'aarch64'")),
        ("mac99", "<cfpc value='fixed'/>", ("'cfpc'", "'mac99'")),
        ("pseries", "<gic version='3'/>", ("'gic'", "'ppc64'")),
        ("pseries", "<nested-hv/>", ("'nested-hv'", "'state'")),
        ("pseries", "<sbbc/>", ("'sbbc'", "'value'")),
        ("pseries", "<ras state='on'/>", ("'ras'",)),
        ("vexpress-a9", "<gic/>", ("'gic'", "'vexpress-a9'")),
    ],
)
def test_features_of_other_machines_are_refused(
    core: Any, sketch: Sketch, machine: str, features: str, words: tuple[str, ...]
) -> None:
    xml = document(sketch, machine, f"<features>{features}</features>")
    found = core.meant(xml).problems(xml)
    assert len(found) == 1
    assert all(word in found[0].message for word in words), found[0].message


def test_a_page_table_of_which_nothing_is_said_is_dropped(core: Any, sketch: Sketch) -> None:
    xml = document(sketch, "pseries", "<features><hpt/></features>")
    assert "<features>" not in core.meant(xml).completed(xml)


@pytest.mark.parametrize(("policy", "ok"), [("require", True), ("force", True), ("disable", False), ("forbid", False)])
def test_vector_lengths_need_the_extension(core: Any, sketch: Sketch, policy: str, ok: bool) -> None:
    names = f"<feature policy='{policy}' name='sve'/><feature policy='require' name='sve256'/>"
    xml = document(sketch, "virt", f"<cpu mode='maximum'>{names}</cpu>")
    core = core.meant(xml)
    if ok:
        assert "<feature policy='require' name='sve'/>" in core.completed(xml)
    else:
        assert [policy in problem.message for problem in core.problems(xml)] == [True]


def test_the_host_passes_for_an_older_power(core: Any, sketch: Sketch) -> None:
    body = "<cpu mode='host-model'><model>{}</model></cpu>"
    xml = document(sketch, "pseries", body.format("power8"), kind="kvm")
    words = [argument.words for argument in core.meant(xml).arguments(xml)]
    assert ["-cpu", "host"] in [list(w) for w in words]
    assert any("max-cpu-compat=power8" in w[-1] for w in words)
    with pytest.raises(Unsupported, match="POWER8"):
        core.meant(xml).arguments(document(sketch, "pseries", body.format("POWER8"), kind="kvm"))
    xml = document(sketch, "pseries", body.format("power8"))
    with pytest.raises(Unsupported, match="kvm"):
        core.meant(xml).arguments(xml)


def test_all_that_qemu_can_is_a_model_of_some_emulators_only(core: Any, sketch: Sketch) -> None:
    xml = document(sketch, "pseries", "<cpu mode='maximum'/>")
    assert "maximum" in core.meant(xml).problems(xml)[0].message


@pytest.mark.parametrize(
    ("arch", "machine", "devices", "words"),
    [
        ("ppc64", "mac99", "<disk type='file'><source file='/i'/><target dev='hda' bus='ide'/></disk>", "IDE"),
        ("ppc64", "pseries", "<disk device='floppy'><source file='/i'/><target dev='fda' bus='fdc'/></disk>", "floppy"),
        ("x86_64", "pc", "<disk type='file'><source file='/i'/><target dev='sda' bus='sd'/></disk>", "'sd'"),
        (
            "armv7l",
            "vexpress-a9",
            "<disk type='file'><source file='/i'/><target dev='sda' bus='sd'/><serial>1</serial></disk>",
            "serial",
        ),
        ("aarch64", "virt", "<iommu model='virtio'/>", "acpi"),
        (
            "ppc64",
            "pseries",
            "<controller type='pci' index='1' model='pci-root'><target index='1'><node>1</node></target></controller>",
            "NUMA node 1",
        ),
        (
            "ppc64",
            "pseries",
            "<controller type='pci' index='1' model='pci-root'><target index='4'/></controller>"
            "<controller type='pci' index='2' model='pci-root'><target index='4'/></controller>",
            "'4'",
        ),
        ("ppc64", "pseries", "<controller type='pci' index='0' model='pci-root'><pcihole64>1</pcihole64></controller>", "pcihole64"),
    ],
)  # fmt: skip
def test_devices_of_other_machines_are_refused(
    core: Any, sketch: Sketch, arch: str, machine: str, devices: str, words: str
) -> None:
    xml = sketch(devices, machine=machine, arch=arch)
    assert any(words in problem.message for problem in core.meant(xml).problems(xml))


def test_devices_of_the_host_have_bridges_of_their_own(core: Any, sketch: Sketch) -> None:
    one = "<hostdev type='pci'><source><address bus='{}' slot='0' function='{}'/></source></hostdev>"
    xml = sketch(
        one.format(1, 0) + one.format(2, 0) + one.format(1, 1) + "<controller type='scsi' model='virtio-scsi'/>",
        machine="pseries",
        arch="ppc64",
    )
    groups = {"0000:01:00.0": 7, "0000:01:00.1": 7, "0000:02:00.0": 8}
    done = core.meant(xml).complete(xml, iommu_group=groups.get).domain
    assert [(h.address.bus, h.address.slot) for h in done.devices.hostdev] == [(1, 1), (2, 1), (1, 2)]
    assert [k.address.bus for k in done.devices.controller if k.type == "scsi"] == [0]


def test_a_stored_machine_keeps_its_old_usb_controller(core: Any, sketch: Sketch) -> None:
    xml = sketch("<controller type='usb'/>", machine="pseries", arch="ppc64")
    assert "model='qemu-xhci'" in core.meant(xml).completed(xml)
    assert "model='pci-ohci'" in core.meant(xml).completed(xml, modern=False)


@pytest.mark.parametrize(
    ("given", "added"),
    [
        ("", ["keyboard", "mouse"]),
        ("<input type='tablet' bus='usb'/>", ["keyboard"]),
        ("<input type='tablet' bus='virtio'/>", ["keyboard", "mouse"]),
        ("<input type='keyboard' bus='usb'/>", ["mouse"]),
    ],
)
def test_a_display_of_power_brings_a_keyboard_and_a_mouse(
    core: Any, sketch: Sketch, given: str, added: list[str]
) -> None:
    xml = sketch(f"{given}<graphics type='vnc'/>", machine="pseries", arch="ppc64")
    done = core.meant(xml).complete(xml).domain
    assert [i.type for i in done.devices.input if i.bus == "usb"][given.count("usb") :] == added
    xml = sketch(given, machine="pseries", arch="ppc64")
    assert len(core.meant(xml).complete(xml).domain.devices.input) == given.count("<input")
