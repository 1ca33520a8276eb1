"""Where the database is and how to get in: an address, and a password in a file, never among arguments that others can read.

Used by the daemon at its start and by `domicile db`.
"""

from __future__ import annotations

import re
import stat
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from domicile.base.errors import HostFailure, InvalidRequest
from domicile.service.paths import Paths

_PASSWORD = re.compile(r"^[^/]*://[^/@]*:[^/@]*@|[?&]password=", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Place:
    """A database's address, with the file of its password where one is named."""

    url: str
    password_file: str = ""

    @property
    def password(self) -> str | None:
        """Its password, read now. Raises: HostFailure."""
        return password_of(Path(self.password_file)) if self.password_file else None


def configured(paths: Paths, config: Path | None = None) -> Place:
    """Say which database a daemon of these directories has by its configuration.

    Raises: InvalidRequest
    """
    path = config or paths.config
    try:
        data: dict[str, Any] = tomllib.loads(path.read_text())
    except FileNotFoundError:
        data = {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"{path}: not TOML: {error}") from error
    except OSError as error:
        raise HostFailure(f"cannot read {path}: {error.strerror}") from error
    url = str(data.get("database") or f"sqlite:///{paths.database}")
    return Place(url, str(data.get("database_password_file") or ""))


def named(word: str, password_file: str = "") -> Place:
    """Read an address that came by an argument: a URL, or the path of an SQLite file.

    Raises: InvalidRequest
    """
    url = without_password(word)
    return Place(url if "://" in url else f"sqlite:///{Path(url).absolute()}", password_file)


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
