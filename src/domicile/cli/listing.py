"""`domicile list`: all virtual machines with their state."""

from __future__ import annotations

from typing import Any

from domicile.cli import connection, screen
from domicile.cli.command import Option, command, state
from domicile.cli.words import say


@command(
    "list",
    Option(["--all", "-a"], is_flag=True),
    Option(["--running"], is_flag=True),
    Option(["--off"], is_flag=True),
    Option(["--name", "names"], is_flag=True),
)
def list_(all: bool, running: bool, off: bool, names: bool) -> None:
    """List the virtual machines."""
    with connection.connect(state()) as client:
        found: list[dict[str, Any]] = connection.ask_of(client, connection.calls.domains)
        connection.tell_age(client)
    shown = [one for one in found if all or not (running or off) or (one["id"] >= 0) == running]
    for one in shown:
        one["state"] = connection.word(one["state"])
    if state().json:
        screen.json(shown)
    elif names:
        for one in shown:
            screen.out(one["name"])
    elif not shown:
        screen.hint(say("none"))
    else:
        headers = [say(key) for key in ("id", "name", "state", "cpus", "memory", "machine", "autostart", "revision")]
        titled = any(one["title"] for one in shown)
        screen.table(
            [*headers, *([say("title")] if titled else [])], [_row(one, titled) for one in shown], right=(0, 3, 4)
        )


def _row(one: dict[str, Any], titled: bool) -> list[str]:
    revision = str(one["revision"]) if one["persistent"] else ""
    row = [
        str(one["id"]) if one["id"] >= 0 else "",
        screen.paint(one["name"], "bold"),
        screen.state(one["state"]),
        str(one["vcpus"]),
        screen.size(one["memory_kib"] * 1024),
        one["machine"],
        say("yes" if one["autostart"] else "no"),
        f"{revision} ({_pending(one)})" if one["pending"] else revision,
    ]
    return [*row, one["title"]] if titled else row


def _pending(one: dict[str, Any]) -> str:
    """Say that what is stored is not what runs, and how much of it."""
    count = one.get("pending_changes")
    return say("pending_count", count=count) if count else say("pending")
