"""Which database the daemon opens, with which password, and how long it waits for one that does not answer yet.

Called by `main`, which adds the options, and by `wiring`. A password is in a file or in the environment, never among the
arguments, which every user of the host can read.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from domicile.base.errors import Unreachable
from domicile.service.paths import Paths
from domicile.service.place import password_of

if TYPE_CHECKING:
    from domicile.store.store import Store

log = structlog.get_logger(__name__)
#: Seconds a daemon waits at its start for a database that does not answer, and between two tries.
_PATIENCE, _PAUSE = 30.0, 1.0


def offer(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--database", metavar="URL", help="keep definitions there: postgresql://USER@HOST/NAME or sqlite:////PATH"
    )
    parser.add_argument(
        "--database-password-file",
        type=Path,
        metavar="FILE",
        help="the file whose first line is the database's password",
    )


def open_store(url: str, password_file: str, paths: Paths) -> Store:
    """Open the database, waiting a while for a server that is only starting, too.

    Raises: HostFailure, Unreachable, InvalidRequest
    """
    from domicile.store.store import Store  # takes 0.2 s, which `--version` needs not wait for

    password = password_of(Path(password_file)) if password_file else None
    end = time.monotonic() + _PATIENCE
    told = False
    while True:
        try:
            return Store.open(url or f"sqlite:///{paths.database}", password)
        except Unreachable as fault:
            if time.monotonic() + _PAUSE > end:
                raise
            if not told:
                log.warning("waiting for the database", reason=fault.message)
            told = True
            time.sleep(_PAUSE)
