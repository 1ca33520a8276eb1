"""What devices of one family may not be beside each other, and what they need of other families."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain, count, islice
from operator import attrgetter
from typing import Any, cast

from domicile.base.errors import XML_ERROR
from domicile.devices import FAMILIES, audio, hostdev, memory, panic, tpm, video, watchdog
from domicile.devices.console import Console, mirrors
from domicile.devices.controller import Controller, pci_checks
from domicile.devices.disk import Disk, tuning_checks
from domicile.devices.filesystem import Filesystem
from domicile.devices.graphics import complete as graphics
from domicile.devices.graphics.model import Graphics
from domicile.devices.input import Input
from domicile.devices.interface import Interface
from domicile.devices.iommu import Iommu
from domicile.devices.parts import threads as mapped
from domicile.devices.parts.chardev import wants_spice
from domicile.devices.parts.device import Device, UnassignedAddress
from domicile.devices.smartcard import Smartcard
from domicile.devices.sound import Sound
from domicile.domain.domain import DeviceLists, Domain
from domicile.domain.rules import scsi
from domicile.domain.rules.checks import MAX_THREADS
from domicile.plan.facts import Completion


def as_given(domain: Domain, c: Completion) -> None:
    """Check what only the document as it was written shows, before anything is filled in."""
    if domain.devices is not None:
        for display in domain.devices.of(Graphics):
            graphics.check_mirrors(display, c)


def check(domain: Domain, c: Completion) -> None:
    """Check each family as a whole."""
    devices = domain.devices
    if devices is None:
        return
    displays = devices.of(Graphics)
    graphics.check_together(displays, c)
    video.check_together(devices.of(video.Video), c)
    audio.check_together(devices.of(audio.Audio), c)
    backends = {backend.id for backend in devices.of(audio.Audio)}
    named = [(display.shape.tag, display.audio) for display in displays]
    named += [(card.shape.tag, card.audio) for card in devices.of(Sound)]
    for tag, reference in named:
        if reference is not None and reference.id is not None and reference.id not in backends:
            message = f"<{tag}> plays through the audio backend '{reference.id}', which is not there"
            c.problem(reference, message, "the id of an <audio>", "@id")
    if not any(display.type == "spice" for display in displays):
        for backend in devices.of(audio.Audio):
            if backend.type == "spice":
                c.problem(backend, "audio of type 'spice' needs a display of type 'spice'", "type='none'", "@type")
    for device in devices.every():
        if isinstance(device.address, UnassignedAddress) and not isinstance(device, hostdev.Hostdev):
            message = f"<{device.shape.tag}> has an address of type 'unassigned', which only host devices have"
            c.problem(device.address, message, "another type, or no <address>", "@type")
    _disks(domain, c)
    numa = domain.cpu.numa if domain.cpu is not None else None
    pci_checks.check_together(devices.of(Controller), len(numa.cell) if numa is not None else 0, c)
    memory.check_together(devices.of(memory.MemoryDevice), c)
    hostdev.check_together(devices.of(hostdev.Hostdev), bool(displays), c)
    scsi.check(devices, c)
    watchdog.check_together(devices.of(watchdog.Watchdog), c)
    panic.check_together(devices.of(panic.Panic), c)
    tpm.check_together(devices.of(tpm.Tpm), c)
    for unit in devices.of(Iommu):
        if unit.model == "virtio" and (domain.features is None or not domain.features.acpi):
            c.problem(
                unit, "IOMMU model 'virtio' needs <acpi/> in <features>", "<features><acpi/></features>", "@model"
            )
    _spice(domain, any(display.type == "spice" for display in displays), c)
    _inputs(domain, c)
    for card in devices.of(Smartcard)[1:]:
        c.problem(card, "there is more than one <smartcard>", "one, in the first reader")
    for rule in redirections.usbdev if (redirections := getattr(devices, "redirfilter", None)) is not None else ():
        if rule.allow is None:
            c.problem(rule, "element 'usbdev' has no attribute 'allow'", "yes, no", "@allow", XML_ERROR)
    split = (
        domain.features is not None and domain.features.ioapic is not None and domain.features.ioapic.driver == "qemu"
    )
    for iommu in devices.of(Iommu):
        if iommu.driver is not None and iommu.driver.intremap and not split:
            message = "'intremap' of an IOMMU needs an I/O APIC that QEMU imitates"
            c.problem(iommu.driver, message, "<features><ioapic driver='qemu'/></features>", "@intremap")
    acpi = domain.features is not None and domain.features.acpi
    for iommu in devices.of(Iommu):
        if iommu.model == "virtio" and not acpi:
            c.problem(
                iommu, "IOMMU model 'virtio' is found by ACPI alone, which is off", "<features><acpi/></features>"
            )
    _names(domain, c)
    _shared_memory(domain, c)
    for console in devices.of(Console)[1:]:
        if mirrors(console):
            c.problem(console, "only the first <console> can be of target type 'serial'", "virtio", "target/@type")


def _spice(domain: Domain, present: bool, c: Completion) -> None:
    assert domain.devices is not None
    if present:
        return
    for device in chain.from_iterable(_spicy(domain.devices)):
        kind = device.type  # type: ignore[attr-defined]
        if kind in _SPICY and wants_spice(cast("Any", device)):
            c.problem(
                device,
                f"<{device.shape.tag}> of type '{kind}' needs a display of type 'spice'",
                "<graphics type='spice'/>",
                "@type",
            )


_SPICY = ("spicevmc", "spiceport")
# The families of which there are devices of these types.
_spicy: Callable[[DeviceLists], tuple[list[Device], ...]] = attrgetter(
    *(
        family.tag
        for family in FAMILIES
        if (kind := family.element.shape.by_slot.get("type")) is not None
        and (not kind.scalar.values or not set(kind.scalar.values).isdisjoint(_SPICY))
    )
)


def _disks(domain: Domain, c: Completion) -> None:
    assert domain.devices is not None
    groups = domain.throttlegroups.throttlegroup if domain.throttlegroups is not None else []
    names: set[str | None] = set()
    for group in groups:
        if group.group_name is None or group.group_name in names:
            name = group.group_name or ""
            c.problem(group, f"a <throttlegroup> has the 'group_name' '{name}'", "a name of its own", "group_name")
        names.add(group.group_name)
        tuning_checks.check_limits(group, f"throttle group '{group.group_name}'", c)
    named = [thread.id for thread in domain.iothreadids.iothread] if domain.iothreadids is not None else []
    threads = {number for number in named if number is not None}
    free = (number for number in count(1) if number not in threads)
    threads |= set(islice(free, max(min(domain.iothreads or 0, MAX_THREADS) - len(named), 0)))
    tuning_checks.check_together(domain.devices.of(Disk), groups, threads, c)
    for controller in domain.devices.of(Controller):
        for number in mapped.named(controller.driver) if controller.driver is not None else []:
            if number is not None and number not in threads:
                what = f"I/O thread '{number}' of {controller.type} controller '{controller.index}' does not exist"
                c.problem(controller.driver, what, "one of <iothreadids>", "@iothread")


_SHARED = "<memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>"


def _shared_memory(domain: Domain, c: Completion) -> None:
    """What a process beside QEMU serves reads the guest's memory, so that must be shared."""
    assert domain.devices is not None
    access = domain.memoryBacking.access if domain.memoryBacking is not None else None
    shared = access is not None and access.mode == "shared"
    cells = domain.cpu.numa.cell if domain.cpu is not None and domain.cpu.numa is not None else []
    if cells:
        shared = all(cell.memAccess == "shared" or (cell.memAccess is None and shared) for cell in cells)
    if shared:
        return
    for filesystem in domain.devices.of(Filesystem):
        if filesystem.virtiofs:
            c.problem(filesystem, "'virtiofs' needs memory that is shared", _SHARED, "driver/@type")
    for disk in domain.devices.of(Disk):
        if disk.type == "vhostuser":
            c.problem(disk, "a disk of type 'vhostuser' needs memory that is shared", _SHARED, "@type")
    for interface in domain.devices.of(Interface):
        if interface.type == "vhostuser" and interface.backend is not None and interface.backend.type == "passt":
            message = "an 'interface' that passt serves by vhost-user needs memory that is shared"
            c.problem(interface, message, _SHARED, "@type")


def _names(domain: Domain, c: Completion) -> None:
    """Find names of the owner's own that two devices have."""
    assert domain.devices is not None
    seen: set[str] = set()
    for device in domain.devices.every():
        if device.alias is None:
            continue
        name = device.alias.name
        mirror = isinstance(device, Console) and mirrors(device)
        if name and name in seen and not mirror:
            c.problem(device, f"the alias '{name}' is used for more than one device", "each alias once", "alias/@name")
        seen.add(name)


def _inputs(domain: Domain, c: Completion) -> None:
    assert domain.devices is not None
    off = domain.features is not None and domain.features.ps2 is not None and domain.features.ps2.state is False
    for device in domain.devices.of(Input):
        if off and device.bus == "ps2":
            c.problem(
                device, "an input on bus 'ps2' needs the feature 'ps2', which is off", "bus='usb' or 'virtio'", "@bus"
            )


__all__ = ["as_given", "check"]
