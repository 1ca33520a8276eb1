"""What completion promises whatever the machine: it ends, completing twice changes nothing, and nothing that has a place moves."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from domicile.base.errors import InvalidDocument
from domicile.devices.parts.device import PciAddress
from domicile.domain import document
from domicile.domain.domain import Domain

MANY = settings(max_examples=60, deadline=None, database=None, derandomize=True)
SEED = st.integers(0, 2**64)
FILLED = ("defaulted", "allocated", "added")
MACHINES = ("pc", "q35", "pc-i440fx-5.2", "pc-q35-6.0")
#: Machines of other architectures, each with what only it has.
ELSEWHERE = (
    ("ppc64", "pseries"), ("ppc64", "powernv9"), ("ppc64", "mac99"), ("aarch64", "virt"), ("aarch64", "virt-4.2"),
    ("armv7l", "vexpress-a9"), ("aarch64", "versatilepb"), ("riscv64", "virt"), ("loongarch64", "virt"),
)  # fmt: skip
OWN = {
    "pseries": (
        "<interface type='user'><model type='spapr-vlan'/></interface>",
        "<controller type='scsi' model='ibmvscsi'/>",
        "<controller type='pci' model='pci-root'/>",
        "<serial type='pty'><target type='spapr-vio-serial'/></serial>",
        "<nvram/>",
        "<panic model='pseries'/>",
        "<tpm model='tpm-spapr'><backend type='emulator' version='2.0'/></tpm>",
    )
}

DISKS = (
    "<disk type='file'><source file='/i/{n}'/><target dev='vd{letter}' bus='virtio'/></disk>",
    "<disk type='file'><source file='/i/{n}'/><target dev='sd{letter}' bus='scsi'/></disk>",
    "<disk type='file'><source file='/i/{n}'/><target dev='sd{letter}' bus='sata'/></disk>",
    "<disk type='file'><source file='/i/{n}'/><target dev='sd{letter}' bus='usb'/></disk>",
    "<disk type='file' device='cdrom'><target dev='sd{letter}' bus='sata'/></disk>",
)
OTHERS = (
    "<interface type='bridge'><source bridge='br0'/><model type='virtio'/></interface>",
    "<interface type='user'/>",
    "<interface type='user'><model type='e1000e'/></interface>",
    "<serial type='pty'/>",
    "<console type='pty'/>",
    "<console type='pty'><target type='virtio'/></console>",
    "<channel type='unix'><target type='virtio' name='org.example.{n}'/></channel>",
    "<channel type='pty'><target type='virtio' name='org.example.{n}'/></channel>",
    "<input type='tablet' bus='usb'/>",
    "<input type='keyboard' bus='virtio'/>",
    "<video><model type='qxl'/></video>",
    "<video><model type='virtio'/></video>",
    "<sound model='ac97'/>",
    "<sound model='ich9'/>",
    "<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>",
    "<hostdev type='pci'><source><address bus='{n}' slot='1'/></source></hostdev>",
    "<hostdev type='usb'><source><vendor id='0x1'/><product id='{n}'/></source></hostdev>",
    "<hostdev type='scsi'><source><adapter name='scsi_host0'/><address bus='0' target='{n}' unit='0'/></source></hostdev>",
    "<redirdev bus='usb' type='tcp'><source mode='connect' host='h' service='4000'/></redirdev>",
    "<hub type='usb'/>",
    "<shmem name='s{n}'><model type='ivshmem-plain'/><size unit='M'>4</size></shmem>",
    "<filesystem><source dir='/e'/><target dir='t{n}'/></filesystem>",
    "<controller type='scsi' model='virtio-scsi'/>",
    "<controller type='virtio-serial'/>",
    "<controller type='usb' model='qemu-xhci'/>",
    "<memballoon model='virtio'/>",
    "<watchdog model='i6300esb' action='reset'/>",
    "<graphics type='vnc'/>",
    "<graphics type='spice' autoport='yes'/>",
    "<vsock model='virtio'><cid auto='no' address='3'/></vsock>",
    "<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>",
    "<panic model='isa'/>",
)  # fmt: skip
ONCE = ("<nvram", "<graphics", "<memballoon", "<watchdog", "<vsock", "<tpm", "<panic", "<sound model='ich9'")


def device(random: Random, number: int, own: tuple[str, ...] = ()) -> str:
    letter = chr(ord("a") + number % 26)
    return random.choice((*DISKS, *OTHERS, *OTHERS, *own, *own)).format(n=number, letter=letter)


def devices(random: Random, most: int = 12, own: tuple[str, ...] = ()) -> list[str]:
    made: list[str] = []
    for number in range(1, random.randint(0, most) + 1):
        xml = device(random, number, own)
        if not any(xml.startswith(word) and any(o.startswith(word) for o in made) for word in ONCE):
            made.append(xml)
    return made


def turn(controller: Any) -> tuple[object, ...]:
    return controller.type, controller.index, controller.model


def settled(domain: Domain) -> str:
    """Write a domain without what libvirt (and so we) settles the second time only: the order of controllers, console numbers."""
    assert domain.devices is not None
    domain.devices.controller.sort(key=turn)  # type: ignore[attr-defined]
    for console in domain.devices.console:  # type: ignore[attr-defined]
        console.target.port = None
    return document.write(domain)


def completed(core: Any, xml: str) -> Domain | None:
    """Complete a document; None where it is refused, which some mixtures deserve."""
    try:
        domain: Domain = core.complete(xml).domain
    except InvalidDocument as refused:
        assert refused.problems
        return None
    return domain


def addresses(domain: Domain) -> dict[str, str]:
    """Say where each device is that a guest could find elsewhere afterwards, by what makes it this device."""
    found: dict[str, str] = {}
    counts: dict[str, int] = {}
    assert domain.devices is not None
    for item in domain.devices.every():
        if item.address is None:
            continue
        kind = f"{item.shape.tag} {getattr(item, 'type', '')} {getattr(item, 'index', '')} {getattr(item, 'model', '')}"
        counts[kind] = counts.get(kind, 0) + 1
        target = getattr(item, "target", None)
        name = getattr(target, "dev", None) or getattr(target, "name", None) or counts[kind]
        # Function 0 may learn that there are more functions now; it stays where it is.
        place = replace(item.address, multifunction=None) if isinstance(item.address, PciAddress) else item.address
        found[f"{kind} {name}"] = repr(place)
    return found


def places(domain: Domain) -> list[tuple[object, ...]]:
    assert domain.devices is not None
    given = [
        item.address for item in domain.devices.every() if isinstance(item.address, PciAddress) and item.address.given
    ]
    return [(a.domain, a.bus, a.slot, a.function) for a in given]


def check(
    core: Any, sketch: Callable[..., str], seed: int, examine: Callable[[Random, Any, list[str], Domain], None]
) -> None:
    random = Random(seed)
    machine, made = random.choice(MACHINES), devices(random)
    domain = completed(core, sketch("".join(made), machine=machine))
    if domain is not None:
        examine(random, core, made, domain)
    arch, machine = random.choice(ELSEWHERE)
    made = devices(random, 8, OWN.get(machine, ()))
    xml = sketch("".join(made), machine=machine, arch=arch)
    domain = completed(core.meant(xml), xml)
    if domain is not None:
        examine(random, core.meant(xml), made, domain)


@MANY
@given(seed=SEED)
def test_completing_twice_changes_nothing(core: Any, sketch: Callable[..., str], seed: int) -> None:
    def examine(random: Random, core: Any, made: list[str], domain: Domain) -> None:
        again = core.complete(document.write(domain))
        assert [entry for entry in again.report if entry.kind in FILLED] == []
        stable = document.write(again.domain)
        assert settled(again.domain) == settled(domain)
        assert core.completed(stable) == stable

    check(core, sketch, seed, examine)


@MANY
@given(seed=SEED)
def test_no_two_devices_share_a_pci_function(core: Any, sketch: Callable[..., str], seed: int) -> None:
    def examine(random: Random, core: Any, made: list[str], domain: Domain) -> None:
        taken = places(domain)
        assert len(taken) == len(set(taken))

    check(core, sketch, seed, examine)


@MANY
@given(seed=SEED)
def test_a_device_more_moves_no_other(core: Any, sketch: Callable[..., str], seed: int) -> None:
    def examine(random: Random, core: Any, made: list[str], domain: Domain) -> None:
        before = addresses(domain)
        new = random.choice((*DISKS[:1], *OTHERS)).format(n=99, letter="z")
        text = document.write(domain).replace("</devices>", f"{new}</devices>")
        grown = completed(core, text)
        if grown is not None:
            after = addresses(grown)
            assert {key: after.get(key) for key in before} == before, new

    check(core, sketch, seed, examine)


@MANY
@given(seed=SEED)
def test_what_is_completed_can_be_planned(core: Any, sketch: Callable[..., str], seed: int) -> None:
    def examine(random: Random, core: Any, made: list[str], domain: Domain) -> None:
        text = document.write(domain)
        arguments = core.arguments(text)
        ids: list[str] = []
        for argument in arguments:
            if argument.words[0] == "-device":
                props = json.loads(argument.words[1])
                ids += [props["id"]] if "id" in props and props.get("masterbus") is None else []
        assert len(ids) == len(set(ids)), sorted(ids)
        assert document.write(domain) == text

    check(core, sketch, seed, examine)


def test_most_mixtures_are_accepted(core: Any, sketch: Callable[..., str]) -> None:
    """The properties above say something only if most documents come through."""
    taken = 0
    for seed in range(60):
        random = Random(seed)
        taken += completed(core, sketch("".join(devices(random)), machine=random.choice(MACHINES))) is not None
    assert taken > 40, taken


def test_many_mixtures_are_accepted_elsewhere(core: Any, sketch: Callable[..., str]) -> None:
    taken = {machine: 0 for _, machine in ELSEWHERE}
    for seed in range(180):
        random = Random(seed)
        arch, machine = ELSEWHERE[seed % len(ELSEWHERE)]
        xml = sketch("".join(devices(random, 8, OWN.get(machine, ()))), machine=machine, arch=arch)
        taken[machine] += completed(core.meant(xml), xml) is not None
    assert all(count > 5 for count in taken.values()), taken
