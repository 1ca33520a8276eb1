"""`domicile query`: which virtual machines, by any of their values in any combination, now or in the past."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from domicile.base.errors import InvalidRequest
from domicile.cli import connection, screen
from domicile.cli.command import Argument, Option, command, state
from domicile.cli.connection import calls
from domicile.cli.past import moment_of
from domicile.cli.words import say
from domicile.domain import question as asked

_NOW, _AT, _ALL = range(3)


@command(
    "query",
    Argument(["question"], nargs=-1, required=True),
    Option(["--columns"], default="", metavar="PATH,..."),
    Option(["--revision-at"], metavar="TIME"),
    Option(["--all-revisions"], is_flag=True),
    Option(["--limit", "-n"], type=click.IntRange(min=0), default=0, metavar="N"),
)
def query_(question: tuple[str, ...], columns: str, revision_at: str | None, all_revisions: bool, limit: int) -> None:
    """Ask for machines."""
    if revision_at and all_revisions:
        raise InvalidRequest(say("q_either"))
    words = " ".join(question)
    asked.read(words)  # what is wrong with it is said without a daemon
    past = _AT if revision_at else _ALL if all_revisions else _NOW
    micros = round(moment_of(revision_at, datetime.now().astimezone()).timestamp() * 1e6) if revision_at else 0
    with connection.connect(state()) as client:
        found: list[dict[str, Any]] = connection.ask_of(client, calls.query, words, columns, past, micros, limit)
        connection.tell_age(client)
    for one in found:
        if "state" in one:
            one["state"] = connection.word(one["state"])
    if state().json:
        screen.json(found)
    elif not found:
        screen.hint(say("nothing_found"))
    else:
        _table(found, [column.strip() for column in columns.split(",") if column.strip()], past)
    if not found:
        raise SystemExit(1)


def _table(found: list[dict[str, Any]], columns: list[str], past: int) -> None:
    headers = [say("name"), say("state" if past == _NOW else "revision"), *columns]
    paths = [asked.path_of(column) for column in columns]
    rows = []
    for one in found:
        second = screen.state(one.get("state", "nostate")) if past == _NOW else str(one["revision"])
        values = [", ".join(one["values"].get(path, [])) for path in paths]
        rows.append([screen.paint(one["name"], "bold"), second, *values])
    screen.table(headers, rows)
