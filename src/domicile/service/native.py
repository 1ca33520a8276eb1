"""Definitions in QEMU's own words: the command line a document would be started with. Part of the service."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from domicile.base.errors import InvalidRequest
from domicile.domain import namespace
from domicile.domain.domain import Domain
from domicile.domain.plan import plan_domain
from domicile.qemu import render
from domicile.service import disk_sources, launching

if TYPE_CHECKING:
    from domicile.service.service import Service

FORMAT = "qemu-argv"


class Native:
    """The use-cases about QEMU's command line."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def command_line(self, xml: str, format: str) -> str:
        """Give the command line, with its environment, that a machine of this document would be started with.

        What is only known at a start (descriptors, free ports) stands there by its name. Raises: InvalidRequest,
        InvalidDocument
        """
        if format != FORMAT:
            raise InvalidRequest(f"unsupported config type {format}; {FORMAT} would be accepted")
        domain = (await self._service.definitions.complete(xml)).domain
        return await self._line(domain)

    async def _line(self, domain: Domain) -> str:
        service = self._service
        caps = await service.machines.capabilities(domain)
        plan = plan_domain(domain, caps, disk_sources.host_for(service, domain))
        env = launching.environment(service.paths.machines) | namespace.variables(domain)
        words = [f"{name}={shlex.quote(value)}" for name, value in env.items()] + [shlex.quote(plan.binary)]
        lines = (_for_people(list(option.words)) for option in render.command_line(plan.items, caps.version))
        return " ".join([*words, *(shlex.quote(word) for line in lines for word in line)]) + "\n"


def _for_people(words: list[str]) -> list[str]:
    """Write a plain amount of memory in MiB, which QEMU takes it to be."""
    match = re.fullmatch(r"size=(\d+)k", words[1]) if len(words) == 2 and words[0] == "-m" else None
    return ["-m", str(int(match[1]) // 1024)] if match is not None and int(match[1]) % 1024 == 0 else words
