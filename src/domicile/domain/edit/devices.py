"""Devices that come, go and change in a domain's document. Pure; called by service for what is stored and for what runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from domicile.base.errors import (
    CONFIG_UNSUPPORTED,
    FROM_DOMAIN,
    INTERNAL_ERROR,
    INVALID_ARG,
    OPERATION_FAILED,
    XML_ERROR,
    InvalidDocument,
    InvalidRequest,
    NotFound,
    Unsupported,
    WrongState,
)
from domicile.devices import BY_TAG
from domicile.devices.console import Console
from domicile.devices.controller import Controller
from domicile.devices.disk import Disk
from domicile.devices.filesystem import Filesystem
from domicile.devices.graphics.model import Graphics
from domicile.devices.hostdev import Hostdev
from domicile.devices.interface import Interface
from domicile.devices.lease import Lease
from domicile.devices.parts.device import Device
from domicile.domain.domain import Devices, Domain
from domicile.domain.rules import controllers
from domicile.schema import read as reading
from domicile.schema.shape import Element

D = TypeVar("D", bound=Device)
DEVICE_MISSING = 99
OPERATION_UNSUPPORTED = 84
# What a stored definition can be given and deprived of one by one.
_STORED = (
    "disk", "interface", "sound", "hostdev", "lease", "controller", "serial", "parallel", "console", "channel", "filesystem",
    "rng", "memory", "redirdev", "shmem", "watchdog", "input", "vsock",
)  # fmt: skip
# Of these a domain has at most one.
_SINGLE = ("watchdog", "vsock")
_TERMINALS = ("serial", "parallel", "console", "channel")
# The kind of error by which a missing device is told; the usual one is "device not found".
_MISSING = {**dict.fromkeys(_TERMINALS, INVALID_ARG), "vsock": OPERATION_FAILED}


def parse(xml: str) -> Device:
    """Read one device. Raises: InvalidDocument where it is none, or says what cannot be."""
    root = reading.parse(xml)
    family = BY_TAG.get(str(root.tag))
    if family is None:
        raise Unsupported(
            f"unknown device type '{root.tag}'; accepted are {', '.join(sorted(BY_TAG))}", domain=FROM_DOMAIN
        )
    reader = reading.Reader()
    device: Device = reader.element(family.element.shape, root)
    wrong = [problem for problem in reader.problems if problem.severity == "error"]
    if wrong:
        raise InvalidDocument(wrong)
    return device


def lists(domain: Domain) -> Any:
    """Give the lists of a domain's devices."""
    if domain.devices is None:
        domain.devices = Devices()
    return domain.devices


def siblings(domain: Domain, device: D) -> list[D]:
    """List a domain's devices of the same family."""
    found: list[D] = getattr(lists(domain), device.shape.tag)
    return found


def target(disk: Disk) -> str:
    """Name a disk as the guest's owner does."""
    return (disk.target.dev if disk.target is not None else None) or ""


def insert(domain: Domain, device: Device) -> None:
    """Add a device to a stored definition. Raises: WrongState where one like it is there, Unsupported."""
    tag, others = device.shape.tag, siblings(domain, device)
    if not alone(device):
        raise Unsupported(
            f"persistent attach of device '{tag}' is not supported; accepted are {', '.join(_STORED)}",
            code=OPERATION_UNSUPPORTED,
        )
    taken = _taken(device, others)
    if taken:
        raise WrongState(taken)
    place(domain, device)


def alone(device: Device) -> bool:
    """Whether a stored definition can be given such a device alone."""
    mirrors = isinstance(device, Console) and (device.target is None or device.target.type in (None, "serial"))
    return device.shape.tag in _STORED and not mirrors


def place(domain: Domain, device: Device) -> None:
    """Put a device among its kind."""
    if isinstance(device, Controller):
        controllers.insert(siblings(domain, device), device)
    else:
        siblings(domain, device).append(device)


def _taken(device: Device, others: list[Any]) -> str:
    """Say what stands in the place of a new device; nothing, mostly."""
    if isinstance(device, Disk):
        name = target(device)
        return f"target {name} already exists" if name and any(target(each) == name for each in others) else ""
    if isinstance(device, Controller) and device.index is not None:
        same = any((each.type, each.index) == (device.type, device.index) for each in others)
        return f"controller index='{device.index}' already exists" if same else ""
    if isinstance(device, Filesystem):
        there = {_text(each.target) for each in others}
        return "Target already exists" if device.target is not None and _text(device.target) in there else ""
    if isinstance(device, Lease):
        same = any((each.lockspace, each.key) == (device.lockspace, device.key) for each in others)
        return f"lease '{device.key}' already exists" if same else ""
    if device.shape.tag in _TERMINALS:
        port = _port(device)
        return (
            f"a {device.shape.tag} with target {port!r} already exists" if port in map(_port, others) and port else ""
        )
    if isinstance(device, Hostdev):
        return "device is already in the domain configuration" if any(covers(device, each) for each in others) else ""
    if device.shape.tag in _SINGLE and others:
        return f"the domain has a device '{device.shape.tag}' already"
    return ""


def _port(device: Any) -> object:
    """Say by what a terminal is known to the guest; nothing where that was left open."""
    name, number = getattr(device.target, "name", None), getattr(device.target, "port", None)
    return name if device.shape.tag == "channel" else "" if number is None else f"{number}"


def _text(element: Element | None) -> str:
    return "" if element is None else repr(element)


# Finding one again.


def covers(wanted: Element, found: Element, *, leave: tuple[str, ...] = ("alias", "address", "boot")) -> bool:
    """Whether all that is said of `wanted` is so of `found`, which may say more."""
    for declared in wanted.shape.fields:
        slot = declared.slot
        value, other = getattr(wanted, slot), getattr(found, slot, None)
        if value is None or value == [] or value is False or slot in leave:
            continue
        if isinstance(value, Element):
            if not isinstance(other, Element) or type(other) is not type(value) or not covers(value, other, leave=()):
                return False
        elif isinstance(value, list):
            if not isinstance(other, list) or len(other) != len(value):
                return False
            for mine, theirs in zip(value, other, strict=True):
                if isinstance(mine, Element) and not (isinstance(theirs, Element) and covers(mine, theirs, leave=())):
                    return False
        elif declared.kind != "raw" and value != other:
            return False
    return True


def find(domain: Domain, wanted: D) -> D:
    """Find the device a client means. Raises: NotFound, or InvalidRequest where it might be several."""
    others = siblings(domain, wanted)
    finder: Callable[[Any, list[Any]], list[Any]] = _FINDERS.get(wanted.shape.tag, _alike)
    found = finder(wanted, others)
    sure = isinstance(wanted, Interface)
    if wanted.alias is not None and wanted.alias.name and (sure or len(found) > 1):
        found = [each for each in found if each.alias is not None and each.alias.name == wanted.alias.name]
    if wanted.address is not None and (sure or len(found) > 1):
        found = [each for each in found if each.address is not None and covers(wanted.address, each.address, leave=())]
    if not found:
        code = _MISSING.get(wanted.shape.tag, DEVICE_MISSING)
        raise NotFound(f"no {_named(wanted)} found", code=code)
    if len(found) > 1 and isinstance(wanted, Interface):
        raise InvalidRequest(
            f"multiple devices match {_named(wanted)}; its <address> would say which", code=OPERATION_FAILED
        )
    return found[0]  # type: ignore[no-any-return]


def _named(device: Device) -> str:
    if isinstance(device, Disk):
        return f"disk with target '{target(device)}'"
    if isinstance(device, Interface) and device.mac is not None:
        return f"device matching MAC address {device.mac.address}"
    return f"device '{device.shape.tag}' like that"


def _disks(wanted: Disk, others: list[Disk]) -> list[Disk]:
    return [each for each in others if target(each) == target(wanted)]


def _interfaces(wanted: Interface, others: list[Interface]) -> list[Interface]:
    mac = wanted.mac.address if wanted.mac is not None else None
    return [each for each in others if mac is None or (each.mac is not None and each.mac.address == mac)]


def _controllers(wanted: Controller, others: list[Controller]) -> list[Controller]:
    return [each for each in others if (each.type, each.index) == (wanted.type, wanted.index)]


def _filesystems(wanted: Filesystem, others: list[Filesystem]) -> list[Filesystem]:
    return [each for each in others if _text(each.target) == _text(wanted.target)]


def _hostdevs(wanted: Hostdev, others: list[Hostdev]) -> list[Hostdev]:
    leave = ("alias", "address", "boot", "managed", "driver", "rom", "teaming")
    return [each for each in others if covers(wanted, each, leave=leave)]


def _alike(wanted: Device, others: list[Device]) -> list[Device]:
    return [each for each in others if covers(wanted, each)]


def _terminals(wanted: Device, others: list[Device]) -> list[Device]:
    return [each for each in others if covers(wanted, each) and _port(wanted) == _port(each)]


_FINDERS: dict[str, Callable[[Any, list[Any]], list[Any]]] = {
    "disk": _disks, "interface": _interfaces, "controller": _controllers, "filesystem": _filesystems, "hostdev": _hostdevs,
    **dict.fromkeys(_TERMINALS, _terminals),
}  # fmt: skip


def named(domain: Domain, alias: str) -> Device:
    """Find a device by its name. Raises: NotFound."""
    for device in lists(domain).every():
        if device.alias is not None and device.alias.name == alias:
            return device  # type: ignore[no-any-return]
    raise NotFound(f"no device found with alias {alias}", code=INTERNAL_ERROR)


def remove(domain: Domain, device: Device) -> None:
    """Take a device out of a document."""
    others = siblings(domain, device)
    others[:] = [each for each in others if each is not device]


def detach(domain: Domain, wanted: Device) -> None:
    """Take a device out of a stored definition. Raises: NotFound, Unsupported."""
    tag = wanted.shape.tag
    if not alone(wanted):
        raise Unsupported(
            f"persistent detach of device '{tag}' is not supported; accepted are {', '.join(_STORED)}",
            code=OPERATION_UNSUPPORTED,
        )
    remove(domain, find(domain, wanted))


def update(domain: Domain, wanted: Device) -> None:
    """Put a device in the place of its like in a stored definition. Raises: NotFound, InvalidRequest, Unsupported."""
    found = updated(domain, wanted, "persistent")
    others = siblings(domain, wanted)
    if wanted.address is None and _same_place(wanted, found):
        wanted.address = found.address
    others[[each is found for each in others].index(True)] = wanted


def _same_place(wanted: Device, found: Device) -> bool:
    if isinstance(wanted, Disk) and isinstance(found, Disk):
        bus = wanted.target.bus if wanted.target is not None else None
        return bus is None or (found.target is not None and bus == found.target.bus)
    return True


def updated(domain: Domain, wanted: D, whose: str) -> D:
    """Find what an update is for. Raises: NotFound, InvalidRequest, Unsupported."""
    live = whose == "live"
    if isinstance(wanted, Disk):
        try:
            return find(domain, wanted)
        except NotFound:
            code = INTERNAL_ERROR if live else INVALID_ARG
            raise InvalidRequest(f"target {target(wanted)} doesn't exist", code=code) from None
    if isinstance(wanted, Graphics):
        for each in siblings(domain, wanted):
            if each.type == wanted.type:
                return each
        words = f"cannot find existing graphics type '{wanted.type}' device to modify"
        raise InvalidRequest(words, code=DEVICE_MISSING if live else INVALID_ARG)
    if isinstance(wanted, Interface):
        return find(domain, wanted)
    if wanted.shape.tag == "memory":
        try:
            return find(domain, wanted)
        except NotFound as fault:
            raise InvalidRequest(fault.message) from None
    words = f"{whose} update of device '{wanted.shape.tag}' is not supported; accepted are disk, graphics, interface"
    raise Unsupported(words, code=CONFIG_UNSUPPORTED if live else OPERATION_UNSUPPORTED)


def duplicate(name: str) -> InvalidRequest:
    """Make the refusal of a second disk of one name in a running machine."""
    return InvalidRequest(f"target '{name}' duplicated for disk sources", code=XML_ERROR)
