"""`domicile info`: one virtual machine on one screen."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from domicile.cli import connection, plan, screen
from domicile.cli.command import command, machine, state
from domicile.cli.words import say

Answer = dict[str, Any]
Row = tuple[str, list[str]]
#: How many pending changes are named.
_SHOWN = 5


@command("info", machine())
def info_(vm: str) -> None:
    """Show a machine as a whole."""
    with connection.connect(state()) as client:
        answer: Answer = connection.ask_of(client, connection.calls.info, vm)
        connection.tell_age(client)
    answer["state"] = connection.word(answer["state"])
    if state().json:
        screen.json(answer)
        return
    screen.out(screen.paint(answer["name"], "bold"))
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for label, values in _rows(answer):
        shown = [value for value in values if value]
        if shown:
            grid.add_row(Text("  " + label, style="cyan"), Text.from_ansi("\n".join(shown)))
    screen.page(grid)


def _rows(a: Answer) -> Iterator[Row]:
    yield say("i_uuid"), [a["uuid"]]
    yield say("i_title"), [a["title"]]
    yield say("i_description"), [a["description"]]
    since = say("i_since", span=screen.span(time.time() - a["since"]))
    yield say("i_state"), [f"{screen.state(a['state'])} {since}" + (f", id {a['id']}" if a["id"] >= 0 else "")]
    run = a.get("running")
    if run:
        cpu, resident = screen.span(run["cpu_time_ns"] / 1e9), screen.size(run["resident_kib"] * 1024)
        yield say("i_process"), [say("i_process_words", pid=run["pid"], cpu=cpu, memory=resident, qemu=run["qemu"])]
    yield say("i_machine"), [f"{a['machine']} ({a['arch']}, {a['type']}), {a['emulator']}"]
    yield say("i_cpu"), [_processors(a)]
    yield say("i_memory"), [_memory(a)]
    yield say("i_boot"), [", ".join(filter(None, [*a.get("boot", ()), a.get("firmware"), a.get("kernel")]))]
    yield say("i_ends"), [say("i_ends_words", **a["on"])]
    yield say("i_disks"), [_disk(disk) for disk in a["disks"]]
    yield say("i_networks"), [_network(nic) for nic in a["interfaces"]]
    yield say("i_displays"), [_display(display) for display in a["graphics"]]
    yield say("i_consoles"), [_console(console) for console in a["consoles"]]
    yield say("i_controllers"), [", ".join(a.get("controllers", ()))]
    yield say("i_others"), [", ".join(a["others"])]
    yield from _stored(a, run)


def _stored(a: Answer, run: Answer | None) -> Iterator[Row]:
    change = a.get("last_change")
    if change is None:
        yield say("i_definition"), [say("i_transient")]
    else:
        words = {key: change[key] for key in ("revision", "user", "client")}
        yield (
            say("i_definition"),
            [
                say(
                    "i_definition_words", **words, kind=say(f"kind_{change['kind']}"), when=screen.moment(change["at"])
                ),
                say("i_pending", running=run["revision"], revision=change["revision"], name=a["name"])
                if run and a["pending"] and run["revision"] != change["revision"]
                else "",
                *(_waiting(one) for one in a.get("waiting", ())[:_SHOWN]),
                say("i_more", count=len(a["waiting"]) - _SHOWN, name=a["name"])
                if len(a.get("waiting", ())) > _SHOWN
                else "",
            ],
        )
    yield say("i_autostart"), [say("yes" if a["autostart"] else "no")]
    yield say("i_log"), [a["log"]]


def _waiting(one: Answer) -> str:
    """Say in one line what the stored definition has that the running machine has not."""
    return screen.paint(say("i_waits", when=say(f"p_when_{one['when']}"), what=plan.words(one)), "yellow")


def _processors(a: Answer) -> str:
    count = str(a["vcpus"]) if a["vcpus"] == a["vcpus_max"] else say("i_cpus_of", now=a["vcpus"], most=a["vcpus_max"])
    shape = ", ".join(f"{key} {value}" for key, value in a.get("topology", {}).items())
    return " ".join(filter(None, [count, a["cpu"], f"({shape})" if shape else ""]))


def _memory(a: Answer) -> str:
    most, now = screen.size(a["memory_kib"] * 1024), screen.size(a["current_kib"] * 1024)
    return most if most == now else say("i_current", now=now, most=most)


def _disk(disk: Answer) -> str:
    words = [disk["target"], disk["device"], disk["bus"], disk["format"] or "", disk["source"] or say("i_empty")]
    if disk["readonly"]:
        words.append(say("i_readonly"))
    if "missing" in disk:
        words.append(screen.paint(say("i_missing", why=disk["missing"]), "red"))
    elif "size" in disk:
        words.append(f"({say('i_size', size=screen.size(disk['size']), used=screen.size(disk['used']))})")
    return " ".join(filter(None, words))


def _network(nic: Answer) -> str:
    words = [
        nic["mac"],
        nic["model"],
        f"{nic['type']} {nic['source'] or ''}".strip(),
        nic["host"] or "",
        nic["link"] or "",
    ]
    return " ".join(filter(None, words))


def _display(display: Answer) -> str:
    address, port = display["listen"], display.get("port") or display.get("tlsPort")
    if port is None:
        return " ".join(filter(None, [display["type"], address, f"({say('i_auto')})"]))
    return f"{display['type']}://{address or '127.0.0.1'}:{port}"


def _console(console: Answer) -> str:
    number = "" if console["port"] is None else str(console["port"])
    return " ".join(filter(None, [console["kind"], number, console["target"], console["type"], console["path"]]))
