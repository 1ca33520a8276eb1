"""Where a daemon keeps its things: all below one root, or where the system or the user's session has them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from domicile.base import ids


@dataclass(frozen=True, slots=True)
class Paths:
    """The directories and files of one daemon."""

    state: Path
    run: Path
    log: Path
    cache: Path
    config: Path
    private: bool = False

    @classmethod
    def below(cls, root: Path) -> Self:
        """Everything below one directory."""
        root = root.absolute()
        return cls(root / "lib", root / "run", root / "log", root / "cache", root / "domicile.toml")

    @classmethod
    def system(cls) -> Self:
        """Where the system has them."""
        return cls(
            Path("/var/lib/domicile"), Path("/run/domicile"), Path("/var/log/domicile"), Path("/var/cache/domicile"),
            Path("/etc/domicile/domicile.toml"),
        )  # fmt: skip

    @classmethod
    def session(cls) -> Self:
        """Where the user's session has them. Source: the XDG Base Directory Specification."""
        home = Path.home()

        def base(name: str, fallback: Path) -> Path:
            return Path(os.environ.get(name) or fallback) / "domicile"

        state = base("XDG_STATE_HOME", home / ".local/state")
        cache = base("XDG_CACHE_HOME", home / ".cache")
        return cls(
            base("XDG_DATA_HOME", home / ".local/share"), base("XDG_RUNTIME_DIR", cache / "run"), state / "log", cache,
            base("XDG_CONFIG_HOME", home / ".config") / "domicile.toml",
        )  # fmt: skip

    @property
    def database(self) -> Path:
        """The embedded database."""
        return self.state / "domicile.db"

    @property
    def saves(self) -> Path:
        """Images of machines that go on at their next start."""
        return self.state / "save"

    @property
    def networks(self) -> Path:
        """What the name servers of networks read and write."""
        return self.state / "network"

    @property
    def starts_once(self) -> Path:
        """A file for each domain that starts with the host's next boot alone."""
        return self.state / "autostart-once"

    @property
    def dumps(self) -> Path:
        """Memory of guests that crashed."""
        return self.state / "dump"

    @property
    def lent(self) -> Path:
        """A note for each device of the host that a machine has."""
        return self.run / "lent"

    @property
    def machines(self) -> Path:
        """A directory for each running machine."""
        return self.run / "machine"

    @property
    def channels(self) -> Path:
        """Sockets of guest channels."""
        return self.run / "channel"

    @property
    def socket(self) -> Path:
        """The socket that may change things."""
        return self.run / "domicile-sock"

    @property
    def socket_read_only(self) -> Path:
        """The socket that may only look."""
        return self.run / "domicile-sock-ro"

    @property
    def pid(self) -> Path:
        """The daemon's pid, locked while it runs."""
        return self.run / "domiciled.pid"

    def host_id(self) -> str:
        """Give this host's identity in the database: made once and kept, whatever the host is called later."""
        path = self.state / "host-id"
        if not path.exists():
            temporary = path.with_suffix(".new")
            temporary.write_text(ids.new_uuid() + "\n")
            temporary.replace(path)
        return path.read_text().strip()

    def make(self) -> None:
        """Make the directories; QEMU's user may pass through those it has things in.

        Where the daemon is not root, QEMU is its own user, and nobody else has anything to do here.
        """
        for path, mode in (
            (self.state, 0o711), (self.run, 0o755), (self.log, 0o700), (self.saves, 0o700), (self.cache, 0o711), (self.machines, 0o711), (self.channels, 0o711),
        ):  # fmt: skip
            path.mkdir(parents=True, exist_ok=True)
            path.chmod(mode if os.geteuid() == 0 else 0o700)
