"""What the two ends of a migration tell each other through a client that does not look: a small document of our own.

`leaving` and `arriving` write and read cookies. What a later version adds, an earlier one passes over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from lxml import etree

from domicile.base.errors import InvalidDocument, InvalidRequest
from domicile.host import sharing
from domicile.schema import read


@dataclass(frozen=True, slots=True)
class CopiedDisk:
    """A disk whose content travels, too: its target, how big it is and how much of it is used, in bytes, and its format."""

    target: str
    capacity: int = 0
    format: str = "raw"
    used: int = 0


@dataclass(frozen=True, slots=True)
class Cookie:
    """One end's word to the other.

    `host` is the daemon's identity and `boot` the kernel's; `contacts` are URIs under which it can be asked later. `holder`
    and `generation` are a claim, `persistent` a definition, `names` the devices' names by their place, `owners` who has files when no machine does, `disks` are copied
    to `nbd_port` (or `nbd_socket`), `figures` a job's, `stopped` and `sent` moments in seconds since 1970, `ran` whether the guest ran.
    """

    token: str
    host: str = ""
    hostname: str = ""
    boot: str = ""
    contacts: tuple[str, ...] = ()
    holder: str = ""
    generation: int = 0
    shared: bool = False
    ran: bool = True
    persistent: str = ""
    names: tuple[tuple[str, str], ...] = ()
    owners: tuple[tuple[str, tuple[int, int]], ...] = ()
    disks: tuple[CopiedDisk, ...] = ()
    nbd_port: int = 0
    nbd_socket: str = ""
    figures: Mapping[str, int] = field(default_factory=dict)
    stopped: float = 0.0
    sent: float = 0.0

    def write(self) -> bytes:
        """Give it as it travels."""
        root = etree.Element("domicile-migration", token=self.token)
        etree.SubElement(root, "host", uuid=self.host, name=self.hostname, boot=self.boot)
        for uri in self.contacts:
            etree.SubElement(root, "contact", uri=uri)
        etree.SubElement(
            root, "claim", holder=self.holder, generation=str(self.generation), shared="yes" if self.shared else "no"
        )
        etree.SubElement(
            root, "guest", ran="yes" if self.ran else "no", stopped=repr(self.stopped), sent=repr(self.sent)
        )
        if self.persistent:
            etree.SubElement(root, "persistent").text = self.persistent
        for place, name in self.names:
            etree.SubElement(root, "device", place=place, name=name)
        for path, (uid, gid) in self.owners:
            etree.SubElement(root, "owner", path=path, uid=str(uid), gid=str(gid))
        if self.disks or self.nbd_port or self.nbd_socket:
            copies = etree.SubElement(root, "nbd", port=str(self.nbd_port), socket=self.nbd_socket)
            for disk in self.disks:
                words = {"target": disk.target, "format": disk.format, "capacity": str(disk.capacity), "used": str(disk.used)}
                etree.SubElement(copies, "disk", words)
        if self.figures:
            job = etree.SubElement(root, "job")
            for name, value in self.figures.items():
                etree.SubElement(job, "figure", name=name, value=str(value))
        return etree.tostring(root)

    @classmethod
    def read(cls, data: bytes) -> Self:
        """Read one. Raises: InvalidRequest where it is none of ours."""
        try:
            root = read.parse(data.rstrip(b"\0").decode())
        except (InvalidDocument, UnicodeDecodeError) as error:
            raise InvalidRequest(f"the migration's cookie cannot be read: {error}") from error
        if root.tag != "domicile-migration" or not root.get("token"):
            raise InvalidRequest(
                f"the migration's cookie begins with <{root.tag}>; the other end is no Domicile, and only Domicile can be migrated with"
            )
        host, claim, guest, nbd = (_child(root, tag) for tag in ("host", "claim", "guest", "nbd"))
        try:
            return cls(
                token=root.get("token", ""), host=host.get("uuid", ""), hostname=host.get("name", ""), boot=host.get("boot", ""),
                contacts=tuple(each.get("uri", "") for each in root.iterfind("contact")),
                holder=claim.get("holder", ""), generation=int(claim.get("generation", "0")), shared=claim.get("shared") == "yes",
                ran=guest.get("ran") != "no", stopped=float(guest.get("stopped", "0")), sent=float(guest.get("sent", "0")),
                persistent=root.findtext("persistent") or "",
                names=tuple((each.get("place", ""), each.get("name", "")) for each in root.iterfind("device")),
                owners=tuple(
                    (each.get("path", ""), (int(each.get("uid", "0")), int(each.get("gid", "0"))))
                    for each in root.iterfind("owner")
                ),
                disks=tuple(
                    CopiedDisk(each.get("target", ""), int(each.get("capacity", "0")), each.get("format", "raw"), int(each.get("used", "0")))
                    for each in nbd.iterfind("disk")
                ),
                nbd_port=int(nbd.get("port", "0")), nbd_socket=nbd.get("socket", ""),
                figures={each.get("name", ""): int(each.get("value", "0")) for each in root.iterfind("job/figure")},
            )  # fmt: skip
        except ValueError as error:
            raise InvalidRequest(f"the migration's cookie holds a number that is none: {error}") from error


def _child(root: etree._Element, tag: str) -> etree._Element:
    found = root.find(tag)
    return found if found is not None else etree.Element(tag)


def measured(told: Cookie, received: float, resumed: float) -> dict[str, int]:
    """Add to the source's figures what passed since it told them; clocks of one kernel agree, those of two may not."""
    figures = dict(told.figures)
    same = told.boot == sharing.boot_id()
    since = resumed - (told.sent if same and 0 < told.sent <= resumed else received)
    if told.stopped and told.sent:
        still = max(0.0, told.sent - told.stopped)
        figures["downtime"] = int(1000 * (still + since))
        figures["downtime_net"] = int(1000 * (still + resumed - received))
    figures["time_elapsed_net"] = figures.get("time_elapsed", 0) + int(1000 * (resumed - received))
    figures["time_elapsed"] = figures.get("time_elapsed", 0) + int(1000 * since)
    return figures
