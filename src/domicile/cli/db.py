"""`domicile db`: the database itself: how it stands, backed up, restored, moved, upgraded, checked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from domicile.base.errors import InvalidRequest
from domicile.cli import connection, screen
from domicile.cli.command import Argument, Option, command, state
from domicile.cli.words import say
from domicile.service.paths import Paths
from domicile.service.place import Place, configured, named

if TYPE_CHECKING:
    from domicile.store.transfer import Sum

#: What is done, how many words it needs and takes, and what is said where there are others.
ACTIONS = {
    "status": (0, 0, "db_usage_status"),
    "backup": (1, 1, "db_usage_backup"),
    "restore": (1, 1, "db_usage_restore"),
    "migrate": (2, 2, "db_usage_migrate"),
    "upgrade": (0, 1, "db_usage_upgrade"),
    "check": (0, 1, "db_usage_check"),
}


@command(
    "db",
    Argument(["action"], type=click.Choice(tuple(ACTIONS))),
    Argument(["place"], nargs=-1, metavar="[FILE|DATABASE]..."),
    Option(["--database"], metavar="DATABASE"),
    Option(["--password-file"], type=click.Path(dir_okay=False), default="", metavar="FILE"),
)
def db_(action: str, place: tuple[str, ...], database: str | None, password_file: str) -> None:
    """See to the database."""
    least, most, usage = ACTIONS[action]
    if not least <= len(place) <= most:
        raise InvalidRequest(say(usage))
    if action == "status":
        _status()
        return
    from domicile.service import keeping

    mine = _named(database, password_file) if database else configured(_paths())
    if action == "backup":
        _copied("db_backed_up", place[0], keeping.backup(mine, Path(place[0]), _told))
    elif action == "restore":
        saved = Place(f"sqlite:///{Path(place[0]).absolute()}")
        _copied("db_restored", place[0], keeping.move(saved, mine, _told, _paths()))
    elif action == "migrate":
        source, target = (_named(one, password_file) for one in place)
        _copied("db_migrated", place[1], keeping.move(source, target, _told, _paths()))
    elif action == "upgrade":
        before, after = keeping.upgrade(_named(place[0], password_file) if place else mine)
        if state().json:
            screen.json({"before": before, "after": after})
        else:
            screen.out(say("db_upgraded" if before != after else "db_newest", before=before or "-", after=after))
    else:
        _check(*keeping.check(_named(place[0], password_file) if place else mine))


def _paths() -> Paths:
    import os

    root = state().root
    if root is not None:
        return Paths.below(root)
    return Paths.system() if os.geteuid() == 0 else Paths.session()


def _named(word: str, password_file: str) -> Place:
    return named(word, "" if "://" not in word else password_file)


def _told(table: str, rows: int) -> None:
    if rows and not state().json:
        screen.hint(say("db_table", table=table, rows=rows))


def _copied(words: str, place: str, sums: dict[str, Sum]) -> None:
    if state().json:
        screen.json({name: {"rows": one.rows, "digest": one.digest} for name, one in sums.items()})
    else:
        screen.out(say(words, place=place, domains=sums["domain"].rows, revisions=sums["revision"].rows))


def _check(faults: list[str], sums: dict[str, Sum]) -> None:
    if state().json:
        tables = {name: {"rows": one.rows, "digest": one.digest} for name, one in sums.items()}
        screen.json({"faults": faults, "tables": tables})
    else:
        for fault in faults:
            screen.complain(fault)
        if sums:
            rows = [[name, str(one.rows), one.digest] for name, one in sums.items()]
            screen.table([say("db_h_table"), say("db_h_rows"), say("db_h_digest")], rows, right=(1,))
        if not faults:
            screen.out(say("db_whole"))
    if faults:
        raise SystemExit(1)


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
