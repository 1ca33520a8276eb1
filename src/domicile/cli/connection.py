"""The way to a daemon: which socket, a session daemon started where there is none, and calls that answer in JSON.

Every command that needs a daemon opens one with `connect`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from domicile.base import ids
from domicile.base.errors import Denied, DomicileError, HostFailure, NotFound
from domicile.cli import screen
from domicile.cli.command import State
from domicile.cli.words import say
from domicile.rpc.call import Stub
from domicile.rpc.calls import domain as remote
from domicile.rpc.calls import domicile as calls
from domicile.rpc.client import Client
from domicile.rpc.types import Domain
from domicile.service.paths import Paths

__all__ = ["ask", "ask_of", "calls", "connect", "find", "remote", "state_of", "word"]
STARTING = 15.0
_STATES = ("nostate", "running", "blocked", "paused", "shutting_down", "off", "crashed", "sleeping")


def connect(state: State, *, start: bool = True) -> Client:
    """Open a connection; a user who is not root gets a session daemon of their own where there is none.

    Raises: HostFailure, Denied
    """
    if state.socket is not None:
        return Client.connect(state.socket)
    if state.root is not None:
        return Client.connect(Paths.below(state.root).socket)
    try:
        return Client.connect(Paths.system().socket)
    except (HostFailure, Denied):
        if os.geteuid() == 0:
            raise HostFailure(say("no_daemon", socket=Paths.system().socket)) from None
    try:
        return Client.connect(Paths.session().socket)
    except HostFailure:
        if not start:
            raise
    return _start_session()


def _start_session() -> Client:
    """Start the user's own daemon, in the background, and connect to it."""
    program = next(
        (p for p in (Path(sys.argv[0]).parent, Path(sys.executable).parent) if (p / "domiciled").exists()), None
    )
    words = (
        [str(program / "domiciled")] if program else [sys.executable, "-c", "from domicile.daemon import main; main()"]
    )
    deadline = time.monotonic() + STARTING
    try:
        done = subprocess.run(
            [*words, "--session"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=STARTING,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise HostFailure(say("session_failed", why=say("too_long"))) from None
    while time.monotonic() < deadline:
        try:
            return Client.connect(Paths.session().socket)
        except HostFailure:
            time.sleep(0.05)
    raise HostFailure(say("session_failed", why=done.stderr.strip() or say("too_long")))


def ask_of(client: Client, stub: Stub[Any, bytes], *args: Any) -> Any:
    """Call one of Domicile's own procedures and read its answer."""
    return msgspec.json.decode(client.call(stub, *args))


def ask(state: State, stub: Stub[Any, bytes], *args: Any) -> Any:
    """Connect, call one of Domicile's own procedures and read its answer."""
    with connect(state) as client:
        return ask_of(client, stub, *args)


def tell_age(client: Client) -> None:
    """Say on standard error how old answers are where the daemon's database is silent."""
    try:
        answer = ask_of(client, calls.database)
    except DomicileError:  # an older daemon
        return
    if not answer["answers"]:
        screen.hint(silence(answer))


def silence(answer: dict[str, Any]) -> str:
    """Say for how long the database has been silent, and of when the answers from memory are."""
    moment = datetime.fromtimestamp(answer["heard"], UTC).isoformat()
    return say("db_silent", span=screen.span(answer["age"]), moment=screen.moment(moment))


def find(client: Client, key: str) -> Domain:
    """Find a domain by name, uuid or id. Raises: NotFound."""
    try:
        return client.call(remote.domain_lookup_by_name, key)
    except NotFound:
        uuid = ids.parse_uuid(key)
        try:
            if uuid is not None:
                return client.call(remote.domain_lookup_by_uuid, bytes.fromhex(uuid.replace("-", "")))
            if key.isdigit():
                return client.call(remote.domain_lookup_by_id, int(key))
        except NotFound:
            pass
    raise NotFound(say("no_machine", name=key))


def state_of(client: Client, dom: Domain) -> dict[str, Any]:
    """Say how a domain is now; one that is gone is off."""
    try:
        now = client.call(remote.domain_lookup_by_uuid, dom.uuid)
        number, reason = client.call(remote.domain_get_state, now, 0)
    except DomicileError:
        return {"name": dom.name, "uuid": dom.uuid_text, "id": -1, "state": "off", "reason": 0}
    return {"name": now.name, "uuid": now.uuid_text, "id": now.id, "state": word(number), "reason": reason}


def word(number: int) -> str:
    """Name a state by its number."""
    return _STATES[number] if 0 <= number < len(_STATES) else "nostate"
