"""What a device slice may ask while it completes, checks and plans: the machine it is part of, the QEMU, the host.

domain/complete and domain/plan make these and hand them to the slices; a slice sees nothing else of the domain.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from domicile.base.errors import CONFIG_UNSUPPORTED
from domicile.base.problem import Problem
from domicile.plan.backing import Backing
from domicile.plan.capabilities import Capabilities
from domicile.plan.host import Host
from domicile.schema.shape import Element


@dataclass(slots=True)
class Why:
    """A reason in both languages of the product. Not frozen: a completion makes a hundred, and freezing triples their cost."""

    en: str
    zh: str


@dataclass(slots=True)
class Facts:
    """The machine around a device: its architecture, machine type, accelerator and emulator."""

    arch: str
    machine: str
    accel: str
    os_type: str
    caps: Capabilities
    host: Host

    @property
    def x86(self) -> bool:
        """Whether the guest is a PC."""
        return self.arch in ("x86_64", "i686")

    @property
    def q35(self) -> bool:
        """Whether the machine is a PC with PCI Express."""
        return self.x86 and (self.machine == "q35" or self.machine.startswith("pc-q35-"))

    @property
    def i440fx(self) -> bool:
        """Whether the machine is a PC with plain PCI."""
        name = self.machine
        return self.x86 and (name == "pc" or name.startswith(("pc-i440fx-", "pc-0.", "pc-1.", "rhel")))

    @property
    def s390(self) -> bool:
        """Whether the machine is an s390 with channel devices."""
        return self.arch in ("s390", "s390x") and self.machine.startswith("s390-ccw")

    @property
    def pseries(self) -> bool:
        """Whether the machine is a pSeries."""
        return self.arch in ("ppc64", "ppc64le") and (self.machine == "pseries" or self.machine.startswith("pseries-"))

    @property
    def arm_virt(self) -> bool:
        """Whether the machine is ARM's virt board."""
        return self.arch in ("aarch64", "armv6l", "armv7l", "armv7b") and (
            self.machine == "virt" or self.machine.startswith("virt-")
        )

    @property
    def riscv_virt(self) -> bool:
        """Whether the machine is RISC-V's virt board."""
        return self.arch in ("riscv32", "riscv64") and (self.machine == "virt" or self.machine.startswith("virt-"))

    @property
    def loongarch_virt(self) -> bool:
        """Whether the machine is LoongArch's virt board."""
        return self.arch == "loongarch64" and (self.machine == "virt" or self.machine.startswith("virt-"))

    @property
    def pcie(self) -> bool:
        """Whether the root bus is PCI Express."""
        return self.q35 or self.arm_virt or self.riscv_virt or self.loongarch_virt

    @property
    def pci(self) -> bool:
        """Whether the machine has any PCI bus."""
        return (
            self.pcie
            or self.i440fx
            or self.pseries
            or (
                self.arch in ("x86_64", "i686")
                and self.machine != "isapc"
                and (self.machine != "microvm" and self.machine != "none")
            )
        )


@dataclass(slots=True)
class Note:
    """One thing completion did: which slot of which element it filled, how and why."""

    element: Element
    slot: str
    kind: str
    why: Why


@dataclass(slots=True)
class Completion(Facts):
    """Facts, and what completing and checking find: notes of what was filled in, problems of what is wrong."""

    notes: list[Note] = field(default_factory=list)
    found: list[tuple[Element | None, str, Problem]] = field(default_factory=list)
    parents: dict[int, str] = field(default_factory=dict)

    def default(self, element: Element, slot: str, value: Any, en: str, zh: str) -> None:
        """Fill in a slot its owner left open, and say why with this value."""
        setattr(element, slot, value)
        self.notes.append(Note(element, slot, "defaulted", Why(en, zh)))

    def allocate(self, element: Element, slot: str, value: Any, en: str, zh: str) -> None:
        """Fill in something that had to be given out (an address, a MAC, an index), and say why."""
        setattr(element, slot, value)
        self.notes.append(Note(element, slot, "allocated", Why(en, zh)))

    def add(self, element: Element, en: str, zh: str) -> None:
        """Note that a whole element was added that its owner did not write."""
        self.notes.append(Note(element, "", "added", Why(en, zh)))

    def problem(
        self,
        element: Element | None,
        message: str,
        accepted: str = "",
        step: str = "",
        code: int = CONFIG_UNSUPPORTED,
    ) -> None:
        """Record that something about this element is wrong.

        `step` names the field, such as ``@bus`` or ``target/@dev``; `code` is libvirt's number of the kind of error.
        """
        line = element.source_line if element is not None else 0
        self.found.append((element, step, Problem("", message, line, accepted, code=code)))


@dataclass(slots=True)
class Planning(Facts):
    """Facts, and what the rest of the machine tells a device about its place in it.

    The callables answer by what the device names: a PCI bus by its index, a USB bus by its index, an alias by element.
    """

    name: str = ""
    short_name: str = ""
    uuid: str = ""
    pci_bus: Callable[[int], str] = str
    boot_index: Callable[[Element], int | None] = lambda _element: None
    audio: Callable[[int | None], str | None] = lambda _id: None
    origin: Callable[[Element], str] = lambda _element: ""
    floppy_boot: Callable[[int], int | None] = lambda _unit: None
    controller_model: Callable[[str, int], str | None] = lambda _kind, _index: None
    backing: Backing = field(default_factory=Backing)
