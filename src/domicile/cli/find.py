"""`domicile find`: which virtual machines have a MAC address, an image, a bridge, or any value at all."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from domicile.base import ids
from domicile.base.errors import InvalidRequest
from domicile.cli import connection, screen
from domicile.cli.command import Argument, Option, command, state
from domicile.cli.connection import calls
from domicile.cli.words import say
from domicile.domain.leaves import PLACES
from domicile.rpc.client import Client

#: What a lone word may be.
_GUESSES = ("name", "bridge", "network", "machine", "cpu", "nic", "title", "dev", "disk")
_QUESTION = re.compile(r"(?P<path>[\w@*/\[\].:-]+?)\s*(?P<op>!=|=|<|>|~|\scontains\s)\s*(?P<value>.*)\Z", re.DOTALL)


class Question(NamedTuple):
    """A kind (with no operator) or a path, an operator and a value."""

    what: str
    op: str
    value: str


@command(
    "find", Argument(["question"], nargs=-1, required=True), Option(["--limit", "-n"], type=int, default=0, metavar="N")
)
def find_(question: tuple[str, ...], limit: int) -> None:
    """Find machines."""
    found: list[dict[str, Any]] = []
    with connection.connect(state()) as client:
        for one in questions(question):
            found += [match for match in _ask(client, one, limit) if match not in found]
    if state().json:
        screen.json(found)
    elif not found:
        screen.hint(say("nothing_found"))
    else:
        rows = [[screen.paint(m["name"], "bold"), m["path"], m["value"]] for m in found]
        screen.table([say("name"), say("path"), say("value")], rows)
    if not found:
        raise SystemExit(1)


def questions(words: tuple[str, ...]) -> list[Question]:
    """Understand what was asked; a lone value may be several kinds of thing. Raises: InvalidRequest."""
    if len(words) == 1:
        asked = _QUESTION.match(words[0])
        if asked is None:
            return _guess(words[0])
        return [_of(asked["path"], asked["op"].strip(), asked["value"])]
    if len(words) == 2 and words[1][:1] not in "=!<>~":
        return [_of(words[0], "=", words[1])]
    if len(words) == 3 and words[1] in ("=", "!=", "<", ">", "~", "contains"):
        return [_of(*words)]
    raise InvalidRequest(say("f_many"))


def _of(what: str, op: str, value: str) -> Question:
    if what == "mac":
        value = ids.parse_mac(value) or value
    if what in PLACES:
        return Question(what, "", value) if op == "=" else Question(PLACES[what], op, value)
    return Question(what, op, value)


def _guess(word: str) -> list[Question]:
    mac, uuid = ids.parse_mac(word), ids.parse_uuid(word)
    if mac is not None:
        return [Question("mac", "", mac)]
    if uuid is not None:
        return [Question("uuid", "", uuid)]
    if word.startswith("/"):
        return [Question(kind, "", word) for kind in ("disk", "kernel", "initrd", "loader", "emulator")]
    return [Question(kind, "", word) for kind in _GUESSES]


def _ask(client: Client, asked: Question, limit: int) -> list[dict[str, Any]]:
    if asked.op:
        found = connection.ask_of(client, calls.find_leaf, asked.what, asked.op, asked.value, limit)
    else:
        found = connection.ask_of(client, calls.find, asked.what, asked.value, limit)
    return list(found)
