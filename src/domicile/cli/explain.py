"""`domicile explain` and `domicile argv`: what every element means, and what QEMU was told."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from domicile.cli import connection, screen
from domicile.cli.command import Argument, Option, command, machine, state
from domicile.cli.words import pick, say

Answer = dict[str, Any]
_MARKS = {"yours": ("●", "green"), "adjusted": ("◐", "yellow"), "generated": ("○", "blue")}


@command("explain", machine(), Argument(["path"], required=False), Option(["--brief"], is_flag=True))
def explain_(vm: str, path: str | None, brief: bool) -> None:
    """Explain a definition."""
    if vm == "-" or vm.endswith(".xml") or (("/" in vm) and Path(vm).is_file()):
        from domicile.cli import offline

        lines = offline.explain(vm, path)
    else:
        lines = connection.ask(state(), connection.calls.explain, vm, path, None)
    if state().json:
        screen.json(lines)
        return
    screen.out(screen.paint(say("x_legend"), "dim"))
    least = min(line["depth"] for line in lines)
    for line in lines:
        _line(line, line["depth"] - least, brief)


def _line(line: Answer, depth: int, brief: bool) -> None:
    """Print a line of the document, and below it what there is to say."""
    indent = "  " * depth
    notes = line["notes"]
    mark, style = _mark(notes[0]) if notes else (" ", "dim")
    screen.out(screen.paint(f"{mark} {indent}{line['xml']}", style if notes else "dim"))
    rows = [_note(note, holder=len(notes) > 1 and index == 0) for index, note in enumerate(notes)]
    if brief:
        rows = rows[:1]
    _print(indent, rows)
    if not brief:
        for words in line["arguments"]:
            screen.out(screen.paint(f"{indent}      → {' '.join(words)}", "magenta"))


def _print(indent: str, rows: list[tuple[str, str, str]]) -> None:
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    if not rows:
        return
    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True, min_width=10)
    grid.add_column(overflow="fold")
    for mark, name, words in rows:
        grid.add_row(Text(mark, style=_style(mark)), Text(name, style="cyan"), Text(words))
    screen.page(Padding(grid, (0, 0, 0, len(indent) + 6)))


def _style(mark: str) -> str:
    return next((style for sign, style in _MARKS.values() if sign == mark), "")


def _mark(note: Answer) -> tuple[str, str]:
    owner = note.get("owner")
    return _MARKS[owner["who"]] if owner else (" ", "")


def _note(note: Answer, *, holder: bool) -> tuple[str, str, str]:
    """Give mark, name and words of a note; an element that has attributes of its own only says what it is."""
    parts = [pick(note), _owner(note.get("owner"))]
    if note["safe"] and not holder:
        parts.append(say(f"x_safe_{note['safe']}") + say(f"x_when_{note['effect']}"))
    return _mark(note)[0], note["name"], " ".join(part for part in parts if part)


def _owner(owner: Answer | None) -> str:
    if owner is None:
        return ""
    why = pick(owner).rstrip(".。")
    if owner["who"] == "yours":
        return say("x_yours")
    if owner["who"] == "adjusted":
        return say("x_adjusted_why" if why else "x_adjusted", wrote=owner["wrote"], why=why)
    return say("x_generated_why", why=why) if why else say("x_generated")


@command("argv", machine(), Option(["--plain"], is_flag=True))
def argv_(vm: str, plain: bool) -> None:
    """Show QEMU's arguments."""
    answer: Answer = connection.ask(state(), connection.calls.argv, vm)
    if state().json:
        screen.json(answer)
    elif plain:
        every = [answer["binary"], *(word for item in answer["arguments"] for word in item["words"])]
        screen.out(" ".join(shlex.quote(word) for word in every))
    else:
        running = say("a_running", name=answer["name"], pid=answer["pid"])
        screen.out(screen.paint(running if answer["running"] else say("a_would", name=answer["name"]), "bold"))
        screen.out(answer["binary"])
        for item in answer["arguments"]:
            origin = f"/{item['origin']}" if item["origin"] else f"({say('a_always')})"
            screen.out(f"  {screen.paint(origin, 'cyan')}")
            screen.out("      " + " ".join(item["words"]))
