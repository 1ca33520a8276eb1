"""Which database the daemon opens, with which password, and how long it waits for one that does not answer yet.

Called by `main`, which adds the options, and by `wiring`. A password is in a file or in the environment, never among the
arguments, which every user of the host can read.
"""

from __future__ import annotations

import argparse
import re
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from domicile.base.errors import HostFailure, InvalidRequest, Unreachable
from domicile.service.paths import Paths

if TYPE_CHECKING:
    from domicile.store.store import Store

log = structlog.get_logger(__name__)
#: Seconds a daemon waits at its start for a database that does not answer, and between two tries.
_PATIENCE, _PAUSE = 30.0, 1.0
_PASSWORD = re.compile(r"^[^/]*://[^/@]*:[^/@]*@|[?&]password=", re.IGNORECASE)


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


def without_password(url: str) -> str:
    """Refuse a password in an address that came by an argument.

    Raises: InvalidRequest
    """
    if _PASSWORD.search(url):
        raise InvalidRequest(
            "every user can read a password among a program's arguments; put it into a file and name that with"
            " --database-password-file, PGPASSFILE or ?passfile= in the address"
        )
    return url


def password_of(path: Path) -> str:
    """Read a password from a file's first line.

    Raises: HostFailure where it cannot be read, or others may read it.
    """
    try:
        mode = path.stat().st_mode
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise HostFailure(f"cannot read the database's password from {path}: {error}") from None
    if mode & stat.S_IROTH:
        raise HostFailure(
            f"every user may read {path}, which holds the database's password; chmod 600 would be accepted"
        )
    return text.split("\n", 1)[0].rstrip("\r")


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
