"""Which files other hosts see, too: by the kind of file system they are on. Used before a machine moves.

Source: the magic names of /proc/self/mountinfo (proc_pid_mountinfo(5)).
"""

from __future__ import annotations

import os
import re
from pathlib import Path

_NETWORK = frozenset(
    ("nfs", "nfs4", "gfs2", "ocfs2", "afs", "cifs", "smb3", "smbfs", "ceph", "gpfs", "lustre", "9p", "virtiofs", "acfs", "beegfs")
)  # fmt: skip
_NETWORK_FUSE = frozenset(
    ("fuse.glusterfs", "fuse.ceph", "fuse.quobyte", "fuse.sshfs", "fuse.mfs", "fuse.juicefs", "fuse.gpfs")
)
#: Where what one host wrote is what the other reads at once, whatever is cached.
_COHERENT = frozenset(("gfs2", "ocfs2", "ceph", "gpfs", "fuse.ceph"))
_ESCAPED = re.compile(r"\\([0-7]{3})")


def kind_of(path: str, mounts: str | None = None) -> str:
    """Name the kind of file system that a path is on, empty where it cannot be told."""
    real = os.path.realpath(path)
    text = mounts if mounts is not None else Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
    found, length = "", -1
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        place = _ESCAPED.sub(lambda match: chr(int(match[1], 8)), before.split()[4])
        # The later mount of the same place covers the earlier.
        if len(place) >= length and (real == place or real.startswith(place.rstrip("/") + "/")):
            found, length = after.split()[0], len(place)
    return found


def is_shared(kind: str) -> bool:
    """Whether a kind of file system is one that several hosts have mounted."""
    return kind in _NETWORK or kind in _NETWORK_FUSE


def is_coherent(kind: str) -> bool:
    """Whether hosts that share it need no care about caches."""
    return kind in _COHERENT


def boot_id() -> str:
    """Name this boot of this host; two daemons that give the same run on one kernel."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
