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


@command("define", document(), Option(["--strict"], is_flag=True), Option(["--why"], metavar="TEXT"))
def define_(file: str, strict: bool, why: str | None) -> None:
    """Store a definition."""
    text = read_document(file)
    with connection.connect(state()) as client:
        done = define(client, text, strict=strict, why=why)
    tell(done)


def define(client: Client, text: str, *, strict: bool = False, why: str | None = None, head: int = 0) -> dict[str, Any]:
    """Store a definition and give the daemon's answer. Raises: InvalidDocument, Conflict."""
    done: dict[str, Any] = connection.ask_of(client, calls.define_report, text, int(strict), why, head)
    done["state"] = connection.word(done["state"])
    return done


def tell(done: dict[str, Any]) -> None:
    """Say what defining did."""
    if state().json:
        screen.json(done)
        return
    screen.out(say("defined" if done["created"] else "redefined", name=done["name"], revision=done["revision"]))
    for entry in done["report"]:
        if entry["kind"] == "ignored":
            screen.out("  " + screen.paint(say("ignored", path=entry["path"], words=pick(entry)), "yellow"))
    filled = sum(entry["kind"] != "ignored" for entry in done["report"])
    if filled:
        screen.out(screen.paint("  " + say("generated_count", count=filled, name=done["name"]), "dim"))
    if done["id"] >= 0 and done["pending"]:
        screen.out("  " + say("at_next_start"))


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
