"""`domicile adapt`: a document from another host made to run here, each change with its reason and what the guest notices."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from domicile.base.errors import DomicileError, HostFailure, InvalidRequest
from domicile.cli import connection, screen
from domicile.cli.command import Option, command, document, read_document, state
from domicile.cli.words import pick, say

if TYPE_CHECKING:
    from domicile.domain.adapt import Adapted, Adjustment


@command(
    "adapt",
    document(),
    Option(["--map", "maps"], multiple=True, metavar="OLD=NEW"),
    Option(["--write", "write"], type=click.Path(path_type=Path, dir_okay=False), metavar="FILE"),
    Option(["--in-place"], is_flag=True),
)
def adapt_(file: str, maps: tuple[str, ...], write: Path | None, in_place: bool) -> None:
    """Adapt a document."""
    from domicile.cli.offline import Local

    adapted = Local.look().adapt(read_document(file), mapping(maps), networks())
    target = write or (Path(file) if in_place and file != "-" else None)
    if target is not None:
        _write(target, adapted.text)
    if state().json:
        screen.json({**as_json(adapted), "written": str(target) if target else None})
    else:
        _tell(file, adapted, target)
    if not adapted.runnable:
        raise click.exceptions.Exit(1)


def mapping(words: tuple[str, ...]) -> dict[str, str]:
    """Read OLD=NEW pairs. Raises: InvalidRequest."""
    found = {}
    for word in words:
        old, equals, new = word.partition("=")
        if not (old and equals and new):
            raise InvalidRequest(say("bad_map", value=word))
        found[old] = new
    return found


def networks() -> frozenset[str]:
    """Name the virtual networks that a daemon here knows; none where none answers."""
    with contextlib.suppress(DomicileError, OSError), connection.connect(state(), start=False) as client:
        return frozenset(connection.ask_of(client, connection.calls.host_info).get("networks", ()))
    return frozenset()


def as_json(adapted: Adapted) -> dict[str, Any]:
    """Give what was changed, and the document."""
    import dataclasses

    return {
        "runnable": adapted.runnable,
        "adjustments": [dataclasses.asdict(a) for a in adapted.adjustments],
        "problems": [dataclasses.asdict(p) for p in adapted.problems],
        "xml": adapted.text,
    }


def _write(path: Path, text: str) -> None:
    try:
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
    except OSError as error:
        raise HostFailure(say("cannot_write", path=path, why=error.strerror or str(error))) from None


def _tell(file: str, adapted: Adapted, target: Path | None) -> None:
    if not adapted.adjustments and adapted.runnable:
        screen.out(screen.paint(say("ad_none", file=file), "green"))
    for one in adapted.adjustments:
        _adjustment(file, one)
    for problem in adapted.problems:
        screen.out(screen.place(file, problem.line, problem.path) + screen.paint(problem.message, "red"))
    left = len(adapted.problems) + sum(a.open for a in adapted.adjustments)
    if left:
        screen.out(screen.paint(say("ad_left", count=left), "red"))
    if target is not None:
        screen.out(screen.paint(say("ad_written", path=target), "green"))
    elif adapted.adjustments:
        screen.out(screen.paint(say("ad_dry"), "dim"))


def _adjustment(file: str, one: Adjustment) -> None:
    if one.new:
        what = say("ad_from_to", old=one.old, new=one.new)
    else:
        what = say("ad_open" if one.open else "ad_removed", old=one.old)
    screen.out(screen.place(file, one.line, one.path) + screen.paint(what, "red" if one.open else "yellow"))
    screen.out(f"    {screen.paint(say('ad_why'), 'cyan')}: {pick({'en': one.why.en, 'zh': one.why.zh})}")
    if one.notice.en:
        screen.out(f"    {screen.paint(say('ad_notice'), 'cyan')}: {pick({'en': one.notice.en, 'zh': one.notice.zh})}")
