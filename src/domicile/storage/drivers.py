"""Which driver does the work of which type of pool. The service asks."""

from __future__ import annotations

from domicile.storage.directory import Directory, Mounted
from domicile.storage.driver import LACKING, Driver, Missing
from domicile.storage.logical import Logical

DRIVERS: dict[str, Driver] = {
    "dir": Directory(),
    "fs": Mounted(),
    "netfs": Mounted(),
    "logical": Logical(),
    **{name: Missing(name) for name in LACKING},
}
