"""`domicile console`: a machine's serial console on this terminal, or on whatever standard input and output are."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from domicile.base.errors import DeadlineExceeded
from domicile.cli import connection, screen
from domicile.cli.command import Option, command, machine, state
from domicile.cli.words import say
from domicile.rpc.calls.domain_device import domain_open_console
from domicile.rpc.client import Client, ClientStream

_LEAVE = b"\x1d"
_FORCE = 1
_STDIN, _STDOUT = 0, 1


@command("console", machine(), Option(["--force"], is_flag=True), Option(["--device"], metavar="ALIAS"))
def console_(vm: str, force: bool, device: str | None) -> None:
    """Open the console."""
    with connection.connect(state()) as client:
        dom = connection.find(client, vm)
        _, stream = client.open_stream(domain_open_console, dom, device, _FORCE if force else 0)
        screen.hint(say("console_open", name=dom.name))
        with _raw():
            left = _carry(client, stream)
        screen.hint("\n" + say("console_left" if left else "console_over"))


def _carry(client: Client, stream: ClientStream) -> bool:
    """Carry both ways until either side ends; say whether the person left."""
    listening = True
    while True:
        sources: list[int] = [client.fileno(), *([_STDIN] if listening else [])]
        ready = [client.fileno()] if stream.ready() else select.select(sources, [], [])[0]
        if _STDIN in ready:
            typed = os.read(_STDIN, 4096)
            # A pipe that ends says nothing of whether the person still listens; a terminal that ends is gone.
            if not typed:
                listening = False
                if os.isatty(_STDIN):
                    stream.abort()
                    return True
            elif _LEAVE in typed:
                stream.send(typed.partition(_LEAVE)[0])
                stream.abort()
                return True
            else:
                stream.send(typed)
        if client.fileno() in ready and not _print(stream):
            return False


def _print(stream: ClientStream) -> bool:
    """Print what has come; False at the end of the stream."""
    try:
        data = stream.recv(0.02)
    except DeadlineExceeded:
        return True
    if not data:
        return False
    while data:
        data = data[os.write(_STDOUT, data) :]
    return True


@contextmanager
def _raw() -> Iterator[None]:
    """Give the terminal to the guest: every key goes there."""
    if not os.isatty(_STDIN):
        yield
        return
    import termios
    import tty

    before = termios.tcgetattr(_STDIN)
    sys.stdout.flush()
    tty.setraw(_STDIN)
    try:
        yield
    finally:
        termios.tcsetattr(_STDIN, termios.TCSADRAIN, before)
