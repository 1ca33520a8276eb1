"""What devices may not be beside each other: on SCSI controllers, among watchdogs, TPMs, panic notifiers, displays."""

from __future__ import annotations

from typing import Any

import pytest

from domicile.base.errors import InvalidDocument

DISK = "<disk type='file' device='disk'><source file='/x'/><target dev='sda' bus='scsi'/>{}</disk>"
LENT = (
    "<hostdev mode='subsystem' type='scsi'><source><adapter name='scsi_host0'/><address bus='0' target='0' unit='{}'/>"
    "</source>{}</hostdev>"
)
PLACE = "<address type='drive' controller='0' bus='{}' target='{}' unit='{}'/>"
WEB = (
    "<disk type='network' device='cdrom'><source protocol='{}' name='x'{}><host name='h'/></source>"
    "<target dev='hda' bus='ide'/></disk>"
)
WIDE = "<controller type='scsi' index='0' model='virtio-scsi'/>"
NARROW = "<controller type='scsi' index='0' model='lsilogic'/>"
TPM = "<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>"


def document(inside: str, machine: str = "pc") -> str:
    kind = f"<os><type arch='x86_64' machine='{machine}'>hvm</type></os>"
    return f"<domain type='qemu'><name>v</name><memory>65536</memory>{kind}<devices>{inside}</devices></domain>"


@pytest.mark.parametrize(
    ("inside", "named"),
    [
        (WIDE + DISK.format(PLACE.format(0, 0, 1)) + LENT.format(0, PLACE.format(0, 0, 1)), ("'sda'", "unit='1'")),
        (WIDE + LENT.format(0, PLACE.format(0, 0, 1)) + LENT.format(1, PLACE.format(0, 0, 1)), ("another", "unit='1'")),
        (WIDE + DISK.format(PLACE.format(1, 0, 1)), ("'sda'", "bus")),
        (NARROW + DISK.format(PLACE.format(0, 2, 1)), ("'sda'", "target", "lsilogic")),
        (NARROW + LENT.format(0, PLACE.format(0, 0, 8)), ("unit", "lsilogic")),
        ("<watchdog model='ib700' action='reset'/><watchdog model='i6300esb' action='pause'/>", ("reset", "pause")),
        ("<panic model='isa'/><panic model='isa'/>", ("<panic>", "isa")),
        (TPM + TPM, ("TPMs",)),
        ("<graphics type='vnc'/><graphics type='vnc'/>", ("vnc",)),
        (DISK.format("<driver name='qemu' type='cow'/>"), ("'cow'",)),
        (DISK.format("<driver name='qemu' type='dir'/>"), ("'directory'", "'dir'")),
        (DISK.format("<driver name='qemu' type='fat'/>"), ("'fat'", "'dir'")),
        ("<sound model='ich6'><audio id='5'/></sound>", ("<sound>", "'5'")),
        ("<smartcard mode='host'/><smartcard mode='host'/>", ("<smartcard>",)),
        (DISK.format("").replace("file='/x'", "file='/x' startupPolicy='requisite'"), ("'requisite'", "'cdrom'")),
        (WEB.format("http", " startupPolicy='optional'"), ("'optional'", "'network'")),
        (WEB.format("tftp", ""), ("'tftp'",)),
        (
            "<graphics type='vnc'/><video><model type='virtio'><acceleration accel2d='yes'/></model></video>",
            ("accel2d",),
        ),
        ("<redirfilter><usbdev class='0x08'/></redirfilter>", ("'allow'",)),
        ("<interface type='user'><bandwidth><inbound peak='1'/></bandwidth></interface>", ("average",)),
        (
            "<interface type='user'><bandwidth><inbound average='1' floor='1'/></bandwidth></interface>",
            ("floor", "user"),
        ),
        (
            "<serial type='pty'><alias name='ua-x'/></serial><rng model='virtio'><backend model='random'/><alias name='ua-x'/></rng>",
            ("ua-x",),
        ),
        ("<disk type='file' device='cdrom'><target dev='sda' bus='usb'/></disk>", ("'usb'",)),
    ],
)
def test_refused(core: Any, inside: str, named: tuple[str, ...]) -> None:
    with pytest.raises(InvalidDocument) as refused:
        core.complete(document(inside))
    assert all(word in str(refused.value) for word in named), refused.value


@pytest.mark.parametrize(
    "inside",
    [
        WIDE + DISK.format(PLACE.format(0, 3, 100)) + LENT.format(0, PLACE.format(0, 0, 1)),
        "<watchdog model='ib700' action='reset'/><watchdog model='i6300esb' action='reset'/>",
        "<panic model='isa'/><panic model='hyperv'/>",
        "<graphics type='vnc'/><graphics type='sdl'/>",
    ],
)
def test_accepted(core: Any, inside: str) -> None:
    core.complete(document(inside))


def test_devices_find_controllers_their_owner_named(core: Any) -> None:
    named = WIDE.replace("/>", "><alias name='ua-wide'/></controller>")
    serial = "<controller type='virtio-serial' index='0'><alias name='ua-ports'/></controller>"
    usb = "<controller type='usb' index='0' model='nec-xhci'><alias name='ua-usb'/></controller>"
    inside = named + serial + usb + DISK.format("") + "<channel type='pty'><target type='virtio'/></channel>"
    inside += "<input type='tablet' bus='usb'/>"
    text = " ".join(" ".join(each.words) for each in core.arguments(document(inside)))
    assert all(f'"bus":"{name}.0"' in text for name in ("ua-wide", "ua-ports", "ua-usb"))


def test_names_that_qemu_could_not_take_are_forgotten(core: Any) -> None:
    given = DISK.format("<alias name='ua-no name'/>")
    assert "ua-no" not in core.completed(document(given))


@pytest.mark.parametrize(
    ("inside", "named"),
    [
        ("<iommu model='virtio'/>", ("'virtio'", "ACPI")),
        ("<iommu model='intel'><driver intremap='on'/></iommu>", ("'intremap'",)),
    ],
)
def test_an_iommu_needs_what_finds_it(core: Any, inside: str, named: tuple[str, ...]) -> None:
    with pytest.raises(InvalidDocument) as refused:
        core.complete(document(inside, "q35"))
    assert all(word in str(refused.value) for word in named), refused.value


@pytest.mark.parametrize(
    ("module", "named"),
    [
        ("<target><size>524288</size></target>", "node"),
        ("<target><size>524288</size><node>0</node></target><address type='dimm' slot='20'/>", "'16'"),
    ],
)
def test_a_memory_module_has_its_node_and_a_slot_there_is(core: Any, module: str, named: str) -> None:
    top = "<maxMemory slots='16' unit='KiB'>4194304</maxMemory>"
    cell = "<cpu><numa><cell id='0' cpus='0' memory='1048576'/></numa></cpu>"
    text = document(f"<memory model='dimm'>{module}</memory>")
    text = text.replace("<memory>65536</memory>", f"{top}<memory>1048576</memory>{cell}")
    with pytest.raises(InvalidDocument) as refused:
        core.complete(text)
    assert named in str(refused.value)


def test_lent_scsi_devices_bring_their_controller_before_the_built_in_ones(core: Any) -> None:
    text = core.completed(document(LENT.format(0, "")))
    assert text.index("type='scsi' index='0'") < text.index("model='pci-root'")


def test_a_mirroring_console_is_called_like_its_port(core: Any) -> None:
    text = core.completed(document("<serial type='pty'><alias name='ua-com'/></serial>"))
    assert text.count("<alias name='ua-com'/>") == 2


def test_one_digit_of_a_usb_version_is_a_tenth(core: Any) -> None:
    rules = "<redirfilter><usbdev version='2.5' allow='yes'/></redirfilter>"
    assert "version='2.50'" in core.completed(document(rules))


@pytest.mark.parametrize(
    ("tag", "given", "ports"),
    [
        ("serial", ("", "port='1'"), "21"),
        ("serial", ("type='isa-serial'", "port='1'"), "01"),
        ("serial", ("", "type='isa-serial'", "type='isa-serial'"), "201"),
        ("parallel", ("", "port='1'"), "01"),
        ("parallel", ("port='1'", ""), "12"),
    ],
)
def test_ports_are_numbered_as_libvirt_does(core: Any, tag: str, given: tuple[str, ...], ports: str) -> None:
    inside = "".join(f"<{tag} type='pty'><target {words}/></{tag}>" for words in given)
    done = core.complete(document(inside)).domain
    assert "".join(str(port.target.port) for port in getattr(done.devices, tag)) == ports
