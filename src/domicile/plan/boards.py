"""What is true of a kind of machine, whichever QEMU runs it: one table by architecture and machine type.

`plan/facts.Facts.board` gives the line of a machine; device slices and domain/rules read it and never ask for a name.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

#: Models in the order in which they are preferred, each with the QEMU device it needs ("" where that need not be asked).
Preferences = tuple[tuple[str, str], ...]

X86 = ("x86_64", "i686")
S390 = ("s390", "s390x")
PPC64 = ("ppc64", "ppc64le")
ARM32 = ("armv6l", "armv7l", "armv7b")
ARM = (*ARM32, "aarch64")
RISCV = ("riscv32", "riscv64")

_LEGACY_USB: Preferences = (("piix3-uhci", "piix3-usb-uhci"),)
_XHCI: Preferences = (("qemu-xhci", "qemu-xhci"), ("nec-xhci", "nec-usb-xhci"))
_OHCI: Preferences = (("pci-ohci", "pci-ohci"),)
_PC_CARDS: Preferences = (("cirrus", "cirrus-vga"), ("vga", "VGA"))
_PC_NETWORK: Preferences = (("rtl8139", "rtl8139"), ("e1000", "e1000"), ("virtio", "virtio-net-pci"))
_PC_SCSI: Preferences = (
    ("lsilogic", "lsi"), ("lsilogic", "lsi53c895a"), ("virtio-scsi", "virtio-scsi-pci"), ("virtio-scsi", ""),
)  # fmt: skip
_VIRTIO: Preferences = (("virtio", ""),)
_VIRTIO_SCSI: Preferences = (("virtio-scsi", ""),)
_LAN9118: Preferences = (("lan9118", ""),)
_TCG = ("qemu",)
_PIECES = 256 * 1024
#: SPARC workstations with an ESP chip for their disks.
_SUN4M = ("LX", "SPARCClassic", "SPARCbook", "SS-10", "SS-20", "SS-4", "SS-5", "SS-600MP", "Voyager")

_WITH_IDE = ("i440fx", "isapc", "x86", "g3beige", "g3beige-64")


@dataclass(frozen=True, slots=True)
class Board:
    """One kind of machine.

    `machines` are names of machine types; one that ends with - or . stands for all that begin so, none at all for every
    machine type of these architectures. `virtio` is the kind of address that virtio devices get.
    """

    name: str
    archs: tuple[str, ...] = ()
    machines: tuple[str, ...] = ()
    #: The model of PCI controller 0, and the QEMU device without which there is none.
    pci_root: str = ""
    pci_needs: str = ""
    #: Whether places on PCI are given out at all, and whether there may be several host bridges.
    pci_placed: bool = True
    pci_roots: bool = False
    #: The bus behind it in QEMU's words, where that is not called by the controller's alias.
    pci_bus: str = ""
    virtio: str = "pci"
    #: The usual model of a USB controller, and that of the one that is there unless the owner names another.
    usb: Preferences = ()
    usb_added: Preferences = ()
    #: What a USB controller without model and address is, where that has no usual model.
    usb_vague: str = ""
    #: Both for a document that is no new definition, where a guest that was made long ago must not find another one.
    usb_of_old: Preferences = ()
    #: The usual models of other devices.
    scsi: Preferences = _PC_SCSI
    network: Preferences = _PC_NETWORK
    video: Preferences = _PC_CARDS
    #: The pieces in which the machine takes memory, in KiB, where they are larger than usual.
    memory_unit: int = 0
    #: The usual target type of serial ports, and the chip of ports that are part of the board.
    serial: str = ""
    serial_chip: str = ""
    #: The usual model of a panic notifier, and whether the machine always has it.
    panic: str = ""
    panic_added: bool = False
    balloon: bool = False
    #: The CPU mode where KVM's own CPU is the default.
    host_cpu: str = "host-passthrough"
    #: The bus of keyboards and mice; "ps2" says that the machine has both built in. Those that a display brings.
    input: str = "usb"
    input_added: tuple[str, ...] = ()
    tpm: str = "tpm-tis"
    #: The domain types for which the machine's own CPU is written down. What KVM runs on ARM and its like is the host's.
    cpu_written: tuple[str, ...] = ("qemu", "kvm")

    @property
    def esp(self) -> bool:
        """Whether it has a SCSI controller built in."""
        return any(model == "ncr53c90" for model, _ in self.scsi)

    @property
    def ide(self) -> bool:
        """Whether it has, or can have, a bus of IDE disks."""
        return self.name in _WITH_IDE

    def holds(self, arch: str, machine: str) -> bool:
        """Say whether a machine is of this kind."""
        if self.archs and arch not in self.archs:
            return False
        return not self.machines or any(
            machine.startswith(name) if name[-1] in "-." else machine == name for name in self.machines
        )


# The first line that holds counts. Source: libvirt's documentation of its defaults; observed with libvirt 9.0 and 11.3.
BOARDS = (
    Board(
        "q35", X86, ("q35", "pc-q35-"), pci_root="pcie-root", usb=_LEGACY_USB, usb_added=(("qemu-xhci", "qemu-xhci"), *_LEGACY_USB),
        serial="isa-serial", panic="isa", balloon=True, input="ps2",
    ),
    Board(
        "i440fx", X86, ("pc", "pc-i440fx-", "pc-0.", "pc-1.", "rhel5.", "rhel6."), pci_root="pci-root", usb=_LEGACY_USB, usb_added=_LEGACY_USB,
        serial="isa-serial", panic="isa", balloon=True, input="ps2",
    ),
    Board(
        "microvm", X86, ("microvm",), usb=_LEGACY_USB, serial="isa-serial", panic="isa", balloon=True,
    ),
    Board(
        "isapc", X86, ("isapc", "none"), usb=_LEGACY_USB, serial="isa-serial", panic="isa", balloon=True, input="ps2",
    ),
    Board(
        "x86", X86, pci_root="pci-root", usb=_LEGACY_USB, usb_added=_LEGACY_USB, serial="isa-serial", panic="isa", balloon=True,
        input="ps2",
    ),
    Board(
        "s390-ccw", S390, ("s390-ccw-virtio", "s390-ccw-virtio-", "s390-ccw"), pci_root="pci-root", pci_needs="zpci", virtio="ccw",
        scsi=_VIRTIO_SCSI, network=_VIRTIO, video=_VIRTIO, serial="sclp-serial", panic="s390", panic_added=True, balloon=True,
        input="virtio", usb_vague="none", host_cpu="host-model",
    ),
    Board("s390", S390, network=_VIRTIO, video=_VIRTIO, serial="sclp-serial", panic="s390", panic_added=True, input="virtio",
        usb_vague="none", host_cpu="host-model"),
    Board(
        "pseries", PPC64, ("pseries", "pseries-"), pci_root="pci-root", pci_roots=True, usb=(*_XHCI, *_OHCI), usb_added=(*_XHCI, *_OHCI),
        usb_of_old=_OHCI, scsi=(("ibmvscsi", ""),), video=(("vga", ""),), serial="spapr-vio-serial", panic="pseries",
        panic_added=True, balloon=True, input_added=("keyboard", "mouse"), tpm="tpm-spapr", memory_unit=_PIECES,
    ),
    Board(
        "g3beige-64", PPC64, ("g3beige",), pci_root="pci-root", usb=(*_XHCI, *_OHCI), usb_added=(*_XHCI, *_OHCI), usb_of_old=_OHCI,
        video=(("vga", ""),), balloon=True, input_added=("keyboard", "mouse"), tpm="tpm-spapr", memory_unit=_PIECES,
    ),
    Board(
        "ppc64", PPC64, pci_root="pci-root", usb=(*_XHCI, *_OHCI), usb_added=(*_XHCI, *_OHCI), usb_of_old=_OHCI,
        video=(("vga", ""),), balloon=True, input_added=("keyboard", "mouse"), tpm="tpm-spapr", memory_unit=_PIECES,
    ),
    Board(
        "g3beige", ("ppc",), ("g3beige",), pci_root="pci-root", usb=_LEGACY_USB, usb_added=_LEGACY_USB, balloon=True, cpu_written=(),
    ),
    Board("ppc", ("ppc",), pci_root="pci-root", usb=_LEGACY_USB, usb_added=_LEGACY_USB, balloon=True, cpu_written=()),
    Board(
        "arm-virt", ("aarch64",), ("virt", "virt-"), pci_root="pcie-root", usb=_XHCI, network=_VIRTIO, video=_VIRTIO,
        serial="system-serial", serial_chip="pl011", cpu_written=_TCG,
    ),
    Board(
        "arm32-virt", ARM32, ("virt", "virt-"), pci_root="pcie-root", usb=_LEGACY_USB, network=_VIRTIO, video=_VIRTIO,
        serial="system-serial", serial_chip="pl011", cpu_written=_TCG,
    ),
    Board("vexpress", ("aarch64",), ("vexpress-",), pci_placed=False, virtio="virtio-mmio", usb=_XHCI, network=_LAN9118, cpu_written=_TCG),
    Board("vexpress32", ARM32, ("vexpress-",), pci_placed=False, virtio="virtio-mmio", usb=_LEGACY_USB, network=_LAN9118, cpu_written=_TCG),
    Board(
        "versatilepb", ("aarch64",), ("versatilepb",), pci_root="pci-root", pci_bus="pci", usb=_XHCI, usb_added=_OHCI,
        network=(("smc91c111", ""),), cpu_written=_TCG,
    ),
    Board(
        "versatilepb32", ARM32, ("versatilepb",), pci_root="pci-root", pci_bus="pci", usb=_LEGACY_USB, usb_added=_OHCI,
        network=(("smc91c111", ""),), cpu_written=_TCG,
    ),
    Board(
        "realview-eb", ("aarch64",), ("realview-eb", "realview-eb-"), pci_root="pci-root", pci_placed=False, usb=_XHCI, usb_added=_OHCI,
        network=_LAN9118, cpu_written=_TCG,
    ),
    Board(
        "realview-eb32", ARM32, ("realview-eb", "realview-eb-"), pci_root="pci-root", pci_placed=False, usb=_LEGACY_USB, usb_added=_OHCI,
        network=_LAN9118, cpu_written=_TCG,
    ),
    Board("aarch64", ("aarch64",), pci_placed=False, usb=_XHCI, network=_LAN9118, cpu_written=_TCG),
    Board("arm32", ARM32, pci_placed=False, usb=_LEGACY_USB, network=_LAN9118, cpu_written=_TCG),
    Board(
        "riscv-virt", RISCV, ("virt", "virt-"), pci_root="pcie-root", usb=_LEGACY_USB, network=_VIRTIO, video=_VIRTIO,
        serial="system-serial", serial_chip="16550a", balloon=True, cpu_written=_TCG,
    ),
    Board("riscv", RISCV, pci_placed=False, usb=_LEGACY_USB, balloon=True, cpu_written=_TCG),
    Board(
        "loongarch-virt", ("loongarch64",), ("virt", "virt-"), pci_root="pcie-root", usb=_XHCI[:1], scsi=_VIRTIO_SCSI,
        network=_VIRTIO, video=_VIRTIO, serial="system-serial", serial_chip="16550a", cpu_written=_TCG,
    ),
    Board("loongarch", ("loongarch64",), pci_placed=False, usb=_XHCI[:1], cpu_written=_TCG),
    Board("sun4m", ("sparc",), _SUN4M, usb=_LEGACY_USB, scsi=(("ncr53c90", ""),), cpu_written=_TCG),
    Board("sparc", ("sparc",), usb=_LEGACY_USB, cpu_written=_TCG),
    Board("other", cpu_written=_TCG),
)  # fmt: skip


# What the emulator of an architecture runs beside it.
_RUNS = {"x86_64": ("i686",), "aarch64": ("armv7l",), "armv7l": ("armv6l",), "ppc64": ("ppc64le",)}


# CPU models that QEMU calls in small letters and libvirt does not.
_POWER = {
    name.lower(): name
    for name in ("POWER6", "POWER7", "POWER8", "POWER9", "POWER10", "POWER11", "POWERPC_e5500", "POWERPC_e6500")
}


def cpu_name(name: str, arch: str) -> str:
    """Name a CPU model of QEMU's as documents do."""
    return _POWER.get(name.lower(), name) if arch in PPC64 else name


def runs(arch: str) -> tuple[str, ...]:
    """Name the architectures of guests that an emulator of this one runs."""
    return arch, *_RUNS.get(arch, ())


@lru_cache(maxsize=1024)
def board(arch: str, machine: str) -> Board:
    """Find what kind of machine a machine type of an architecture is."""
    return next(line for line in BOARDS if line.holds(arch, machine))
