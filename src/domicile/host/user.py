"""Which unprivileged user QEMU runs as when the daemon is root.

The daemon's wiring asks once.
"""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from domicile.base.errors import HostFailure
from domicile.qemu.launch import User

#: Tried in this order when the configuration names none.
CANDIDATES = ("domicile-qemu", "libvirt-qemu", "qemu", "nobody")
_DEVICES = ("/dev/kvm", "/dev/vhost-net")


def qemu_user(configured: str | None = None) -> User | None:
    """Choose QEMU's user: the configured one, or the first that exists; None where the daemon is not root.

    ``root`` may be configured; it means that nothing is given up.

    Raises:
        HostFailure: the configured user does not exist.
    """
    if os.geteuid() != 0 or configured == "root":
        return None
    for name in (configured,) if configured else CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return User(entry.pw_uid, entry.pw_gid, _groups(name, entry.pw_gid))
    raise HostFailure(f"there is no user {configured or ' or '.join(CANDIDATES)} to run QEMU as")


def _groups(name: str, gid: int) -> tuple[int, ...]:
    """Give the user's groups and those that own the devices QEMU opens."""
    groups = set(os.getgrouplist(name, gid))
    for device in _DEVICES:
        try:
            owner = Path(device).stat()
        except OSError:
            continue
        if owner.st_mode & 0o060 == 0o060 and owner.st_gid != 0:
            groups.add(owner.st_gid)
    return tuple(sorted(groups))
