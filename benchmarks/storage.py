"""Measure pools and volumes of two daemons in turns: making, removing, looking through, listing, asking.

    benchmarks/storage.py --socket A --socket B [--volumes 1000] [--rounds 7] [--json out.json]

Both daemons speak libvirt's protocol on their unix sockets, and get a directory of their own with the same content. Rounds
alternate, so that what else the machine does meets both. Rows are medians in milliseconds, with the ratio of the first
daemon to the second. Only pools called domicile-bench-… are made and removed. qemu-img must be installed.
"""

from __future__ import annotations

import argparse
import json
import shutil
import socket as unix
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from domicile.rpc.calls import connect, storage
from domicile.rpc.client import Client

now = time.perf_counter
_MIB = 1 << 20


class Subject:
    """One daemon with its pool."""

    def __init__(self, socket: str, directory: Path) -> None:
        self.socket, self.directory = socket, directory
        sock = unix.socket(unix.AF_UNIX, unix.SOCK_STREAM)
        sock.connect(socket)
        self.client = Client(sock)
        self.client.call(connect.auth_list)
        self.client.call(connect.connect_open, "qemu:///system", 0)
        self.pool: Any = None

    def __enter__(self) -> Subject:
        name = f"domicile-bench-{self.directory.name}"
        xml = f"<pool type='dir'><name>{name}</name><target><path>{self.directory}</path></target></pool>"
        self.pool = self.client.call(storage.storage_pool_create_xml, xml, 0)
        return self

    def __exit__(self, *_: object) -> None:
        self.client.call(storage.storage_pool_destroy, self.pool)
        self.client.close()

    def make(self, name: str, fmt: str) -> Any:
        """Make a volume."""
        xml = (
            f"<volume><name>{name}</name><capacity unit='MiB'>64</capacity><allocation>0</allocation>"
            f"<target><format type='{fmt}'/></target></volume>"
        )
        return self.client.call(storage.storage_vol_create_xml, self.pool, xml, 0)

    def refresh(self) -> None:
        """Look through the pool."""
        self.client.call(storage.storage_pool_refresh, self.pool, 0)

    def volumes(self) -> list[Any]:
        """List all volumes."""
        found: list[Any] = self.client.call(storage.storage_pool_list_all_volumes, self.pool, 1, 0)[0]
        return found


def timed(work: Callable[[], object]) -> float:
    """Take the time of something, in milliseconds."""
    began = now()
    work()
    return (now() - began) * 1000


def fill(directory: Path, count: int) -> None:
    """Put images into a directory: of every five, three are raw files and two are qcow2 images on one of these."""
    base, below = directory / "base.qcow2", directory / "model.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(base), "1G"], check=True)
    words = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(base), "-F", "qcow2", str(below)]
    subprocess.run(words, check=True)
    for number in range(count - 2):
        path = directory / f"disk-{number:05d}"
        if number % 5 < 3:
            with path.open("wb") as file:
                file.truncate(_MIB)
        else:
            shutil.copyfile(below, path)


def measure(subjects: list[Subject], count: int, rounds: int) -> dict[str, list[float]]:
    """Measure all in turns; medians by row, one a subject."""
    taken: dict[str, list[list[float]]] = {}

    def note(row: str, which: int, milliseconds: float) -> None:
        taken.setdefault(row, [[] for _ in subjects])[which].append(milliseconds)

    def turns() -> list[tuple[int, Subject]]:
        return list(enumerate(subjects))

    for round_ in range(rounds):
        for which, subject in turns() if round_ % 2 == 0 else reversed(turns()):
            for fmt in ("raw", "qcow2"):
                made: list[Any] = []
                for number in range(10):
                    note(
                        f"create {fmt}",
                        which,
                        timed(lambda n=number, f=fmt, m=made, s=subject: m.append(s.make(f"new-{n}", f))),
                    )  # type: ignore[misc]
                for volume in made:
                    note(
                        f"delete {fmt}",
                        which,
                        timed(lambda v=volume, s=subject: s.client.call(storage.storage_vol_delete, v, 0)),
                    )  # type: ignore[misc]
    for subject in subjects:
        fill(subject.directory, count)
        subject.refresh()
    for round_ in range(rounds):
        for which, subject in turns() if round_ % 2 == 0 else reversed(turns()):
            note(f"refresh of {count}", which, timed(subject.refresh))
            note(f"list of {count}", which, timed(subject.volumes))
            found = subject.volumes()
            assert len(found) == count, len(found)
            some = found[:: max(1, count // 200)]
            note(
                "info",
                which,
                timed(lambda v=some, s=subject: [s.client.call(storage.storage_vol_get_info, one) for one in v])
                / len(some),
            )  # type: ignore[misc]
            note(
                "document",
                which,
                timed(lambda v=some, s=subject: [s.client.call(storage.storage_vol_get_xml_desc, one, 0) for one in v])
                / len(some),
            )  # type: ignore[misc]
            uri = f"qemu+unix:///system?socket={subject.socket}"
            words = ["virsh", "-q", "-c", uri, "vol-list", subject.pool.name]
            note("virsh vol-list", which, timed(lambda w=words: subprocess.run(w, check=True, capture_output=True)))  # type: ignore[misc]
            note("create raw in a full pool", which, timed(lambda s=subject: s.make("one-more", "raw")))  # type: ignore[misc]
            (subject.directory / "one-more").unlink()
            subject.refresh()
    return {row: [statistics.median(samples) for samples in per] for row, per in taken.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--socket", action="append", required=True, help="a daemon's unix socket; one or two")
    parser.add_argument("--volumes", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--directory", default="/var/tmp", help="below which the pools are made")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    subjects: list[Subject] = []
    directories = [
        Path(tempfile.mkdtemp(prefix=f"pool{n}-", dir=options.directory)) for n in range(len(options.socket))
    ]
    try:
        for socket, directory in zip(options.socket, directories, strict=True):
            directory.chmod(0o755)
            subjects.append(Subject(socket, directory).__enter__())
        rows = measure(subjects, options.volumes, options.rounds)
    finally:
        for subject in subjects:
            subject.__exit__()
        for directory in directories:
            shutil.rmtree(directory, ignore_errors=True)
    for row, medians in rows.items():
        shown = "  ".join(f"{median:9.2f}" for median in medians)
        print(f"{row:28}{shown}" + (f"  {medians[0] / medians[1]:6.2f}" if len(medians) == 2 else ""))
    if options.json is not None:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
