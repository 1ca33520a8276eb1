"""A PostgreSQL of the test's own, that can be stopped at once and started again."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path


def binaries() -> Path | None:
    """Find the newest server installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


class Postgres:
    """A server below one folder, on its unix socket alone."""

    def __init__(self) -> None:
        found = binaries()
        if found is None:
            raise RuntimeError("no PostgreSQL server is installed (package postgresql)")
        self._binaries = found
        self.folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
        self.folder.chmod(0o755)
        self._user = "postgres" if os.geteuid() == 0 else None
        if self._user:
            shutil.chown(self.folder, self._user)
        self._run("initdb", "-D", str(self.folder / "data"), "-A", "trust", "-U", "postgres", "-N", "--locale=C.UTF-8")
        self.start()
        self._run("createdb", "-h", str(self.folder), "-U", "postgres", "fleet")

    @property
    def url(self) -> str:
        """Name the database that all share."""
        return f"postgresql://postgres@/fleet?host={self.folder}"

    def start(self) -> None:
        """Start it (again)."""
        options = f"-c listen_addresses='' -c unix_socket_directories={self.folder} -c fsync=off"
        log = str(self.folder / "log")
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-l", log, "-o", options, "-w", "-t", "60", "start")

    def stop(self) -> None:
        """Stop it as a crash would."""
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-m", "immediate", "-w", "-t", "60", "stop")

    def close(self) -> None:
        """Stop it and remove all it had."""
        subprocess.run(
            [str(self._binaries / "pg_ctl"), "-D", str(self.folder / "data"), "-m", "immediate", "stop"],
            user=self._user, cwd=self.folder, capture_output=True, timeout=120,
        )  # fmt: skip
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, program: str, *words: str) -> None:
        command = [str(self._binaries / program), *words]
        done = subprocess.run(command, user=self._user, cwd=self.folder, capture_output=True, text=True, timeout=120)
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stderr}")
