"""What was, and who made it so: the origin of each value of a definition, and all domains as they were at a moment.

Part of the service. What was found out for one head is kept for the next, so a domain's long history is read once.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from domicile.base.errors import NotFound
from domicile.domain import blame, document, explain, provenance
from domicile.domain.blame import Blame
from domicile.service import answers

if TYPE_CHECKING:
    from domicile.service.service import Service
    from domicile.store.values import Moment, Revision

Answer = dict[str, Any]
#: How many domains' origins are kept in memory; each takes some 100 KiB.
_KEPT = 64


class Past:
    """The use-cases about what was."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._blamed: OrderedDict[str, Blame] = OrderedDict()

    async def blame(self, key: str, path: str | None = None) -> Answer:
        """Say of each line of a definition, or of the part that a path names, who set it. Raises: NotFound."""
        service = self._service
        uuid, head = await self._uuid(key)
        known = self._blamed.get(uuid)
        since = known.head if known is not None and known.head <= head else 0
        revisions = await service.in_store(service.store.history, uuid, since)
        found, answer = await asyncio.to_thread(_blame, revisions, known if since else None, path)
        self._blamed[uuid] = found
        self._blamed.move_to_end(uuid)
        while len(self._blamed) > _KEPT:
            self._blamed.popitem(last=False)
        wanted: set[int] = set(answer.pop("wanted"))
        missing = wanted - {r.n for r in revisions}
        others = [await service.in_store(service.store.revision, uuid, n) for n in sorted(missing)]
        by_number = {r.n: r for r in [*revisions, *others] if r.n in wanted}
        await asyncio.to_thread(_generated, answer, by_number)
        answer["revisions"] = {n: answers.revision(one) for n, one in sorted(by_number.items())}
        return answer

    async def _uuid(self, key: str) -> tuple[str, int]:
        """Find a domain, also one that is no longer defined; with the number of its newest revision where that is known."""
        service = self._service
        try:
            entry = service.find_entry(key)
        except NotFound:
            newest = (await service.history(key))[-1]
            return newest.uuid, newest.n
        if not entry.persistent:
            raise NotFound(f"domain '{entry.name}' has no stored definition; nobody's revision set its values")
        return entry.uuid, entry.head

    async def at(self, moment: datetime, key: str | None = None) -> list[Answer]:
        """Say what was defined and what ran at a moment, of all domains or of one. Raises: NotFound."""
        service = self._service
        uuid = None if key is None else await self._any_uuid(key)
        return [_moment(one) for one in await service.in_store(service.store.at, moment, uuid)]

    async def _any_uuid(self, key: str) -> str:
        try:
            return self._service.find_entry(key).uuid
        except NotFound:
            return (await self._service.history(key))[-1].uuid


def _blame(revisions: Sequence[Revision], known: Blame | None, path: str | None) -> tuple[Blame, Answer]:
    versions = answers.with_document(revisions)[::-1]
    found = known
    if known is None or known.head != versions[0].n:
        found = blame.blame([(r.n, lambda r=r: r.completed) for r in versions], known)  # type: ignore[misc]
    assert found is not None
    newest = versions[0]
    domain = document.read_stored(newest.completed)
    lines = explain.select(explain.explain(domain, {}), path)
    if not lines:
        raise NotFound(
            f"nothing in this definition has the path '{path}' (accepted: for instance /devices/disk, disk[hda], memory)"
        )
    told = [_line(line) for line in blame.annotate(lines, found)]
    wanted = {value["revision"] for line in told for value in line["values"]} | {line["revision"] for line in told}
    return found, {
        "name": newest.name,
        "uuid": newest.uuid,
        "revision": newest.n,
        "lines": told,
        "wanted": wanted - {0},
    }


def _line(line: blame.Blamed) -> Answer:
    return {
        "depth": line.depth,
        "xml": line.xml,
        "path": line.path,
        "revision": line.origin.revision if line.origin is not None else 0,
        "values": [
            {"path": path, "name": name, "value": value, "revision": origin.revision, "was": origin.path}
            for path, name, value, origin in line.values
            if origin is not None
        ],
    }


def _generated(answer: Answer, revisions: dict[int, Revision]) -> None:
    """Mark what nobody wrote: in the revision that set it, it was filled in; say why."""
    filled = {
        n: {entry["path"]: entry for entry in answers.report_of(one) if entry["kind"] in provenance.FILLED}
        for n, one in revisions.items()
    }
    for line in answer["lines"]:
        for value in line["values"]:
            was = value.pop("was")
            entry = filled.get(value["revision"], {}).get(was) or _above(filled.get(value["revision"], {}), was)
            value["generated"] = entry is not None
            if entry is not None:
                value["why"] = {"en": entry["en"], "zh": entry["zh"]}


def _above(filled: dict[str, dict[str, str]], path: str) -> dict[str, str] | None:
    """What is in an element that was filled in as a whole was filled in, too."""
    while path:
        path = path.rpartition("/")[0]
        entry = filled.get(path)
        if entry is not None:
            return entry
    return None


def _moment(one: Moment) -> Answer:
    started = one.started
    return {
        "name": one.name,
        "uuid": one.uuid,
        "defined": one.revision is not None,
        "revision": one.revision.n if one.revision is not None else 0,
        "definition": answers.revision(one.revision) if one.revision is not None else None,
        "running": started is not None,
        "started": None
        if started is None
        else {
            **answers.actions([started])[0],
            "revision": started.detail.get("revision", 0),
            "host": started.detail.get("host", ""),
        },
    }
