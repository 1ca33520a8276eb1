"""The answers of Domicile's own procedures, as plain dictionaries for JSON: lists, history, differences, explanations.

Called by api/libvirt/domicile; the command line shows them. Fields are only ever added.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from domicile.base.errors import InvalidDocument, NotFound
from domicile.devices.parts.device import PciAddress
from domicile.domain import compare, document, explain, provenance, report
from domicile.domain.complete import complete_text
from domicile.schema import tree

if TYPE_CHECKING:
    from domicile.base.problem import Problem
    from domicile.domain.complete import Completed
    from domicile.schema.shape import Element
    from domicile.service.entry import Entry
    from domicile.service.service import Service
    from domicile.store.values import Action, Match, Revision

Answer = dict[str, Any]
#: How many revisions back the origin of a value is followed.
_FOLLOWED = 30
_UNDEFINE = "undefine"
_SHORT = 50


def domains(service: Service) -> list[Answer]:
    """List all domains by name."""
    return [brief(entry) for entry in sorted(service.entries(), key=lambda e: e.name)]


def brief(entry: Entry) -> Answer:
    """Say of a domain what a list shows."""
    summary = entry.summary
    return {
        "name": entry.name,
        "uuid": entry.uuid,
        "id": entry.id,
        "state": int(entry.state),
        "reason": int(entry.reason),
        "since": entry.since,
        "persistent": entry.persistent,
        "autostart": entry.autostart,
        "revision": entry.head,
        "pending": bool(entry.waiting) if entry.waiting is not None else entry.pending,
        "pending_changes": entry.waiting,
        "title": summary.get("title", ""),
        "type": summary.get("type", ""),
        "arch": summary.get("arch", ""),
        "machine": summary.get("machine", ""),
        "memory_kib": summary.get("memory_kib", 0),
        "vcpus": summary.get("vcpus", 0),
    }


def revision(found: Revision) -> Answer:
    """Say who made a revision, when, how and why."""
    return {
        "uuid": found.uuid,
        "name": found.name,
        "revision": found.n,
        "kind": found.kind,
        "at": found.at.isoformat(),
        "user": found.author.user,
        "client": found.author.client,
        "command": found.author.command,
        "why": found.why,
        "parent": found.parent,
    }


def history(revisions: Sequence[Revision], limit: int = 0) -> list[Answer]:
    """List revisions, the newest first, each with the number of changes it brought."""
    ordered = sorted(revisions, key=lambda r: r.n)
    wanted = ordered[-limit:] if limit else ordered
    counted = {r.n for r in wanted[-_FOLLOWED:]}
    by_number = {r.n: r for r in ordered}
    answers = []
    for one in wanted:
        answer = revision(one)
        before = by_number.get(one.parent)
        if one.n in counted and before is not None and one.kind != _UNDEFINE and before.kind != _UNDEFINE:
            answer["changes"] = len(_compare(before, one))
        answers.append(answer)
    return answers[::-1]


_PASSWORD = re.compile(r"""(\spasswd\s*=\s*)(?:'[^']*'|"[^"]*")""")


def shown(found: Revision, *, authored: bool, secrets: bool = False) -> Answer:
    """Give a revision with its document, as its author wrote it or completed, and the report of its completion.

    Without `secrets` passwords are masked: whoever may look may not take them along.
    """
    xml = found.authored if authored else found.completed
    if not secrets:
        xml = _PASSWORD.sub(r"\1'***'", xml)
    return {**revision(found), "xml": xml, "report": report_of(found)}


def report_of(found: Revision) -> list[dict[str, str]]:
    """Give the report of a revision's completion."""
    return [asdict(entry) for entry in report.unpack(found.report, found.completed)]


def entries(completed: Completed) -> list[dict[str, str]]:
    """Give a report that was just made."""
    return [asdict(entry) for entry in completed.report]


def with_document(revisions: Sequence[Revision]) -> list[Revision]:
    """Leave out what holds no document; the oldest first. Raises: NotFound."""
    found = sorted((r for r in revisions if r.kind != _UNDEFINE), key=lambda r: r.n)
    if not found:
        raise NotFound("no revision of it holds a definition")
    return found


def diff(revisions: Sequence[Revision], old: int, new: int, running: int = 0) -> Answer:
    """Compare two revisions; 0 stands for the newest (`new`), and for the one that runs or the one before (`old`).

    Raises: NotFound
    """
    found = with_document(revisions)
    numbers = [r.n for r in found]
    second = numbered(found, new or numbers[-1])
    before = [n for n in numbers if n < second.n]
    fallback = running if running and running != second.n and not new else before[-1] if before else second.n
    first = numbered(found, old or fallback)
    changes = _compare(first, second)
    return {
        "old": revision(first),
        "new": revision(second),
        "running": running,
        "changes": [asdict(c) for c in changes],
    }


def numbered(revisions: Sequence[Revision], n: int) -> Revision:
    """Find a revision, the newest with a definition for 0. Raises: NotFound."""
    if not n:
        return with_document(revisions)[-1]
    found = next((r for r in revisions if r.n == n), None)
    if found is None:
        known = ", ".join(str(r.n) for r in revisions[-20:])
        raise NotFound(f"there is no revision {n} with a definition (accepted: {known})")
    return found


def _compare(one: Revision, other: Revision) -> list[compare.Change]:
    return compare.compare(document.read_stored(one.completed), document.read_stored(other.completed))


def versions(revisions: Sequence[Revision]) -> list[provenance.Version]:
    """Give revisions in the form in which origins are looked for."""
    found = with_document(revisions)[-_FOLLOWED:]
    return [provenance.Version(r.authored, r.completed, report_of(r)) for r in found]


def explained(
    completed: str, revisions: Sequence[Revision], arguments: Iterable[explain.Argument], path: str | None
) -> list[Answer]:
    """Explain a completed document, or the part of it that a path names. Raises: NotFound."""
    return lines_of(completed, versions(revisions) if revisions else [], arguments, path)


def lines_of(
    completed: str, known: Sequence[provenance.Version], arguments: Iterable[explain.Argument], path: str | None
) -> list[Answer]:
    """Explain a document whose versions are at hand. Raises: NotFound."""
    owners = provenance.owners(known) if known else {}
    lines = explain.select(explain.explain(document.read_stored(completed), owners, arguments), path)
    if not lines:
        raise NotFound(
            f"nothing in this definition has the path '{path}' (accepted: for instance /devices/disk, disk[hda], memory)"
        )
    return [_line(line) for line in lines]


def _line(line: explain.Line) -> Answer:
    notes = [asdict(note) for note in line.notes]
    return {
        "depth": line.depth,
        "xml": line.xml,
        "path": line.path,
        "notes": notes,
        "arguments": line.arguments,
        "subject": line.subject,
    }


async def arguments(service: Service, entry: Entry) -> tuple[list[tuple[list[str], str]], str, int | None]:
    """Give QEMU's options with their origins, the binary and the pid: as they were really given where it runs."""
    planned, binary, pid = await service.argv(entry)
    if entry.machine is None or pid is None:
        return planned, binary, pid
    given = entry.machine.argv[1:]
    if len(given) != sum(len(words) for words, _ in planned):
        # An earlier release started it, whose words this one cannot tell apart.
        return [([word], "") for word in given], binary, pid
    words = iter(given)
    return [([next(words) for _ in option], origin) for option, origin in planned], binary, pid


def checked(service: Service, xml: str) -> Answer:
    """Say all that is wrong with a document; nothing is stored."""
    try:
        done = complete_text(xml, service.host, service.emulators.find)
    except InvalidDocument as error:
        return {"valid": False, "problems": [problem(p) for p in error.problems], "report": []}
    return {
        "valid": True,
        "name": done.domain.name,
        "problems": [problem(p) for p in done.ignored],
        "report": entries(done),
    }


def problem(found: Problem) -> Answer:
    """Give one finding."""
    return asdict(found)


def matches(found: Iterable[Match], limit: int = 0) -> list[Answer]:
    """Give what a query found."""
    listed = [{"uuid": m.uuid, "name": m.name, "path": m.path, "value": m.value} for m in found]
    return listed[:limit] if limit else listed


def defined(service: Service, entry: Entry, n: int, report: Iterable[Any], *, created: bool) -> Answer:
    """Say what a define did; what was generated stands in the document's order, whole elements as they are written."""
    domain = service.domain(entry, inactive=True)
    places = {path: (number, element) for number, (path, element) in enumerate(tree.places(domain))}
    lines = []
    for item in report:
        line = asdict(item)
        number, element = places.get(item.path) or places.get(item.path.rpartition("/")[0], (0, domain))
        if not item.value and item.path in places:
            line["value"] = _short(element)
        lines.append((number, line))
    lines.sort(key=lambda found: found[0])
    return {**brief(entry), "revision": n, "created": created, "report": [line for _, line in lines]}


def _short(element: Element) -> str:
    """Give an element's values in a few words; where it is, is said by its address."""
    if isinstance(element, PciAddress) and element.given:
        return f"pci {element.domain or 0:04x}:{element.bus or 0:02x}:{element.slot or 0:02x}.{element.function or 0}"
    words = [value for path, value in tree.leaves(element) if "address/" not in path and value]
    text = " ".join(dict.fromkeys(words))
    return text if len(text) <= _SHORT else text[: _SHORT - 1] + "…"


def actions(found: Iterable[Action]) -> list[Answer]:
    """Give the action log."""
    return [
        {
            "verb": a.verb,
            "name": a.name,
            "uuid": a.uuid,
            "user": a.author.user,
            "client": a.author.client,
            "command": a.author.command,
            "outcome": a.outcome,
            "detail": _plain(a.detail),
            "at": a.at.isoformat() if a.at is not None else "",
        }
        for a in found
    ]


def _plain(detail: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value if isinstance(value, str | int | float | bool) else str(value) for key, value in detail.items()}
