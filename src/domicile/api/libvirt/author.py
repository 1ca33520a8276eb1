"""Who did something, as the store remembers it: made of the client's credentials and the call it makes.

Every handler that changes something asks here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from domicile.store.values import Author

if TYPE_CHECKING:
    from domicile.api.libvirt.session import Session
    from domicile.service.service import Service


def author(conn: Session[Service], command: str) -> Author:
    """Name the user at the other end, the program, and the command it gave."""
    return Author(user=conn.peer.user, client=conn.peer.program, command=command)
