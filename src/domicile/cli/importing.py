"""`domicile import`: the definitions of a libvirt host, with what starts by itself there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from domicile.base.errors import Conflict, DomicileError, HostFailure
from domicile.cli import connection, screen
from domicile.cli.command import Option, command, read_document, state
from domicile.cli.connection import calls
from domicile.cli.words import say
from domicile.rpc.client import Client

_WARNING = re.compile(r"\A\s*<!--.*?-->\s*", re.DOTALL)
_DOMAIN = re.compile(r"\A(?:\s|<\?xml.*?\?>|<!--.*?-->)*<(?:\w+:)?domain[\s>/]", re.DOTALL)


@dataclass(frozen=True)
class Found:
    """A definition to take over: its file, and whether it starts by itself."""

    path: Path
    autostart: bool


@command(
    "import",
    click.Argument(
        ["paths"], nargs=-1, required=True, type=click.Path(path_type=Path, exists=True), metavar="DIR|FILE…"
    ),
    Option(["--adapt", "adapting"], is_flag=True),
    Option(["--map", "maps"], multiple=True, metavar="OLD=NEW"),
)
def import_(paths: tuple[Path, ...], adapting: bool, maps: tuple[str, ...]) -> None:
    """Import definitions."""
    found = [one for path in paths for one in tree(path)]
    if not found:
        raise HostFailure(say("im_nothing", path=", ".join(map(str, paths))))
    with connection.connect(state()) as client:
        adapter = _Adapter(maps) if adapting or maps else None
        results = [_one(client, one, adapter) for one in _watched(found)]
    counts = {key: sum(r["result"] == key for r in results) for key in ("imported", "skipped", "failed")}
    if state().json:
        screen.json(results)
    else:
        _tell(results)
        screen.out(say("im_count", done=counts["imported"], skipped=counts["skipped"], failed=counts["failed"]))
    if counts["failed"]:
        raise click.exceptions.Exit(1)


def tree(path: Path) -> Iterator[Found]:
    """Find the definitions below a path: a file, /etc/libvirt/qemu, or a directory above it such as /etc/libvirt."""
    if path.is_file():
        yield Found(path, (path.parent / "autostart" / path.name).exists())
        return
    directory = next((d for d in (path / "qemu", path / "etc/libvirt/qemu") if d.is_dir()), path)
    starting = {link.name for link in (directory / "autostart").glob("*.xml")}
    for file in sorted(directory.glob("*.xml")):
        yield Found(file, file.name in starting)


class _Adapter:
    """Adapts each document as `domicile adapt` would."""

    def __init__(self, maps: tuple[str, ...]) -> None:
        from domicile.cli import adapt, offline

        self._local, self._maps, self._networks = offline.Local.look(), adapt.mapping(maps), adapt.networks()

    def __call__(self, text: str) -> tuple[str, int]:
        adapted = self._local.adapt(text, self._maps, self._networks)
        return adapted.text, len(adapted.adjustments)


def _one(client: Client, found: Found, adapter: _Adapter | None) -> dict[str, Any]:
    answer: dict[str, Any] = {"file": str(found.path), "name": found.path.stem, "autostart": found.autostart}
    try:
        text = read_document(str(found.path))
        if not _DOMAIN.match(text[:65536]):
            return {**answer, "result": "skipped", "words": say("im_skipped")}
        text, adapted = _WARNING.sub("", text), 0
        if adapter is not None:
            text, adapted = adapter(text)
        done = connection.ask_of(client, calls.import_domain, text, str(found.path), int(found.autostart))
    except Conflict:
        return {**answer, "result": "skipped", "words": say("im_here")}
    except DomicileError as error:
        return {**answer, "result": "failed", "words": error.message}
    words = say("im_done", revision=done["revision"]) + (say("im_autostart") if found.autostart else "")
    words += say("im_adapted", count=adapted) if adapted else ""
    return {
        **answer,
        "name": done["name"],
        "uuid": done["uuid"],
        "result": "imported",
        "adapted": adapted,
        "words": words,
    }


def _watched(found: list[Found]) -> Iterable[Found]:
    """Show progress where somebody looks and there is much to do."""
    import sys

    if state().json or len(found) < 20 or not sys.stderr.isatty():
        return found
    from rich.console import Console
    from rich.progress import track

    return track(found, description=say("im_progress"), console=Console(stderr=True), transient=True)


def _tell(results: list[dict[str, Any]]) -> None:
    styles = {"imported": "green", "skipped": "dim", "failed": "red"}
    rows = []
    for result in results:
        first, *rest = result["words"].splitlines() or [""]
        rows.append([result["name"], result["file"], screen.paint(first, styles[result["result"]])])
        rows += [["", "", screen.paint(line, "red")] for line in rest]
    screen.table([say("name"), say("file"), say("outcome")], rows)
