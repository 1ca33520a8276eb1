"""What tells one type of storage pool from another: what its document must say, and which formats it knows.

`pool` and `volume` read documents by it, `capabilities` lists it.
"""

from __future__ import annotations

from dataclasses import dataclass

IMAGES = (
    "none", "raw", "dir", "bochs", "cloop", "dmg", "iso", "vpc", "vdi", "fat", "vhd", "ploop", "cow", "qcow", "qcow2", "qed",
    "vmdk",
)  # fmt: skip
_FILE_SYSTEMS = (
    "auto", "ext2", "ext3", "ext4", "ufs", "iso9660", "udf", "gfs", "gfs2", "vfat", "hfs+", "xfs", "ocfs2", "vmfs",
)  # fmt: skip
_TABLES = ("unknown", "dos", "dvh", "gpt", "mac", "bsd", "pc98", "sun", "lvm2")
PARTITIONS = ("none", "linux", "fat16", "fat32", "linux-swap", "linux-lvm", "linux-raid", "extended")


@dataclass(frozen=True, slots=True)
class Kind:
    """One type of pool.

    `source` are the parts of <source> that mean something to it, `required` those that must be there. `format` is the
    source's format where none is said; `volumes` the formats of volumes, `volume` that of one that says none.
    """

    source: frozenset[str] = frozenset()
    required: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    format: str | None = None
    volumes: tuple[str, ...] = ()
    volume: str | None = None
    target: bool = True
    listed: bool = False


def _kind(parts: str, required: str = "", **options: object) -> Kind:
    return Kind(frozenset(parts.split()), tuple(required.split()), **options)  # type: ignore[arg-type]


# Source: libvirt's documentation of storage pools, and its pool-capabilities (9.0).
KINDS: dict[str, Kind] = {
    "dir": _kind("", volumes=IMAGES, volume="raw"),
    "fs": _kind("device", "device", formats=_FILE_SYSTEMS, format="auto", volumes=IMAGES, volume="raw"),
    "netfs": _kind(
        "host dir protocol", "host dir", formats=("auto", "nfs", "glusterfs", "cifs"), format="auto", volumes=IMAGES, volume="raw",
    ),
    "logical": _kind("name device", formats=("unknown", "lvm2"), format="lvm2"),
    "disk": _kind("device", "device", formats=_TABLES, format="unknown", volumes=PARTITIONS, volume="none"),
    "iscsi": _kind("host device initiator auth", "host"),
    "iscsi-direct": _kind("host device initiator auth", "host initiator", target=False),
    "scsi": _kind("adapter", "adapter"),
    "mpath": _kind(""),
    "rbd": _kind("host name auth", "host name", volumes=("raw",), volume="raw", target=False, listed=True),
    "sheepdog": _kind("host name", "host name", target=False),
    "gluster": _kind("host name dir", "host name", volumes=IMAGES, volume="raw", target=False),
    "zfs": _kind("name device"),
    "vstorage": _kind("name", volumes=IMAGES, volume="raw"),
}  # fmt: skip
