"""`domicile db`: the database itself: how it stands."""

from __future__ import annotations

from typing import Any

import click

from domicile.cli import connection, screen
from domicile.cli.command import Argument, command, state
from domicile.cli.words import say

ACTIONS = ("status",)


@command("db", Argument(["action"], type=click.Choice(ACTIONS)))
def db_(action: str) -> None:
    """See to the database."""
    _status()


def _status() -> None:
    answer: dict[str, Any] = connection.ask(state(), connection.calls.database)
    if state().json:
        screen.json(answer)
        return
    if answer["answers"]:
        screen.out(say("db_answers", place=answer["place"]))
    else:
        screen.out(answer["place"])
        screen.hint(connection.silence(answer))
        screen.hint(answer["why"])
    if answer["owed"]:
        screen.out(say("db_owed", count=answer["owed"]))
    if not answer["answers"]:
        raise SystemExit(1)
