"""`domicile history`, `show`, `diff`, `rollback`, `log`: what was, who changed it, and the way back."""

from __future__ import annotations

from typing import Any

import click

from domicile.cli import connection, screen
from domicile.cli.command import Argument, Option, command, machine, state
from domicile.cli.connection import calls
from domicile.cli.words import pick, say

Answer = dict[str, Any]
_REVISION = click.IntRange(min=1)
_SIGNS = {"added": ("+", "green"), "removed": ("-", "red"), "changed": ("~", "yellow"), "moved": ("~", "yellow")}


@command("history", machine(), Option(["--limit", "-n"], type=click.IntRange(min=0), default=0, metavar="N"))
def history_(vm: str, limit: int) -> None:
    """List revisions."""
    found: list[Answer] = connection.ask(state(), calls.history, vm, limit)
    if state().json:
        screen.json(found)
        return
    rows = [
        [
            str(one["revision"]),
            say(f"kind_{one['kind']}"),
            screen.moment(one["at"]),
            one["user"],
            one["client"],
            str(one["changes"]) if "changes" in one else "",
            one["why"],
        ]
        for one in found
    ]
    screen.table(
        [say(key) for key in ("revision", "kind", "when", "who", "client", "changes", "why")], rows, right=(0, 5)
    )


@command(
    "show",
    machine(),
    Argument(["rev"], type=_REVISION),
    Option(["--author"], is_flag=True),
    Option(["--security-info"], is_flag=True),
)
def show_(vm: str, rev: int, author: bool, security_info: bool) -> None:
    """Print a revision."""
    answer = connection.ask(state(), calls.show, vm, rev, int(author) | (2 if security_info else 0))
    if state().json:
        screen.json(answer)
    else:
        screen.out(answer["xml"].rstrip("\n"))


@command("rollback", machine(), Argument(["rev"], type=_REVISION), Option(["--why"], metavar="TEXT"))
def rollback_(vm: str, rev: int, why: str | None) -> None:
    """Go back to a revision."""
    done = connection.ask(state(), calls.rollback, vm, rev, why)
    done["state"] = connection.word(done["state"])
    if state().json:
        screen.json(done)
        return
    screen.out(say("rolled_back", name=done["name"], from_=rev, revision=done["revision"]))
    if done["id"] >= 0 and done["pending"]:
        screen.out("  " + say("at_next_start"))


@command(
    "diff",
    machine(),
    Argument(["old"], type=_REVISION, required=False, metavar="A"),
    Argument(["new"], type=_REVISION, required=False, metavar="B"),
)
def diff_(vm: str, old: int | None, new: int | None) -> None:
    """Compare revisions."""
    answer: Answer = connection.ask(state(), calls.diff, vm, old or 0, new or 0)
    if state().json:
        screen.json(answer)
        return
    one, other = answer["old"], answer["new"]
    words = {"name": other["name"], "old": one["revision"], "new": other["revision"]}
    if not answer["changes"]:
        screen.out(say("same", **words))
        return
    key = "between_running" if answer["running"] == one["revision"] else "between"
    screen.out(screen.paint(say(key, **words), "bold"))
    subject = None
    for change in answer["changes"]:
        if change["subject"] != subject:
            subject = change["subject"]
            screen.out(screen.paint(subject or say("whole"), "cyan"))
        _change(change)


def _change(change: Answer) -> None:
    """Print one change: where, from what to what, what it is, and when it counts."""
    sign, style = _SIGNS[change["kind"]]
    old, new = change["old"].splitlines(), change["new"].splitlines()
    if change["kind"] == "moved":
        head = say("moved", old=change["old"], new=change["new"])
    elif len(old) <= 1 and len(new) <= 1:
        head = " → ".join([*old, *new]) if change["kind"] == "changed" else "".join([*old, *new])
    else:
        head = ""
    place = screen.paint(f"{sign} {change['path']}", style)
    screen.out(f"  {place}" + (f": {head}" if head else ""))
    if not head:
        for line in new or old:
            screen.out(screen.paint(f"      {line}", style))
    counts = say(f"x_when_{change['effect']}").lstrip(";；.。 ")
    meaning = f"{pick(change)} {counts[:1].upper()}{counts[1:]}"
    screen.out(screen.paint(f"      {meaning.rstrip()}", "dim"))


@command("log", machine(required=False), Option(["--limit", "-n"], type=click.IntRange(min=1), default=50, metavar="N"))
def log_(vm: str | None, limit: int) -> None:
    """List what was done."""
    found: list[Answer] = connection.ask(state(), calls.log, vm, limit)
    if state().json:
        screen.json(found)
        return
    if not found:
        screen.hint(say("no_log"))
        return
    rows = [
        [screen.moment(a["at"]), a["name"], a["verb"], a["user"], a["client"], a["outcome"], _detail(a)] for a in found
    ]
    screen.table([say(key) for key in ("when", "name", "verb", "who", "client", "outcome", "why")], rows)


def _detail(action: Answer) -> str:
    return ", ".join(f"{key} {value}" for key, value in action["detail"].items())
