"""What completion promises of s390x machines: numbers are given out once and stay, and completing twice changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from domicile.base.errors import InvalidDocument
from domicile.devices.parts.device import CcwAddress, PciAddress
from domicile.domain import document
from domicile.domain.domain import Domain

MANY = settings(max_examples=60, deadline=None, database=None, derandomize=True)
SEED = st.integers(0, 2**64)
FILLED = ("defaulted", "allocated", "added")
MACHINES = ("s390-ccw-virtio", "s390-ccw-virtio-5.2")
DEVICES = (
    "<disk type='file'><source file='/i/{n}'/><target dev='vd{letter}' bus='virtio'/></disk>",
    "<disk type='file'><source file='/i/{n}'/><target dev='vd{letter}' bus='virtio'/><address type='ccw'/></disk>",
    "<disk type='file'><source file='/i/{n}'/><target dev='vd{letter}' bus='virtio'/><address type='pci'/></disk>",
    "<disk type='file'><source file='/i/{n}'/><target dev='vd{letter}'/><address type='ccw' cssid='0xfe' ssid='0' devno='{n}'/></disk>",
    "<disk type='file'><source file='/i/{n}'/><target dev='sd{letter}' bus='scsi'/></disk>",
    "<disk type='file' device='cdrom'><target dev='sd{letter}'/></disk>",
    "<interface type='user'/>",
    "<interface type='bridge'><source bridge='br0'/><model type='e1000'/></interface>",
    "<serial type='pty'/>",
    "<serial type='pty'><target type='pci-serial'/></serial>",
    "<console type='pty'/>",
    "<console type='pty'><target type='virtio'/></console>",
    "<console type='pty'><target type='sclplm'/></console>",
    "<channel type='unix'><target type='virtio' name='org.example.{n}'/></channel>",
    "<input type='tablet'/>",
    "<input type='keyboard'/>",
    "<video><model type='virtio'/></video>",
    "<graphics type='vnc'/>",
    "<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>",
    "<rng model='virtio'><backend model='builtin'/><address type='pci'><zpci uid='{n}'/></address></rng>",
    "<rng model='virtio'><backend model='builtin'/><address type='pci'><zpci fid='{n}'/></address></rng>",
    "<hostdev type='pci'><source><address bus='{n}' slot='1'/></source></hostdev>",
    "<hostdev type='pci'><source><address bus='{n}' slot='2'/></source><address type='pci' bus='2' slot='{n}'/></hostdev>",
    "<hostdev type='mdev' model='vfio-ccw'><source><address uuid='00000000-0000-4000-8000-0000000000{n:02d}'/></source></hostdev>",
    "<hostdev type='mdev' model='vfio-ap'><source><address uuid='00000000-0000-4000-8000-0000000001{n:02d}'/></source></hostdev>",
    "<filesystem><source dir='/e'/><target dir='t{n}'/></filesystem>",
    "<controller type='scsi'/>",
    "<controller type='virtio-serial'/>",
    "<controller type='usb'/>",
    "<memballoon model='virtio'/>",
    "<watchdog model='i6300esb'/>",
    "<watchdog model='diag288'/>",
    "<vsock><cid auto='yes'/></vsock>",
    "<crypto model='virtio' type='qemu'><backend model='builtin'/></crypto>",
    "<panic/>",
)  # fmt: skip
ONCE = (
    "<graphics", "<memballoon", "<watchdog", "<vsock", "<panic", "<controller type='usb'", "<hostdev type='mdev' model='vfio-ap",
)  # fmt: skip


def device(random: Random, number: int) -> str:
    return random.choice(DEVICES).format(n=number, letter=chr(ord("a") + number % 26))


def drawn(random: Random, sketch: Callable[..., str]) -> str:
    """Draw a machine of some devices."""
    made: list[str] = []
    for number in range(1, random.randint(0, 14) + 1):
        xml = device(random, number)
        if not any(xml.startswith(word) and any(other.startswith(word) for other in made) for word in ONCE):
            made.append(xml)
    return sketch("".join(made), arch="s390x", machine=random.choice(MACHINES))


def completed(core: Any, xml: str) -> Domain | None:
    """Complete a document; None where it is refused, which some mixtures deserve."""
    try:
        domain: Domain = core.of("s390x").complete(xml).domain
    except InvalidDocument as refused:
        assert refused.problems
        return None
    return domain


def settled(domain: Domain) -> str:
    """Write a domain without what libvirt (and so we) settles the second time only."""
    assert domain.devices is not None
    domain.devices.controller.sort(key=lambda k: (k.type, k.index, k.model))  # type: ignore[attr-defined]
    for console in domain.devices.console:  # type: ignore[attr-defined]
        console.target.port = None
    return document.write(domain)


def identities(domain: Domain) -> dict[str, Any]:
    """Say by what the guest knows each device, under the device's own name."""
    found: dict[str, Any] = {}
    counts: dict[str, int] = {}
    assert domain.devices is not None
    for item in domain.devices.every():
        # A console with a place on PCI is another name of its serial port.
        if isinstance(item.address, CcwAddress | PciAddress) and item.shape.tag != "console":
            kind = f"{item.shape.tag} {getattr(item, 'type', '')} {getattr(item, 'index', '')}"
            counts[kind] = counts.get(kind, 0) + 1
            name = getattr(getattr(item, "target", None), "dev", None) or counts[kind]
            place = replace(item.address, multifunction=None) if isinstance(item.address, PciAddress) else item.address
            found[f"{kind} {name}"] = place
    return found


@MANY
@given(seed=SEED)
def test_completing_twice_changes_nothing(core: Any, sketch: Callable[..., str], seed: int) -> None:
    domain = completed(core, drawn(Random(seed), sketch))
    if domain is not None:
        again = core.of("s390x").complete(document.write(domain))
        assert [entry for entry in again.report if entry.kind in FILLED] == []
        assert settled(again.domain) == settled(domain)


@MANY
@given(seed=SEED)
def test_no_two_devices_share_an_identity(core: Any, sketch: Callable[..., str], seed: int) -> None:
    domain = completed(core, drawn(Random(seed), sketch))
    if domain is None:
        return
    given = list(identities(domain).values())
    channel = [(a.cssid, a.ssid, a.devno) for a in given if isinstance(a, CcwAddress)]
    slots = [(a.bus, a.slot, a.function) for a in given if isinstance(a, PciAddress)]
    numbers = [a.zpci for a in given if isinstance(a, PciAddress) and a.zpci is not None]
    for kind in (channel, slots, [z.uid for z in numbers], [z.fid for z in numbers]):
        assert len(kind) == len(set(kind)), kind
    assert all(cssid == 0xFE for cssid, _, _ in channel)


@MANY
@given(seed=SEED)
def test_a_device_more_moves_no_other(core: Any, sketch: Callable[..., str], seed: int) -> None:
    random = Random(seed)
    domain = completed(core, drawn(random, sketch))
    if domain is None:
        return
    before = identities(domain)
    grown = completed(core, document.write(domain).replace("</devices>", f"{device(random, 29)}</devices>"))
    if grown is not None:
        after = identities(grown)
        assert {key: after.get(key) for key in before} == before


def test_most_mixtures_are_accepted(core: Any, sketch: Callable[..., str]) -> None:
    """The properties above say something only if most documents come through."""
    taken = sum(completed(core, drawn(Random(seed), sketch)) is not None for seed in range(60))
    assert taken > 40, taken
