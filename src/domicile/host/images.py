"""What identifies an image wherever it is reached from: the same for each host, mount and link. The service asks.

Files of a shared file system are known by server and path, disks by the name they carry themselves; what only this host
has is known by its running kernel: whatever has it ends with that.
Source: proc_pid_mountinfo(5), the kernel's Documentation/ABI/testing/sysfs-block.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path, PurePosixPath

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_MOUNTS = Path("/proc/self/mountinfo")
# File systems that other hosts may have mounted, too, by the name of their source.
_SERVED = frozenset({
    "nfs", "nfs4", "cifs", "smb3", "ceph", "glusterfs", "fuse.glusterfs", "fuse.sshfs", "lustre", "beegfs", "afs", "fuse.ceph",
    "fuse.moosefs", "fuse.juicefs",
})  # fmt: skip
# File systems on a disk that several hosts may have at once.
_CLUSTERED = frozenset({"gfs2", "ocfs2", "gpfs"})


def identity(path: str) -> str:
    """Say what identifies the image at a path, whether it is there or not."""
    real = os.path.realpath(path)
    try:
        facts = Path(real).stat()
    except OSError:
        return _shared(real) or f"path:{_boot()}:{real}"
    if stat.S_ISBLK(facts.st_mode):
        return block(facts.st_rdev)
    shared = _shared(real)
    return shared or f"file:{_boot()}:{facts.st_dev}:{facts.st_ino}"


def block(device: int) -> str:
    """Say what identifies a block device, by its number."""
    home = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}")
    mapped = _text(home / "dm/uuid")
    if mapped:
        return f"dm:{mapped}"
    part = _text(home / "partition")
    whole = home.resolve().parent if part else home
    for place in ("device/wwid", "wwid"):
        name = _text(whole / place)
        if name:
            return f"disk:{name}" + (f":{part}" if part else "")
    return f"block:{_boot()}:{os.major(device)}:{os.minor(device)}"


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _boot() -> str:
    return _text(_BOOT)


def _shared(real: str) -> str | None:
    """Say what identifies a file of a file system that other hosts have, too; None on one of this host's own."""
    mount = _mount(real)
    if mount is None:
        return None
    root, point, kind, source = mount
    below = PurePosixPath(real).relative_to(point)
    inside = str(PurePosixPath(root) / below)
    if kind in _SERVED:
        family = {"nfs4": "nfs", "smb3": "cifs"}.get(kind, kind)
        return f"{family}:{source.rstrip('/')}{inside}"
    if kind in _CLUSTERED:
        return f"{kind}:{block(Path(source).stat().st_rdev)}{inside}"
    return None


def _mount(real: str) -> tuple[str, str, str, str] | None:
    """Find the mount that a path is on: the root in its file system, where it is, its type, its source."""
    found: tuple[str, str, str, str] | None = None
    for line in _MOUNTS.read_text().splitlines():
        fields = line.split(" ")
        end = fields.index("-")
        root, point, kind, source = (_plain(fields[n]) for n in (3, 4, end + 1, end + 2))
        inside = point == "/" or real == point or real.startswith(f"{point}/")
        # The later of two at one place lies on top.
        if inside and (found is None or len(point) >= len(found[1])):
            found = root, point, kind, source
    return found


def _plain(text: str) -> str:
    return (
        text.encode().decode("unicode_escape").encode("latin-1").decode(errors="surrogateescape")
        if "\\" in text
        else text
    )
