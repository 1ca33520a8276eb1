"""`domicile define`, `undefine`, `undelete`, `xml`: documents into the store and out of it."""

from __future__ import annotations

from typing import Any

from domicile.cli import connection, screen
from domicile.cli.command import Option, command, document, machine, read_document, state
from domicile.cli.connection import calls, remote
from domicile.cli.words import pick, say
from domicile.rpc.client import Client

#: virDomainXMLFlags. Source: libvirt-domain.h.
_SECURE, _INACTIVE = 1, 2
_KEEP_NVRAM = 8
#: How many places one line names.
_SHOWN = 6


@command(
    "define",
    document(),
    Option(["--strict"], is_flag=True),
    Option(["--keep/--fresh"], default=None),
    Option(["--report"], is_flag=True),
    Option(["--why"], metavar="TEXT"),
)
def define_(file: str, strict: bool, keep: bool | None, report: bool, why: str | None) -> None:
    """Store a definition."""
    text = read_document(file)
    with connection.connect(state()) as client:
        done = define(client, text, strict=strict, why=why, keep=keep)
    tell(done, report=report)


def define(
    client: Client, text: str, *, strict: bool = False, why: str | None = None, head: int = 0, keep: bool | None = None
) -> dict[str, Any]:
    """Store a definition and give the daemon's answer; what it leaves open is kept or given out anew, as configured for None.

    Raises: InvalidDocument, Conflict.
    """
    keeping = 0 if keep is None else 1 if keep else 2
    done: dict[str, Any] = connection.ask_of(client, calls.define_keeping, text, int(strict), why, head, keeping)
    done["state"] = connection.word(done["state"])
    return done


def tell(done: dict[str, Any], *, report: bool = False) -> None:
    """Say what defining did; with a `report` each value that was filled in, and why."""
    if state().json:
        screen.json(done)
        return
    screen.out(say("defined" if done["created"] else "redefined", name=done["name"], revision=done["revision"]))
    entries(done["name"], done["report"], whole=report)
    if done["id"] >= 0 and done["pending"]:
        screen.out("  " + say("at_next_start"))


def entries(name: str, found: list[dict[str, Any]], *, whole: bool) -> None:
    """Say what was ignored, what is there twice, what was kept, and how much was filled in, or (`whole`) what it was."""
    for entry in found:
        if entry["kind"] in ("ignored", "duplicate"):
            screen.out("  " + screen.paint(say(entry["kind"], path=entry["path"], words=pick(entry)), "yellow"))
    kept = [entry for entry in found if entry["kind"] == "kept"]
    filled = [entry for entry in found if entry["kind"] in ("defaulted", "allocated", "added")]
    if whole:
        rows = [[say(f"r_{e['kind']}"), e["path"], e["value"], pick(e)] for e in [*kept, *filled]]
        screen.table([say(key) for key in ("kind", "path", "value", "why")], rows)
        return
    for words in dict.fromkeys(pick(entry) for entry in kept):
        paths = [entry["path"] for entry in kept if pick(entry) == words]
        shown = ", ".join(paths[:_SHOWN]) + (", …" if len(paths) > _SHOWN else "")
        screen.out("  " + say("kept_words", words=words, paths=shown))
    if filled:
        screen.out(screen.paint("  " + say("generated_count", count=len(filled), name=name), "dim"))


@command("undefine", machine())
def undefine_(vm: str) -> None:
    """Take a definition out of service."""
    with connection.connect(state()) as client:
        dom = connection.find(client, vm)
        client.call(remote.domain_undefine_flags, dom, _KEEP_NVRAM)
    if state().json:
        screen.json({"name": dom.name, "uuid": dom.uuid_text})
    else:
        screen.out(say("undefined", name=dom.name))


@command(
    "undelete", machine(), Option(["--revision"], type=int, default=0, metavar="REV"), Option(["--why"], metavar="TEXT")
)
def undelete_(vm: str, revision: int, why: str | None) -> None:
    """Bring an undefined machine back."""
    done = connection.ask(state(), calls.undelete, vm, revision, why)
    done["state"] = connection.word(done["state"])
    if state().json:
        screen.json(done)
    else:
        screen.out(say("undeleted", name=done["name"], revision=done["revision"]))


@command(
    "xml",
    machine(),
    Option(["--inactive"], is_flag=True),
    Option(["--author"], is_flag=True),
    Option(["--secrets"], is_flag=True),
)
def xml_(vm: str, inactive: bool, author: bool, secrets: bool) -> None:
    """Print a machine's document."""
    with connection.connect(state()) as client:
        if author:
            text: str = connection.ask_of(client, calls.show, vm, 0, 1)["xml"]
        else:
            flags = (_INACTIVE if inactive else 0) | (_SECURE if secrets else 0)
            text = client.call(remote.domain_get_xml_desc, connection.find(client, vm), flags)
    if state().json:
        screen.json({"xml": text})
    else:
        screen.out(text.rstrip("\n"))
