"""What a later daemon must know to find a running machine again; the store keeps it, the machine's directory too.

`runtime/machine` makes records, `runtime/reattach` reads them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from domicile.host.helpers import Known
from domicile.host.links import Link
from domicile.runtime.lifecycle import Policy

SUFFIX = ".json"


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A machine's state on its way into a file: where it is written, what that becomes, whether the guest ran before.

    `ends` says that the machine was to end with it.
    """

    temporary: str
    path: str
    running: bool
    ends: bool


@dataclass(frozen=True, slots=True)
class Leaving:
    """A machine on its way to another host, by its `token`: how far it is, and who can say what became of it.

    `phase` is ``moving`` until QEMU has handed all over, then ``handed`` (``postcopy`` where memory follows): from then on only the target, or the database
    that both share, knows where the machine runs. `contacts` are URIs of the target's daemon; `generation` is that of the
    claim where the database is shared, else 0. `ran` says that the guest ran before, `undefine` that its definition goes, too,
    and `copied` that its disks stay behind.
    """

    token: str
    phase: str = "moving"
    contacts: tuple[str, ...] = ()
    generation: int = 0
    ran: bool = True
    undefine: bool = False
    copied: bool = False


@dataclass(frozen=True, slots=True)
class Arriving:
    """A machine that comes from another host. `phase` is ``waiting`` until it is settled that it runs here, then ``taken``.

    `holder` and `generation` are the source's claim where both share one database. `running` says whether it shall run.
    """

    token: str
    phase: str = "waiting"
    holder: str = ""
    generation: int = 0
    running: bool = True


@dataclass(frozen=True, slots=True)
class Record:
    """A running machine in a form that outlives the daemon. Paths are text, times are since the epoch."""

    uuid: str
    name: str
    id: int
    pid: int
    start_time: int
    directory: str
    log: str
    policy: Policy = field(default_factory=Policy)
    state: int = 0
    reason: int = 0
    since: float = 0.0
    paused: bool = False
    ptys: dict[str, str] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    taps: dict[str, str] = field(default_factory=dict)
    #: What its network devices leave behind when it ends.
    links: list[Link] = field(default_factory=list)
    lent: dict[str, tuple[int, int]] = field(default_factory=dict)
    helpers: dict[str, Known] = field(default_factory=dict)
    argv: list[str] = field(default_factory=list)
    #: The features of the guest's CPU, where QEMU was asked.
    cpu: list[str] | None = None
    #: Below which group of the host's its own are made.
    partition: str = "/machine"
    #: The managed image whose state this machine has begun to run, until that image is removed.
    restored: str = ""
    #: Whether it ends with the connection of the client that started it.
    autodestroy: bool = False
    unfinished: Unfinished | None = None
    leaving: Leaving | None = None
    arriving: Arriving | None = None
    #: The most that a migration of it may send a second, in MiB; 0 is no limit.
    migration_speed: int = 0

    def to_json(self) -> bytes:
        """Give the stored form."""
        return msgspec.json.encode(self)

    @classmethod
    def from_json(cls, data: bytes | str) -> Record:
        """Read the stored form.

        Raises:
            msgspec.MsgspecError: when it is no such thing.
        """
        return msgspec.json.decode(data, type=cls)

    def write(self) -> None:
        """Leave it beside the machine's directory, whole or not at all.

        Not in it: that directory belongs to QEMU's user, and what a later daemon acts on must be the daemon's own.
        """
        path = _place(Path(self.directory))
        temporary = path.with_name(f".{path.name}.new")
        temporary.unlink(missing_ok=True)
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as stream:
            stream.write(self.to_json())
        temporary.replace(path)


def _place(directory: Path) -> Path:
    return directory.with_name(directory.name + SUFFIX)


def recorded(directory: Path) -> bool:
    """Say whether a machine's directory has a record beside it."""
    return _place(directory).exists()


def beside(directory: Path) -> Record | None:
    """Read the record that stands beside a machine's directory; it may be newer than the store's."""
    try:
        return Record.from_json(_place(directory).read_bytes())
    except (OSError, msgspec.MsgspecError):
        return None


def newest(record: Record) -> Record:
    """Give the record beside the machine's directory where it is of the same process, else the one given."""
    found = beside(Path(record.directory))
    same = found is not None and (found.uuid, found.pid, found.start_time) == (
        record.uuid,
        record.pid,
        record.start_time,
    )
    return found if found is not None and same else record


def left_behind(directories: Path) -> list[Record]:
    """Read the records below a directory of machine directories, for machines the store does not know of."""
    records = []
    for path in sorted(directories.glob(f"*{SUFFIX}")):
        try:
            if path.stat(follow_symlinks=False).st_uid == os.geteuid():
                records.append(Record.from_json(path.read_bytes()))
        except (OSError, msgspec.MsgspecError):
            continue
    return records


def forget(directory: Path) -> None:
    """Remove what a machine's end leaves behind."""
    _place(directory).unlink(missing_ok=True)
    for name in ("monitor.sock", "master-key.aes"):
        (directory / name).unlink(missing_ok=True)
    try:
        os.rmdir(directory)  # noqa: PTH106 - only when nothing else is in it
    except OSError:
        return
