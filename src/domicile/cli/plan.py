"""`domicile plan`, `apply`: what a new definition would do, before anything happens, and then all of it or nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from domicile.base.errors import InvalidRequest
from domicile.cli import connection, definition, edit, screen
from domicile.cli.command import Argument, Option, command, document, read_document, state
from domicile.cli.connection import calls
from domicile.cli.words import pick, say

Answer = dict[str, Any]
_SIGNS = {"added": "+", "removed": "-", "changed": "~", "moved": "~"}
_STYLES = {"live": "green", "start": "yellow", "anew": "red"}
_LONG = 60


@command(
    "plan",
    Argument(["what"], metavar="FILE|VM"),
    Argument(["how"], metavar="[edit]", required=False, type=click.Choice(["edit"])),
    Option(["--strict"], is_flag=True),
    Option(["--keep/--fresh"], default=None),
)
def plan_(what: str, how: str | None, strict: bool, keep: bool | None) -> None:
    """Say what a new definition would do."""
    if how == "edit":
        path = _edited(what)
        if path is None:
            return
        _plan(str(path), strict, keep)
    elif what == "-" or Path(what).is_file() or "/" in what or what.endswith(".xml"):
        _plan(what, strict, keep)
    else:
        waiting: Answer = connection.ask(state(), calls.pending, what)
        if state().json:
            screen.json(waiting)
        elif not waiting["differences"]:
            screen.out(say("p_nothing_waits", name=waiting["name"]))
        else:
            screen.out(screen.paint(say("p_waits", name=waiting["name"]), "bold"))
            table(waiting["differences"])


def _edited(vm: str) -> Path | None:
    """Let a person edit what is stored; the text is kept, for `apply` takes it."""
    with connection.connect(state()) as client:
        shown = connection.ask_of(client, calls.show, vm, 0, 2)
    path = edit.draft(shown)
    edit.editor(path)
    if path.read_text(errors="surrogateescape") == shown["xml"]:
        edit.discard(path)
        screen.out(say("unchanged"))
        return None
    return path


def _plan(file: str, strict: bool, keep: bool | None) -> None:
    answer: Answer = connection.ask(state(), calls.plan, read_document(file), int(strict), keeping(keep))
    if state().json:
        screen.json({**answer, "file": file})
        return
    if answer["new"]:
        screen.out(say("p_new", name=answer["name"]))
    elif not answer["differences"]:
        screen.out(say("p_same", name=answer["name"]))
    else:
        runs = answer["id"] >= 0
        screen.out(screen.paint(say("p_head_runs" if runs else "p_head_off", name=answer["name"]), "bold"))
        table(answer["differences"])
    definition.entries(answer["name"], answer["report"], whole=False)
    if file != "-":
        screen.hint(say("p_apply", file=file, digest=answer["digest"]))


def keeping(keep: bool | None) -> int:
    """Say in the daemon's number what becomes of that which a document leaves open."""
    return 0 if keep is None else 1 if keep else 2


def table(differences: list[Answer]) -> None:
    """Print differences: when each counts, whether the guest sees it, what it stands against; and why it waits."""
    rows = []
    for one in differences:
        blocks = ", ".join(dict.fromkeys(say(f"p_{block['what']}") for block in one["blocks"]))
        when = screen.paint(say(f"p_when_{one['when']}"), _STYLES[one["when"]])
        rows.append([when, say("yes" if one["guest"] else "no"), blocks, words(one)])
    screen.table([say(key) for key in ("p_when", "p_guest", "p_blocks", "p_change")], rows)
    for one in differences:
        if one["why"]:
            screen.out(screen.paint("  " + say("p_why", path=one["path"], why=" ".join(one["why"].split())), "dim"))
        for block in one["blocks"]:
            told = say("p_against", path=one["path"], what=say(f"p_{block['what']}"), why=pick(block))
            screen.out(screen.paint(f"  {told}", "dim"))


def words(one: Answer) -> str:
    """Say in one line what changes."""
    old, new = (_short(one[key]) for key in ("old", "new"))
    if one["kind"] == "moved":
        values = say("moved", old=old, new=new)
    else:
        values = " → ".join([old, new]) if one["kind"] == "changed" else old or new
    place = one["path"]
    if one["subject"] and one["kind"] in ("added", "removed") and "<" in (one["old"] or one["new"]):
        return f"{_SIGNS[one['kind']]} {place} ({one['subject']})"
    return f"{_SIGNS[one['kind']]} {place}: {values}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONG else line[: _LONG - 1] + "…"


@command(
    "apply",
    document(),
    Option(["--plan"], metavar="DIGEST"),
    Option(["--strict"], is_flag=True),
    Option(["--keep/--fresh"], default=None),
    Option(["--why"], metavar="TEXT"),
)
def apply_(file: str, plan: str | None, strict: bool, keep: bool | None, why: str | None) -> None:
    """Bring a new definition about, live parts included."""
    if plan is not None and not plan.strip():
        raise InvalidRequest(say("p_no_digest"))
    done: Answer = connection.ask(state(), calls.apply, read_document(file), int(strict), keeping(keep), plan, why)
    done["state"] = connection.word(done["state"])
    if state().json:
        screen.json(done)
        return
    screen.out(say("defined" if done["created"] else "redefined", name=done["name"], revision=done["revision"]))
    live = sum(one["when"] == "live" for one in done["differences"])
    if live:
        screen.out("  " + screen.paint(say("p_done", count=live, steps=", ".join(done["done"])), "green"))
    rest = [one for one in done["differences"] if one["when"] != "live"]
    if rest and done["id"] >= 0:
        screen.out("  " + say("p_rest", count=len(rest)))
        table(rest)
    definition.entries(done["name"], done["report"], whole=False)
