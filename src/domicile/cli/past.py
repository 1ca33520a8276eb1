"""`domicile blame`, `at`: who set each value of a definition, and what there was at a moment."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

from domicile.base.errors import InvalidRequest
from domicile.cli import connection, screen
from domicile.cli.command import Argument, Option, command, machine, state
from domicile.cli.connection import calls
from domicile.cli.words import pick, say

Answer = dict[str, Any]
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?\Z")


@command("blame", machine(), Argument(["path"], required=False), Option(["--values"], is_flag=True))
def blame_(vm: str, path: str | None, values: bool) -> None:
    """Say who set what."""
    answer: Answer = connection.ask(state(), calls.blame, vm, path)
    if state().json:
        screen.json(answer)
    elif values:
        _values(answer)
    else:
        _lines(answer)


def _lines(answer: Answer) -> None:
    """Print the document, and beside each line who set what is on it."""
    revisions = answer["revisions"]
    rows = []
    for line in answer["lines"]:
        one = revisions.get(str(line["revision"])) if line["revision"] else None
        rows.append((_by(one) if one else ["", "", "", ""], "  " * line["depth"] + line["xml"]))
    widths = [max((screen.wide(row[0][column]) for row in rows), default=0) for column in range(4)]
    for by, xml in rows:
        head = "  ".join(word + " " * (width - screen.wide(word)) for word, width in zip(by, widths, strict=True))
        screen.out(f"{screen.paint(head, 'cyan')}  {xml}")


def _by(one: Answer) -> list[str]:
    """Say in four words who made a revision."""
    return [
        str(one["revision"]),
        screen.moment(one["at"]),
        one["user"],
        " ".join(filter(None, [one["client"], one["command"]])),
    ]


def _values(answer: Answer) -> None:
    """Print a table of values."""
    rows = []
    for line in answer["lines"]:
        for value in line["values"]:
            if not value["value"]:
                continue
            one = answer["revisions"][str(value["revision"])]
            why = say("x_generated_why", why=pick(value["why"])) if value["generated"] else say("x_yours")
            rows.append([value["path"], value["value"], *_by(one), why])
    headers = [say(key) for key in ("path", "value", "revision", "when", "who", "client", "origin")]
    screen.table(headers, rows, right=(2,))


@command("at", Argument(["time"], metavar="TIME"), machine(required=False))
def at_(time: str, vm: str | None) -> None:
    """Say what there was at a moment."""
    when = moment_of(time, datetime.now().astimezone())
    answer: Answer = connection.ask(state(), calls.at, vm, int(when.timestamp() * 1_000_000))
    if state().json:
        screen.json(answer)
        return
    screen.hint(say("at_moment", when=when.strftime("%Y-%m-%d %H:%M:%S %z")))
    found = answer["domains"]
    if not found:
        screen.out(say("at_nothing"))
        return
    headers = [say(key) for key in ("name", "at_defined", "kind", "who", "client", "ran", "since", "started_by")]
    screen.table(headers, [_at(one) for one in found], right=(1,))


def _at(one: Answer) -> list[str]:
    definition, started = one["definition"], one["started"]
    by = [""] * 4 if definition is None else [str(definition["revision"]), say(f"kind_{definition['kind']}"), definition["user"], definition["client"]]  # fmt: skip
    if started is None:
        return [one["name"], *by, say("no"), "", ""]
    ran = say("ran_revision", revision=started["revision"]) if started["revision"] else say("ran_transient")
    who = " ".join(filter(None, [started["user"], started["client"]]))
    return [one["name"], *by, ran, screen.moment(started["at"]), who]


def moment_of(text: str, now: datetime) -> datetime:
    """Read a moment: a time of today (of yesterday, where that is yet to come), a date, both, or ISO 8601 with its zone.

    Raises: InvalidRequest
    """
    clock = _CLOCK.match(text.strip())
    try:
        if clock is not None:
            hour, minute, second = (int(part or 0) for part in clock.groups())
            then = now.replace(hour=hour, minute=minute, second=second, microsecond=0)
            return then if then <= now else then - timedelta(days=1)
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise InvalidRequest(say("bad_moment", value=text)) from None
    return found.astimezone(now.tzinfo) if found.tzinfo is not None else found.astimezone()
