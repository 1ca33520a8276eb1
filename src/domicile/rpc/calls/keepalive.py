"""The keepalive program: is the other side still there?

The connection answers pings itself; nobody handles these.
"""

from __future__ import annotations

from domicile.rpc.calls.programs import keepalive


@keepalive.event(1)
def ping() -> None:
    """Ask for a pong."""


@keepalive.event(2)
def pong() -> None:
    """Answer a ping."""
