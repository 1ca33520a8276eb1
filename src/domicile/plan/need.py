"""What a machine needs of the host before QEMU starts, as values.

Device slices return these from `plan` beside their QEMU items; host/ fulfils them and takes them back.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from domicile.plan.qemu import Command, Props


@dataclass(frozen=True, slots=True)
class Need:
    """Something of the host; `origin` is the path of the element that needs it."""

    origin: str = field(default="", kw_only=True)


@dataclass(frozen=True, slots=True)
class Tap(Need):
    """A tap device on a bridge, handed to QEMU as an open descriptor for each of its queues.

    ``token`` stands in the plan's values as ``{fd:token}`` and is replaced by the descriptor's number; as ``{fds:token}`` by
    the numbers of all queues, joined by colons. With `vhost`, the kernel moves the packets of each queue, and
    ``{fd:token-vhost}`` stands for its end.

    Without a `bridge` it stands alone: `script` is run with its name once it is up, `downscript` before it goes, and
    `addresses` (``ADDRESS/PREFIX``) are the host's on it; one that is not `managed` is there already and stays. `isolated`
    keeps it apart from the other isolated ports of its bridge; `vlans` are the bridge's, each with whether untagged frames
    are on it. `switch` is the kind of switch where it is no plain bridge, and `port` what it is known by there. `mtu` is in
    bytes, 0 for the bridge's; `frames` are gathered before the guest is told, 0 for the kernel's.

    `filter` names the network filter its packets pass, with values of its variables.
    """

    token: str
    bridge: str
    mac: str
    kind: str = "bridge"
    network: str = ""
    name: str = ""
    link_up: bool = True
    queues: int = 1
    vhost: bool = False
    isolated: bool = False
    vlans: tuple[tuple[int, bool], ...] = ()
    switch: str = ""
    port: str = ""
    mtu: int = 0
    frames: int = 0
    managed: bool = True
    script: str = ""
    downscript: str = ""
    addresses: tuple[str, ...] = ()
    filter: str = ""
    parameters: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Macvtap(Need):
    """A second face of a device of the host, handed to QEMU as an open descriptor for each of its queues, as a tap is.

    `mode` says who hears whom among those on the same `device`: vepa, bridge, private or passthrough. `mark` is written on
    it, so that nothing else is ever removed in its place.
    """

    token: str
    device: str
    mode: str
    mac: str
    name: str = ""
    link_up: bool = True
    queues: int = 1
    vhost: bool = False
    vlans: tuple[tuple[int, bool], ...] = ()
    mark: str = ""
    filter: str = ""


@dataclass(frozen=True, slots=True)
class Port(Need):
    """A TCP port of the host for a display: a fixed one, or one from a range.

    ``token`` stands in the plan's values as ``{port:token}``; a VNC display number is ``{display:token}``.
    """

    token: str
    fixed: int | None = None
    low: int = 5900
    high: int = 65535
    address: str = ""


@dataclass(frozen=True, slots=True)
class File(Need):
    """A file or block device QEMU opens itself: it must exist and be readable (and writable) by QEMU's user."""

    path: str
    writable: bool


@dataclass(frozen=True, slots=True)
class NewFile(File):
    """A file that is made, `size` bytes long and empty, where it is not there yet, and kept ever after."""

    size: int


@dataclass(frozen=True, slots=True)
class Opened(Need):
    """A file the daemon opens for writing and hands to QEMU, which could not reach or create it itself.

    ``token`` stands in the plan's values as ``{fd:token}``; the file is emptied first where `truncate` says so.
    """

    token: str
    path: str
    truncate: bool


@dataclass(frozen=True, slots=True)
class OpenDevice(Need):
    """A device of the host that the daemon opens for reading and writing and hands to QEMU.

    ``token`` stands in the plan's values as ``{fd:token}``.
    """

    token: str
    path: str


@dataclass(frozen=True, slots=True)
class LentDevice(Need):
    """A device of the host that a machine has for itself, through VFIO: of PCI, by its address, or `mediated`, by its UUID.

    One that is `managed` is taken from its driver and given back to it; `driver` is the kernel's module that hands it over
    where that is not vfio-pci. `owner` is the machine's name, for others who want it.
    """

    device: str
    managed: bool = False
    driver: str = ""
    mediated: bool = False
    owner: str = ""


@dataclass(frozen=True, slots=True)
class VirtualFunction(Need):
    """A virtual function of a network card, set up by the card's own driver: its hardware address, and its VLAN, 0 for none."""

    device: str
    mac: str
    vlan: int = 0


@dataclass(frozen=True, slots=True)
class FdGroup(Need):
    """Descriptors that a client opened for an image and gave under the name `group`.

    ``{fd:token}`` stands for one that was opened for what the machine does with it; where that is writing,
    ``{fd:token-reading}`` for one that was opened for reading.
    """

    token: str
    group: str
    writable: bool = True


@dataclass(frozen=True, slots=True)
class HostTpm(Need):
    """The host's TPM, opened by the daemon as ``{fd:token}``, and the file that breaks off its work as ``{fd:token-cancel}``."""

    token: str
    path: str


@dataclass(frozen=True, slots=True)
class ScsiGeneric(Need):
    """A SCSI device of the host, known by ``HOST:BUS:TARGET:UNIT``; ``{sg:…}`` stands for the name of its node."""

    token: str
    writable: bool


@dataclass(frozen=True, slots=True)
class Directory(Need):
    """A directory that must exist for QEMU's user."""

    path: str


@dataclass(frozen=True, slots=True)
class Helper(Need):
    """A program that runs beside QEMU, as QEMU's user: started before it, ended with it.

    `name` is unique in the machine, ``argv[0]`` a program that is looked for, `socket` where it listens once QEMU may start.
    Where its words hold ``{fd:socket}``, it is given a socket that listens there already; with a `token`, it is given one
    end of a pair, and ``{fd:token}`` stands for QEMU's. `directories` must be there for it, `prepare` are programs that run
    to their end before. One that is `rooted` wants to be root, and is so in a namespace of its own.
    """

    name: str
    argv: tuple[str, ...]
    socket: str
    directories: tuple[str, ...] = ()
    prepare: tuple[tuple[str, ...], ...] = ()
    token: str = ""
    rooted: bool = False


@dataclass(frozen=True, slots=True)
class Copied(Need):
    """A file of the machine's own that is made from a template before its first start and kept ever after."""

    path: str
    template: str


@dataclass(frozen=True, slots=True)
class DisplayPassword(Command):
    """The command that gives a display its password: never on a command line, never shown."""

    arguments: Props = field(repr=False)
