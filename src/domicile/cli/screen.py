"""What people see: tables, colours where a terminal shows them, JSON where it was asked for, complaints on standard error.

Every command prints through this. `rich` is imported only where a page is laid out.
"""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from domicile.cli.words import say

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_CODES = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "magenta": "35",
    "cyan": "36",
}
_STATE_STYLES = {"running": "green", "paused": "yellow", "crashed": "red", "off": "dim", "sleeping": "yellow"}


def coloured(stream: Any = None) -> bool:
    """Say whether colours are wanted."""
    return (stream or sys.stdout).isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint(text: str, style: str, stream: Any = None) -> str:
    """Colour a text where colours are wanted."""
    code = _CODES.get(style)
    return f"\033[{code}m{text}\033[0m" if code and text and coloured(stream) else text


def state(name: str) -> str:
    """Give a state's word in its colour."""
    return paint(say(f"state_{name}"), _STATE_STYLES.get(name, ""))


def out(text: str = "") -> None:
    """Print a line."""
    sys.stdout.write(text.encode("utf-8", "surrogateescape").decode("utf-8", "replace") + "\n")


def json(value: Any) -> None:
    """Print JSON."""
    import json as library

    out(library.dumps(value, ensure_ascii=False, indent=2))


def complain(message: str) -> None:
    """Say what went wrong."""
    sys.stdout.flush()
    head = paint(say("error"), "red", sys.stderr)
    sys.stderr.write(f"domicile: {head}{message}\n")


def hint(message: str) -> None:
    """Add something to standard error that is no result."""
    sys.stderr.write(paint(message, "dim", sys.stderr) + "\n")


def wide(text: str) -> int:
    """Count the columns of a text on a terminal; colours take none, Chinese characters two."""
    columns, skipping = 0, False
    for char in text:
        if char == "\033":
            skipping = True
        elif skipping:
            skipping = char != "m"
        elif not unicodedata.combining(char):
            columns += 2 if unicodedata.east_asian_width(char) in "WF" else 1
    return columns


def table(headers: Sequence[str], rows: Iterable[Sequence[str]], right: Iterable[int] = ()) -> None:
    """Print a table; the columns in `right` are set to the right."""
    lines = [[paint(head, "bold") for head in headers], *([cell or "-" for cell in row] for row in rows)]
    widths = [max(wide(line[column]) for line in lines) for column in range(len(headers))]
    to_right = set(right)
    for line in lines:
        cells = []
        for column, cell in enumerate(line):
            room = " " * (widths[column] - wide(cell))
            cells.append(room + cell if column in to_right else cell + room)
        out("  ".join(cells).rstrip())


def console() -> Console:
    """Give the console that lays out pages; where nobody looks, nothing is cut or broken."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else 200
    return Console(width=width, highlight=False, markup=False, emoji=False, no_color=None if coloured() else True)


def page(laid_out: RenderableType) -> None:
    """Print what `rich` lays out, without blanks at the ends of lines."""
    pen = console()
    with pen.capture() as captured:
        pen.print(laid_out)
    for line in captured.get().splitlines():
        out(line.rstrip())


def place(file: str, line: int, path: str) -> str:
    """Say where in a document something is, as compilers do."""
    return paint(f"{file}:{line or '?'}: ", "bold") + (f"{path}: " if path else "")


def size(count: float) -> str:
    """Give an amount of bytes for people: ``512 MiB``."""
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(count) < 1024 or unit == "TiB":
            break
        count /= 1024
    text = f"{count:.1f}".rstrip("0").rstrip(".") if count < 100 else f"{count:.0f}"
    return f"{text} {unit}"


def span(seconds: float) -> str:
    """Give a time span for people: ``3 d 4 h``, ``12 min``."""
    seconds = max(0, int(seconds))
    parts = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
    for index, (length, unit) in enumerate(parts):
        if seconds >= length or unit == "s":
            words = f"{seconds // length} {unit}"
            rest = seconds % length // parts[index + 1][0] if unit in ("d", "h") else 0
            return f"{words} {rest} {parts[index + 1][1]}" if rest else words
    return ""


def moment(text: str) -> str:
    """Give a moment (ISO 8601) in the local time of the person."""
    from datetime import datetime

    try:
        return datetime.fromisoformat(text).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except ValueError:
        return text
