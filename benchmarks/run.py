"""Measure a daemon: definitions, lists, searches, statistics, restarts, memory, starting and stopping a machine.

    benchmarks/run                               1000 domains in a Domicile of its own, below a temporary directory
    benchmarks/run --domains 10000 --json out.json
    benchmarks/run --compare out.json            with the ratio to an earlier result
    benchmarks/run --socket /run/libvirt/libvirt-sock --pidfile /run/libvirtd.pid --start-cmd 'libvirtd -d'

Any daemon that speaks libvirt's protocol can be measured through its unix socket; what only Domicile has is left out
then. `cpu` is the daemon's own time for one operation, which is steadier than time on the clock where others use the
machine too. Only domains called domicile-bench-… are made and removed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import guest

from domicile.base.errors import DomicileError
from domicile.rpc.calls import connect, domain
from domicile.rpc.calls import domicile as own
from domicile.rpc.client import Client

HERE = Path(__file__).resolve().parent
TICK = os.sysconf("SC_CLK_TCK")
now = time.perf_counter


class Daemon:
    """The daemon under test; without a start command it cannot be started again."""

    def __init__(self, path: Path, pidfile: Path | None, command: list[str] | None) -> None:
        self.path, self.pidfile, self.command = path, pidfile, command

    def start(self) -> None:
        assert self.command is not None
        subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)

    def connect(self, seconds: float = 60) -> Client:
        """Connect, as soon as it answers."""
        deadline = now() + seconds
        while True:
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                sock.connect(os.fspath(self.path))
                client = Client(sock)
                client.call(connect.auth_list)
                client.call(connect.connect_open, "qemu:///system", 0)
                return client
            except (DomicileError, OSError) as fault:
                sock.close()
                if now() > deadline:
                    raise SystemExit(f"no daemon answers at {self.path}: {fault}") from None
            time.sleep(0.003)

    @property
    def pid(self) -> int | None:
        return int(self.pidfile.read_text()) if self.pidfile is not None and self.pidfile.exists() else None

    def stop(self) -> None:
        pid = self.pid
        if pid is None:
            return
        os.kill(pid, signal.SIGTERM)
        while Path(f"/proc/{pid}").exists():
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
            time.sleep(0.005)

    def cpu(self) -> float:
        """Give the seconds of CPU it took so far."""
        words = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split() if self.pid else []
        return (int(words[11]) + int(words[12])) / TICK if words else 0.0

    def resident(self) -> float:
        """Give its memory in MiB."""
        found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{self.pid}/status").read_text())
        return int(found[1]) / 1024 if found else 0.0


class Report:
    """The rows: printed as they come, kept for JSON, compared with an earlier result."""

    def __init__(self, earlier: dict[str, Any]) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        self._earlier = earlier

    def row(self, name: str, values: list[float], unit: str, cpu: float | None = None) -> None:
        median = statistics.median(values)
        row = {"median": median, "min": min(values), "max": max(values), "n": len(values), "unit": unit}
        line = f"{name:<44}{shown(median):>10} {unit:<5} [{shown(min(values))} … {shown(max(values))}]"
        if cpu:
            row["cpu_us"] = cpu * 1e6
            line += f"  cpu {cpu * 1e6:.0f} us"
        known = self._earlier.get(name)
        if known and known["unit"] == unit and known["median"]:
            line += f"  x{median / known['median']:.2f} of the earlier"
        self.rows[name] = row
        print(line, flush=True)


def shown(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


class Bench:
    """All measurements, in the order in which they run."""

    def __init__(self, daemon: Daemon, report: Report, count: int) -> None:
        self.daemon, self.report, self.count = daemon, report, count
        self.client = daemon.connect()
        self.version = self.client.call(connect.connect_get_lib_version)

    def each(self, name: str, numbers: list[int], work: Callable[[int], object]) -> None:
        """Do something to domains one after another; the rate of each fifth is a sample."""
        rates, before = [], self.daemon.cpu()
        fifth = max(1, len(numbers) // 5)
        for start in range(0, len(numbers), fifth):
            part, began = numbers[start : start + fifth], now()
            for number in part:
                work(number)
            rates.append(len(part) / (now() - began))
        self.report.row(name, rates, "/s", (self.daemon.cpu() - before) / len(numbers))

    def times(self, name: str, work: Callable[[], object], times: int, unit: str = "ms") -> None:
        """Do something several times; each time is a sample."""
        samples, before = [], self.daemon.cpu()
        for _ in range(times):
            began = now()
            work()
            samples.append((now() - began) * (1000 if unit == "ms" else 1))
        self.report.row(name, samples, unit, (self.daemon.cpu() - before) / times)

    def rate(self, name: str, work: Callable[[], object], seconds: float = 0.5) -> None:
        """Do something for a while, five times; calls a second are the samples."""
        rates, calls, before = [], 0, self.daemon.cpu()
        for _ in range(5):
            began, count = now(), 0
            while now() - began < seconds:
                work()
                count += 1
            rates.append(count / (now() - began))
            calls += count
        self.report.row(name, rates, "/s", (self.daemon.cpu() - before) / calls)

    def domains(self) -> list[Any]:
        return self.client.call(connect.connect_list_all_domains, 1, 0)[0]

    def run(self) -> None:
        everyone = list(range(self.count))
        some = everyone[: min(self.count, 1000)]
        self.each("define", everyone, lambda n: self.client.call(domain.domain_define_xml, guest.idle(n)))
        self.each("define again", some, lambda n: self.client.call(domain.domain_define_xml, guest.idle(n)))
        self.looking()
        if self.daemon.command is not None:
            self.restarting()
        self.starting()
        found = [dom for dom in self.domains() if dom.name.startswith(guest.PREFIX)]
        self.each("undefine", list(range(len(found))), lambda n: self.client.call(domain.domain_undefine, found[n]))

    def looking(self) -> None:
        call, one = self.client.call, self.client.call(domain.domain_lookup_by_name, guest.name(0))
        self.times("list all", self.domains, 7)
        if shutil.which("virsh"):
            virsh = ["virsh", "-c", f"qemu+unix:///system?socket={self.daemon.path}", "list", "--all"]
            self.times("virsh list --all", lambda: subprocess.run(virsh, check=True, capture_output=True), 5)
        self.rate("calls: getLibVersion", lambda: call(connect.connect_get_lib_version))
        self.rate("calls: lookupByName", lambda: call(domain.domain_lookup_by_name, guest.name(0)))
        self.rate("calls: getInfo", lambda: call(domain.domain_get_info, one))
        self.rate("calls: getXMLDesc", lambda: call(domain.domain_get_xml_desc, one, 0))
        self.times("statistics of all", lambda: call(connect.connect_get_all_domain_stats, [], 0, 0), 5)
        self.times("documents of all", lambda: [call(domain.domain_get_xml_desc, d, 0) for d in self.domains()], 3)
        wanted = guest.mac(self.count // 2)

        def search() -> None:
            assert any(wanted in call(domain.domain_get_xml_desc, d, 0) for d in self.domains())

        self.times("find by MAC: documents of all, searched", search, 3)
        with suppress(DomicileError):
            call(own.find, "mac", wanted, 0)
            self.times("find by MAC: asked of the daemon", lambda: call(own.find, "mac", wanted, 0), 200)

    def restarting(self) -> None:
        if self.daemon.pid is not None:
            self.report.row("memory as it runs", [self.daemon.resident()], "MiB")
        samples, burnt = [], []
        for _ in range(5):
            self.client.close()
            self.daemon.stop()
            began = now()
            self.daemon.start()
            self.client = self.daemon.connect()
            assert len(self.domains()) >= self.count
            samples.append(now() - began)
            burnt.append(self.daemon.cpu())
        self.report.row("restart to the first list answered", samples, "s", statistics.median(burnt))
        if self.daemon.pid is not None:
            self.report.row("memory after a restart", [self.daemon.resident()], "MiB")

    def starting(self) -> None:
        """Start and stop a machine; then its QEMU alone, with the very words it was started with."""
        call = self.client.call
        dom = call(domain.domain_define_xml, guest.running())
        starts, stops, words = [], [], []
        for _ in range(7):
            began = now()
            running = call(domain.domain_create_with_flags, dom, 0)
            assert call(domain.domain_get_info, running).state in (1, 2)
            starts.append((now() - began) * 1000)
            words = words or self.words()
            began = now()
            call(domain.domain_destroy, running)
            stops.append((now() - began) * 1000)
        call(domain.domain_undefine, dom)
        self.report.row("start to running", starts, "ms")
        self.report.row("stop", stops, "ms")
        if words:
            self.report.row("QEMU alone: start to running", list(bare(words, 7)), "ms")

    def words(self) -> list[str]:
        with suppress(DomicileError):
            pid = json.loads(self.client.call(own.argv, f"{guest.PREFIX}running"))["pid"]
            return Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")[:-1]
        return []


def bare(words: list[str], times: int) -> Iterator[float]:
    """Start QEMU without any daemon and wait until its CPUs run; the time in milliseconds."""
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(times):
            path = f"{folder}/{turn}"
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(path)
            listener.listen(1)
            fd = listener.fileno()
            line = [re.sub(r"(id=charmonitor,fd=)\d+", rf"\g<1>{fd}", word) for word in words]
            began = now()
            quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            process = subprocess.Popen(line, pass_fds=[fd], **quiet)
            listener.close()
            with socket.socket(socket.AF_UNIX) as monitor, process:
                monitor.connect(path)
                stream = monitor.makefile("rw")
                stream.readline()
                for command in ("qmp_capabilities", "cont", "query-status"):
                    stream.write(json.dumps({"execute": command}))
                    stream.flush()
                    while "return" not in (answer := json.loads(stream.readline())):
                        pass
                assert answer["return"]["running"]
                yield (now() - began) * 1000
                process.terminate()


def main() -> None:
    """Run everything and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--domains", type=int, default=1000)
    parser.add_argument("--socket", type=Path, help="another daemon's unix socket")
    parser.add_argument("--pidfile", type=Path, help="where it keeps its process id")
    parser.add_argument("--start-cmd", help="how to start it again")
    parser.add_argument("--json", type=Path, help="write the rows there")
    parser.add_argument("--compare", type=Path, help="an earlier result")
    arguments = parser.parse_args()
    earlier = json.loads(arguments.compare.read_text())["rows"] if arguments.compare else {}
    report = Report(earlier)
    if arguments.socket is not None:
        command = shlex.split(arguments.start_cmd) if arguments.start_cmd else None
        Bench(Daemon(arguments.socket, arguments.pidfile, command), report, arguments.domains).run()
    else:
        with tempfile.TemporaryDirectory(prefix="domicile-bench-", dir=Path.home()) as folder:
            root = Path(folder)
            program = str(Path(sys.executable).parent / "domiciled")
            words = [program, "--root", folder, "--foreground", "--pidfile", f"{folder}/bench.pid"]
            daemon = Daemon(root / "run/domicile-sock", root / "bench.pid", words)
            daemon.start()
            try:
                Bench(daemon, report, arguments.domains).run()
            finally:
                daemon.stop()
    if arguments.json is not None:
        meta = {"domains": arguments.domains, "cores": os.cpu_count(), "python": sys.version.split()[0]}
        arguments.json.write_text(json.dumps({"meta": meta, "rows": report.rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
