"""The pure core without a daemon: this host's facts and its QEMU, asked once and kept in the user's cache.

Used by `check`, `adapt`, `explain FILE` and `import --adapt`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from domicile.base.errors import DomicileError
from domicile.cli.command import read_document
from domicile.domain import document, provenance
from domicile.domain.adapt import Adapted, Surroundings, adapt
from domicile.domain.complete import Completed, complete_text
from domicile.domain.plan import plan_domain
from domicile.host import firmware, helpers, inspect, kvm, tap
from domicile.plan.capabilities import Capabilities
from domicile.plan.host import Host
from domicile.qemu import cache
from domicile.qemu.render import command_line
from domicile.service import answers
from domicile.service.paths import Paths


@dataclass
class Local:
    """This host as the pure core sees it."""

    host: Host
    runs: kvm.Kvm
    directory: Path
    usual: dict[str, Path]
    known: dict[str, Capabilities | None]

    @classmethod
    def look(cls) -> Local:
        """Look at the host; nothing is started but a trial of KVM."""
        runs = asyncio.run(kvm.check())
        huge = inspect.huge_pages()
        host = Host(
            arch=inspect.cpu().arch,
            kvm=runs.works,
            page_kib=inspect.page_size() // 1024,
            hugepages=huge.mounts,
            hugepage_kib=huge.usual_kib,
            numa_nodes=frozenset(cell.id for cell in inspect.cells()),
            iommu_group=inspect.iommu_group,
            cannot_run=inspect.cannot_run,
            has_program=helpers.installed,
            firmwares=firmware.read(),
        )
        return cls(host, runs, Paths.session().cache, inspect.emulators(), {})

    def find(self, emulator: str | None, arch: str) -> Capabilities | None:
        """Find an emulator's capabilities, asking it where nobody did before."""
        path = Path(emulator) if emulator is not None else self.usual.get(arch)
        if path is None or not path.is_absolute():
            return None
        key = str(path)
        if key not in self.known:
            try:
                self.known[key] = asyncio.run(cache.capabilities(path, self.directory, kvm=self.runs.works))
            except DomicileError:
                self.known[key] = None
        return self.known[key]

    def complete(self, text: str, *, strict: bool = False) -> Completed:
        """Complete a document. Raises: InvalidDocument."""
        return complete_text(text, self.host, self.find, strict=strict)

    def adapt(self, text: str, maps: dict[str, str], networks: frozenset[str] = frozenset()) -> Adapted:
        """Adapt a document. Raises: InvalidDocument."""
        around = Surroundings(
            self.host,
            self.find,
            frozenset(tap.bridges()),
            networks,
            lambda path: Path(path).exists(),
            self.runs.reason,
            maps,
        )
        return adapt(text, around)


def explain(file: str, path: str | None) -> list[dict[str, Any]]:
    """Explain a document that is not stored. Raises: InvalidDocument, NotFound."""
    local, text = Local.look(), read_document(file)
    done = local.complete(text)
    arguments: list[tuple[tuple[str, ...], str]] = []
    if done.facts is not None:
        plan = plan_domain(done.domain, done.facts.caps, local.host)
        arguments = [
            (argument.words, argument.origin) for argument in command_line(plan.items, done.facts.caps.version)
        ]
    completed = document.write(done.domain)
    version = provenance.Version(text, completed, answers.entries(done))
    return answers.lines_of(completed, [version], arguments, path)
