"""`domicile edit`: a definition in the person's editor, asked again until it is right, never lost."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import click

from domicile.base.errors import DomicileError, HostFailure, InvalidDocument
from domicile.cli import connection, definition, screen
from domicile.cli.command import Option, command, machine, state
from domicile.cli.connection import calls
from domicile.cli.words import say


@command(
    "edit",
    machine(),
    Option(["--author"], is_flag=True),
    Option(["--strict"], is_flag=True),
    Option(["--why"], metavar="TEXT"),
)
def edit_(vm: str, author: bool, strict: bool, why: str | None) -> None:
    """Edit a definition."""
    with connection.connect(state()) as client:
        shown = connection.ask_of(client, calls.show, vm, 0, int(author) | 2)
    before: str = shown["xml"]
    path = draft(shown)
    kept = True
    try:
        while True:
            editor(path)
            text = path.read_bytes().decode("utf-8", "surrogateescape")
            if text == before:
                screen.out(say("unchanged"))
                kept = False
                return
            # The editor may have been open for hours: the connection is made when there is something to say.
            try:
                with connection.connect(state()) as client:
                    done = definition.define(client, text, strict=strict, why=why, head=shown["revision"])
            except InvalidDocument as error:
                for line in error.message.removeprefix("XML error: ").splitlines():
                    screen.complain(line)
                if not (sys.stdin.isatty() and click.confirm(say("edit_again"), default=True, err=True)):
                    raise click.exceptions.Exit(1) from None
                continue
            kept = False
            definition.tell(done)
            return
    except DomicileError:
        raise
    finally:
        if kept:
            screen.hint(say("kept", path=path))
        else:
            discard(path)


def draft(shown: dict[str, Any]) -> Path:
    """Put a document into a file of its own, readable by nobody else."""
    path = Path(tempfile.mkdtemp(prefix="domicile-edit-")) / f"{shown['name'].replace(os.sep, '_')}.xml"
    path.write_bytes(shown["xml"].encode("utf-8", "surrogateescape"))
    return path


def discard(path: Path) -> None:
    """Remove a draft with its directory."""
    path.unlink(missing_ok=True)
    path.parent.rmdir()


def editor(path: Path) -> None:
    """Open the person's editor and wait for its end, however long that takes. Raises: HostFailure."""
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    try:
        done = subprocess.run([*shlex.split(editor), str(path)], check=False)
    except OSError as error:
        raise HostFailure(f"{editor}: {error.strerror}") from None
    if done.returncode:
        raise HostFailure(say("editor_failed", editor=editor, status=done.returncode))
