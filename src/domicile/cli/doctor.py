"""`domicile doctor`: whether this host is fit for virtual machines, and what to do where it is not."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from domicile.base.errors import DomicileError
from domicile.cli import connection, screen
from domicile.cli.command import command, state
from domicile.cli.words import pick, say

_STYLES = {"good": "green", "note": "yellow", "bad": "red"}


@command("doctor")
def doctor_() -> None:
    """Examine the host."""
    found = _asked()
    if state().json:
        screen.json(found)
    else:
        width = max(screen.wide(one["subject"]) for one in found)
        marks = {level: say(f"d_{level}") for level in _STYLES}
        for one in found:
            room = " " * (width - screen.wide(one["subject"]))
            mark = screen.paint(
                marks[one["level"]] + " " * (6 - screen.wide(marks[one["level"]])), _STYLES[one["level"]]
            )
            screen.out(f"{mark}{one['subject']}{room}  {pick(one)}")
            if pick(one, "remedy_"):
                screen.out(f"{' ' * (8 + width)}{screen.paint(say('d_remedy') + ': ' + pick(one, 'remedy_'), 'cyan')}")
    if any(one["level"] == "bad" for one in found):
        raise click.exceptions.Exit(1)


def _asked() -> list[dict[str, Any]]:
    """Ask the daemon, whose eyes count; look for oneself where none answers."""
    from domicile.cli import words

    def both(level: str, key: str, **fields: Any) -> dict[str, Any]:
        english, chinese = words.WORDS[key]
        filled = {"en": english.format(**fields), "zh": chinese.format(**fields)}
        return {"subject": say("d_daemon"), "level": level, **filled, "remedy_en": "", "remedy_zh": ""}

    try:
        with connection.connect(state(), start=False) as client:
            host = connection.ask_of(client, connection.calls.host_info)
            fields = {"socket": host["socket"], "version": host["version"], "count": host["domains"]}
            return [both("good", "d_answers", **fields), *connection.ask_of(client, connection.calls.doctor)]
    except DomicileError as error:
        silent = both("note", "d_silent", why=error.message)
    import dataclasses
    import os

    from domicile.service import doctor
    from domicile.service.paths import Paths

    root = state().root
    paths = Paths.below(root) if root is not None else Paths.system() if os.geteuid() == 0 else Paths.session()
    return [silent, *(dataclasses.asdict(finding) for finding in asyncio.run(doctor.examine(paths)))]
