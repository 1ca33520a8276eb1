"""What a device slice may ask while it completes, checks and plans: the machine it is part of, the QEMU, the host.

domain/complete and domain/plan make these and hand them to the slices; a slice sees nothing else of the domain.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from domicile.base.errors import CONFIG_UNSUPPORTED
from domicile.base.problem import Problem
from domicile.plan import boards
from domicile.plan.backing import Backing
from domicile.plan.boards import Board, Preferences
from domicile.plan.capabilities import Capabilities
from domicile.plan.host import Host
from domicile.schema.shape import Element


@dataclass(slots=True)
class Facts:
    """The machine around a device: its architecture, machine type, accelerator and emulator.

    `mapped` says that its virtio devices are memory-mapped though it has PCI.
    """

    arch: str
    machine: str
    accel: str
    os_type: str
    caps: Capabilities
    host: Host
    mapped: bool = False
    _board: Board | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def board(self) -> Board:
        """The kind of machine: what is true of it whichever QEMU runs it."""
        found = self._board
        if found is None:  # asked a hundred times a document
            found = self._board = boards.board(self.arch, self.machine)
        return found

    @property
    def x86(self) -> bool:
        """Whether the guest is a PC."""
        return self.arch in boards.X86

    @property
    def q35(self) -> bool:
        """Whether the machine is a PC with PCI Express."""
        return self.board.name == "q35"

    @property
    def i440fx(self) -> bool:
        """Whether the machine is a PC with plain PCI."""
        return self.board.name == "i440fx"

    @property
    def s390(self) -> bool:
        """Whether the machine is an s390 with channel devices."""
        return self.board.name == "s390-ccw"

    @property
    def pseries(self) -> bool:
        """Whether the machine is a pSeries."""
        return self.board.name == "pseries"

    @property
    def arm_virt(self) -> bool:
        """Whether the machine is ARM's virt board."""
        return self.board.name in ("arm-virt", "arm32-virt")

    @property
    def riscv_virt(self) -> bool:
        """Whether the machine is RISC-V's virt board."""
        return self.board.name == "riscv-virt"

    @property
    def loongarch_virt(self) -> bool:
        """Whether the machine is LoongArch's virt board."""
        return self.board.name == "loongarch-virt"

    @property
    def pcie(self) -> bool:
        """Whether the root bus is PCI Express."""
        return self.board.pci_root == "pcie-root"

    @property
    def pci(self) -> bool:
        """Whether the machine has any PCI bus."""
        board = self.board
        return bool(board.pci_root) and (not board.pci_needs or self.caps.has_device(board.pci_needs))

    def usual(self, preferences: Preferences) -> str | None:
        """Choose the first model whose device this QEMU has."""
        return next((model for model, device in preferences if not device or self.caps.has_device(device)), None)


#: One thing completion did: the element, which slot of it, how (``defaulted``, ``allocated``, ``added``, ``kept``), and why
#: in both languages of the product. A plain tuple: a completion makes a hundred.
Note = tuple[Element, str, str, str, str]


@dataclass(slots=True)
class Completion(Facts):
    """Facts, and what completing and checking find: notes of what was filled in, problems of what is wrong."""

    notes: list[Note] = field(default_factory=list)
    found: list[tuple[Element | None, str, Problem]] = field(default_factory=list)
    parents: dict[int, str] = field(default_factory=dict)

    def default(self, element: Element, slot: str, value: Any, en: str, zh: str) -> None:
        """Fill in a slot its owner left open, and say why with this value."""
        setattr(element, slot, value)
        self.notes.append((element, slot, "defaulted", en, zh))

    def allocate(self, element: Element, slot: str, value: Any, en: str, zh: str) -> None:
        """Fill in something that had to be given out (an address, a MAC, an index), and say why."""
        setattr(element, slot, value)
        self.notes.append((element, slot, "allocated", en, zh))

    def add(self, element: Element, en: str, zh: str) -> None:
        """Note that a whole element was added that its owner did not write."""
        self.notes.append((element, "", "added", en, zh))

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

    The callables answer by what the device names: a PCI bus by its index, a controller's name by its kind and index, an alias by element.
    `usb_filter` says which USB devices may be redirected. `storage_numbers` tells, by the elements' ids, the numbers of SCSI devices of the host, which follow those of the disks.
    """

    name: str = ""
    short_name: str = ""
    uuid: str = ""
    pci_bus: Callable[[int], str] = str
    boot_index: Callable[[Element], int | None] = lambda _element: None
    audio: Callable[[int | None], str | None] = lambda _id: None
    origin: Callable[[Element], str] = lambda _element: ""
    floppy_boot: Callable[[int], int | None] = lambda _unit: None
    controller: Callable[[str, int], str] = lambda kind, index: f"{kind}{index}" if kind != "usb" or index else "usb"
    controller_model: Callable[[str, int], str | None] = lambda _kind, _index: None
    backing: Backing = field(default_factory=Backing)
    usb_filter: str | None = None
    storage_numbers: dict[int, int] = field(default_factory=dict)
