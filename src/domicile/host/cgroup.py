"""Control groups: what the host grants a machine of CPU time, memory and disk traffic. Used by service/live_tuning.

Version 1 and version 2 hierarchies are used as they are mounted; where none can be written, that is said. A machine has a
group of its own only once something is asked of it, and the group goes with the machine.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from domicile.base.errors import FROM_NONE, HostFailure, WrongState

USUAL = "/machine"
"""The partition of machines that name none, as it is libvirt's."""
_NAME = "domicile-{}"
_TOP = ("machine", "user", "system")
FROM_CGROUP = 54


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """Where a controller is mounted, and of which version it is."""

    mount: Path
    version: int


def find(controller: str, mountinfo: Path = Path("/proc/self/mountinfo")) -> Hierarchy | None:
    """Find the hierarchy of a controller (``cpu``, ``memory``, ``io``) in which groups can be made; None where there is none."""
    old = "blkio" if controller == "io" else controller
    newer = None
    for line in mountinfo.read_text().splitlines():
        before, _, after = line.partition(" - ")
        mount, kind = Path(before.split()[4]), after.split()[0]
        if not os.access(mount, os.W_OK):
            continue
        if kind == "cgroup" and old in after.split()[-1].split(","):
            return Hierarchy(mount, 1)
        if kind == "cgroup2":
            with suppress(OSError):
                if controller in (mount / "cgroup.controllers").read_text().split():
                    newer = Hierarchy(mount, 2)
    return newer


def needed(controller: str) -> Hierarchy:
    """Find a controller's hierarchy. Raises: WrongState where there is none."""
    found = find(controller)
    if found is None:
        name = {"cpu": "CPU", "io": "blkio"}.get(controller, controller)
        raise WrongState(f"cgroup {name} controller is not mounted, or not writable by this daemon")
    return found


class Group:
    """The group of one machine in one hierarchy; it is made when it is first written to."""

    def __init__(self, hierarchy: Hierarchy, partition: str, name: str, pid: int) -> None:
        self.version = hierarchy.version
        self._mount, self._pid, self._parent = hierarchy.mount, pid, directory(partition)
        self.path = hierarchy.mount / self._parent / _NAME.format(name)

    def enter(self, controller: str) -> None:
        """Make the group and put the machine in. Raises: HostFailure."""
        try:
            if self._parent == directory(USUAL):
                self.path.parent.mkdir(exist_ok=True)
            self.path.mkdir(exist_ok=True)
            if self.version == 2:
                for above in [each for each in reversed(self.path.parents) if each.is_relative_to(self._mount)]:
                    (above / "cgroup.subtree_control").write_text(f"+{controller}")
            if self.version == 1 and controller == "cpuset":
                _inherit(self.path)
            if not self._inside():
                (self.path / "cgroup.procs").write_text(str(self._pid))
        except OSError as error:
            raise _refused(self.path, error) from error

    def _inside(self) -> bool:
        """Say whether the machine is in the group already, or in one of its parts."""
        lines = Path(f"/proc/{self._pid}/cgroup").read_text().splitlines()
        tail = f"/{self._parent}/{self.path.name}"
        mine = f"{self._mount}/"
        return (
            any(tail in line.partition("::")[2] for line in lines if "::" in line)
            if self.version == 2
            else any(
                tail in line.split(":", 2)[2] and Path(f"{mine}{line.split(':', 2)[2]}").is_dir() for line in lines
            )
        )

    def write(self, values: Mapping[str, str], part: str = "") -> None:
        """Write the group's files, or those of a part of it. Raises: HostFailure."""
        for name, value in values.items():
            place = self.path / part / name
            try:
                place.write_text(value)
            except OSError as error:
                raise _refused(place, error) from error

    def has(self, name: str) -> bool:
        """Say whether the group has such a file."""
        return (self.path / name).exists()

    def part(self, name: str, threads: Iterable[int]) -> None:
        """Make a part of the group for some of the machine's threads. Raises: HostFailure."""
        place = self.path / name
        try:
            place.mkdir(exist_ok=True)
            if self.version == 2:
                (place / "cgroup.type").write_text("threaded")
                (self.path / "cgroup.subtree_control").write_text("+cpu")
            file = place / ("tasks" if self.version == 1 else "cgroup.threads")
            for thread in threads:
                with suppress(ProcessLookupError):
                    file.write_text(str(thread))
        except OSError as error:
            raise _refused(place, error) from error


def _inherit(path: Path) -> None:
    """Give a new cpuset, and the one above, the CPUs and memory of what is above them: empty sets let nobody in."""
    for place in (path.parent, path):
        for name in ("cpuset.cpus", "cpuset.mems"):
            if not (place / name).read_text().strip():
                (place / name).write_text((place.parent / name).read_text())


def directory(partition: str) -> str:
    """Say where a partition is below each hierarchy's mount: parts of its path that are no slices of systemd end so.

    Source: observed with libvirt 9.0: ``/machine/prod`` is ``machine/prod.partition``.
    """
    parts = [part for part in partition.split("/") if part not in ("", ".", "..")]
    top = parts[:1] if parts and parts[0] in _TOP else []
    named = [part if part.endswith((".partition", ".slice")) else f"{part}.partition" for part in parts[len(top) :]]
    return "/".join([*top, *named])


def forget(partition: str, name: str) -> None:
    """Remove what is left of a machine's groups; the machine has ended."""
    for controller in ("cpu", "memory", "io", "cpuset"):
        found = find(controller)
        path = found.mount / directory(partition) / _NAME.format(name) if found is not None else None
        if path is not None and path.is_dir():
            for place in [*(each for each in path.iterdir() if each.is_dir()), path]:
                with suppress(OSError):
                    place.rmdir()


def device_number(path: str) -> str:
    """Give a block device's number as groups name it. Raises: HostFailure."""
    try:
        found = Path(path).stat()
    except OSError as error:
        raise HostFailure(f"Path '{path}' is not accessible: {error.strerror}", domain=FROM_CGROUP) from error
    if not Path(path).is_block_device():
        raise HostFailure(f"Path '{path}' must be a block device: Invalid argument", domain=FROM_CGROUP)
    return f"{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}"


def _refused(place: Path, error: OSError) -> HostFailure:
    return HostFailure(f"Unable to write to '{place}': {error.strerror}", domain=FROM_NONE)
