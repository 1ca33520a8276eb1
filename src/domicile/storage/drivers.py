"""Which driver does the work of which type of pool. The service asks."""

from __future__ import annotations

from domicile.storage.auth import Lookup, Passwords
from domicile.storage.directory import Directory, Mounted
from domicile.storage.disk import Disk
from domicile.storage.driver import LACKING, Driver, Missing
from domicile.storage.iscsi import Iscsi
from domicile.storage.iscsi_direct import IscsiDirect
from domicile.storage.logical import Logical
from domicile.storage.mpath import Mpath
from domicile.storage.rbd import Rbd
from domicile.storage.scsi import Scsi
from domicile.storage.vstorage import Vstorage
from domicile.storage.zfs import Zfs


def drivers(lookup: Lookup) -> dict[str, Driver]:
    """Give the driver of each type; `lookup` finds the password that a pool's document refers to."""
    passwords = Passwords(lookup)
    return {
        "dir": Directory(),
        "fs": Mounted(),
        "netfs": Mounted(),
        "logical": Logical(),
        "disk": Disk(),
        "iscsi": Iscsi(passwords),
        "iscsi-direct": IscsiDirect(passwords),
        "scsi": Scsi(),
        "mpath": Mpath(),
        "rbd": Rbd(passwords),
        "zfs": Zfs(),
        "vstorage": Vstorage(),
        **{name: Missing(name) for name in LACKING},
    }
