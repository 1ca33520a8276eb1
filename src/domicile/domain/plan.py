"""The plan of a whole machine: everything to ask of QEMU and of the host, each with the element it came from.

Called by service when a machine starts, by `argv` and `explain`. Pure: it works on a copy of the definition.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from domicile.devices import BY_TAG, FAMILIES
from domicile.devices.controller import Controller
from domicile.devices.disk import Disk
from domicile.devices.disk.plan import throttle_group
from domicile.devices.interface import Interface, plan_hostdev
from domicile.devices.parts.device import Device, DriveAddress
from domicile.devices.redirdev import filter_words
from domicile.domain import aliases, flash, machine_options, namespace
from domicile.domain.address import zpci
from domicile.domain.domain import DeviceLists, Domain
from domicile.domain.options import memory
from domicile.plan.capabilities import Capabilities
from domicile.plan.facts import Planning
from domicile.plan.host import Host
from domicile.plan.need import File, Need
from domicile.plan.qemu import Item, Keyed, Option, Structured
from domicile.schema import tree
from domicile.schema.shape import Element

# The order of families on QEMU's command line; the guest sees it, so it never changes. Observed with libvirt 9.0.
ORDER = (
    "memory", "hub", "disk", "filesystem", "interface", "smartcard", "serial", "parallel", "channel", "console", "tpm", "input",
    "audio", "graphics", "video", "sound", "watchdog", "redirdev", "hostdev", "memballoon", "rng", "nvram", "panic",
    "shmem", "vsock", "crypto", "pstore", "lease",
)  # fmt: skip
_CONTROLLERS = ("pci", "usb", "scsi", "ide", "fdc", "sata", "virtio-serial", "ccid")
_BEFORE = ("iommu",)
# What came to the list of families later stands behind all others, in its order there.
_LATER = tuple(family.tag for family in FAMILIES if family.tag not in (*ORDER, *_BEFORE, "controller"))


@dataclass(frozen=True, slots=True)
class Plan:
    """What a machine asks for; `domain` is the copy whose devices have their names."""

    domain: Domain
    binary: str
    items: tuple[Item, ...]
    needs: tuple[Need, ...]


def plan_domain(domain: Domain, caps: Capabilities, host: Host, *, number: int = -1) -> Plan:
    """Plan a completed domain; `number` is the id it will run under."""
    named: Domain = tree.copy(domain)
    p = planning(named, caps, host, number)
    devices = named.devices
    assert devices is not None
    aliases.assign(devices, p)
    items: list[Item] = []
    needs: list[Need] = []
    once: set[Option] = set()
    helpers: set[str] = set()
    wishes = _wishes(named, devices, p)
    if named.qemu_override is not None:
        wishes = namespace.overridden(named, wishes)
    for wish in wishes:
        if isinstance(wish, Need):
            needs.append(wish)
        elif isinstance(wish, Option) and wish.flag == "-watchdog-action":
            # One action for all watchdogs; every watchdog says it.
            if not any(other.value == wish.value for other in once):
                items.append(wish)
            once.add(wish)
        elif isinstance(wish, Structured) and wish.props.get("qom-type") == "pr-manager-helper":
            # One helper for all disks whose reservations are managed; every one of them says it.
            if wish.props["id"] not in helpers:
                items.append(wish)
            helpers.add(wish.props["id"])
        else:
            items.append(wish)
    return Plan(named, devices.emulator or caps.binary, tuple(items), tuple(needs))


def _wishes(domain: Domain, devices: DeviceLists, p: Planning) -> Iterator[Item | Need]:
    yield Keyed("-name", (("guest", domain.name), ("debug-threads", True)), origin="name")
    yield from namespace.deprecation(domain)
    yield Option("-S")
    yield from flash.wishes(domain, p)
    yield from machine_options.options(domain, p)
    yield Option("-no-user-config")
    yield Option("-nodefaults")
    yield Keyed(
        "-chardev", (("", "socket"), ("id", "charmonitor"), ("fd", "{fd:monitor}"), ("server", True), ("wait", False))
    )
    yield Keyed("-mon", (("chardev", "charmonitor"), ("id", "monitor"), ("mode", "control")))
    yield from machine_options.after_monitor(domain, p)
    yield from _kernel_files(domain)
    yield from flash.tables(domain)
    yield from flash.secure(domain)
    if domain.throttlegroups is not None:
        for group in domain.throttlegroups.throttlegroup:
            yield throttle_group(group, p.origin(group))
    for tag in _BEFORE:
        yield from _family(tag, getattr(devices, tag, ()), p)
    controllers = devices.of(Controller)
    floppies = {d.address.controller for d in devices.of(Disk) if _is_floppy(d) and isinstance(d.address, DriveAddress)}
    for kind in _CONTROLLERS:
        there = [k for k in controllers if k.type == kind and (kind != "fdc" or k.index in floppies)]
        yield from _family("controller", there, p)
    for tag in (*ORDER, *_LATER):
        if tag == "hostdev":
            for interface in devices.of(Interface):
                yield from plan_hostdev(interface, p)
        if tag == "panic":
            yield from machine_options.core_dumps(domain)
        yield from _family(tag, getattr(devices, tag, ()), p)
    yield from namespace.arguments(domain)
    if p.host.settings.sandbox:
        deny = tuple((word, "deny") for word in ("obsolete", "elevateprivileges", "spawn", "resourcecontrol"))
        yield Keyed("-sandbox", (("", "on"), *deny))
    yield Keyed("-msg", (("timestamp", True),))


def _family(tag: str, devices: Iterable[Device], p: Planning) -> Iterator[Item | Need]:
    family = BY_TAG.get(tag)
    for device in devices:
        if family is not None:
            yield from zpci.told(device, family.plan(device, p), p)


def _kernel_files(domain: Domain) -> Iterator[Need]:
    os = domain.os
    if os is not None:
        for slot in ("kernel", "initrd", "dtb", "shim"):
            path = getattr(os, slot)
            if path:
                yield File(path, writable=False, origin=f"os/{slot}")


def planning(domain: Domain, caps: Capabilities, host: Host, number: int) -> Planning:
    """Make the facts that devices plan with."""
    assert domain.os is not None and domain.os.type is not None and domain.devices is not None
    kind = domain.os.type
    origins = {id(element): path for path, element in tree.places(domain)}
    orders = _boot_indices(domain)
    name = domain.name or ""

    p = Planning(
        arch=kind.arch or "", machine=kind.machine or "", accel=domain.type or "qemu", os_type=kind.value or "hvm", caps=caps, host=host,
    )  # fmt: skip
    p.name, p.uuid, p.short_name = name, domain.uuid or "", f"{number}-{name[:20]}"
    p.origin = lambda element: origins.get(id(element), "")
    p.boot_index = lambda element: orders.get(id(element))
    pci = {k.index or 0: k for k in domain.devices.of(Controller) if k.type == "pci"}
    p.pci_bus = lambda index: _pci_bus(pci.get(index), index, p)
    floppies = {
        d.address.unit: d for d in domain.devices.of(Disk) if _is_floppy(d) and isinstance(d.address, DriveAddress)
    }
    p.floppy_boot = lambda unit: orders.get(id(floppies.get(unit)))
    controllers = {(k.type, k.index or 0): k for k in domain.devices.of(Controller) if k.master is None}

    def model(kind: str, index: int) -> str | None:
        found = controllers.get((kind, index))
        return found.model if found is not None else None

    usual = p.controller

    def called(kind: str, index: int) -> str:
        """Name a controller; those the chipset has built in are called as QEMU calls them."""
        found = controllers.get((kind, index))
        if (kind, index) == ("sata", 0) and p.q35:
            return "ide"
        given = found.alias.name if found is not None and found.alias is not None else ""
        return given or usual(kind, index)

    p.controller, p.controller_model = called, model
    p.audio = _audio(domain)
    given = getattr(domain.devices, "redirfilter", None)
    p.usb_filter = filter_words(given) if given is not None else None
    p.backing = memory.backing(domain, host)
    return p


def _pci_bus(controller: Controller | None, index: int, p: Planning) -> str:
    """Say how QEMU calls the bus behind a PCI controller: as the controller, but for those behind further host bridges."""
    if not index:
        return p.board.pci_bus or ("pcie.0" if p.pcie else "pci.0")
    name = controller.alias.name if controller is not None and controller.alias is not None else f"pci.{index}"
    return f"{name}.0" if controller is not None and controller.model == "pci-root" else name


def _audio(domain: Domain) -> Callable[[int | None], str | None]:
    backends = [a.id for a in getattr(domain.devices, "audio", ())]

    def audio(wanted: int | None) -> str | None:
        if wanted is not None:
            return f"audio{wanted}"
        return f"audio{backends[0]}" if backends else None

    return audio


def _is_floppy(disk: Disk) -> bool:
    return disk.target is not None and disk.target.bus == "fdc"


def _boot_indices(domain: Domain) -> dict[int, int]:
    """Say each device's turn: its own, or the one its kind has in <os>."""
    devices = domain.devices
    assert devices is not None
    orders: dict[int, int] = {}
    for device in devices.every():
        if device.boot is not None and device.boot.order is not None:
            orders[id(device)] = device.boot.order
    if orders or domain.os is None:
        return orders
    for turn, boot in enumerate(domain.os.boot, 1):
        first = _first(devices, boot.dev or "")
        if first is not None:
            orders.setdefault(id(first), turn)
    return orders


def _first(devices: DeviceLists, kind: str) -> Element | None:
    if kind == "network":
        return next(iter(getattr(devices, "interface", ())), None)
    wanted = {"hd": ("disk", "lun"), "cdrom": ("cdrom",), "fd": ("floppy",)}.get(kind, ())
    return next((d for d in devices.of(Disk) if d.device in wanted), None)
