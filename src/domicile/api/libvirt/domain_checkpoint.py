"""Handlers of checkpoints: there are none yet, and clients that look for them are told so.

`doors` merges them with the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from domicile.api.libvirt.reference import entry_of
from domicile.api.libvirt.registry import Registry
from domicile.base.errors import NotFound
from domicile.rpc.calls import domain_snapshot as calls
from domicile.rpc.types import Checkpoint, Domain

if TYPE_CHECKING:
    from domicile.api.libvirt.session import Session
    from domicile.service.service import Service

handlers: Registry[Service] = Registry()
NO_DOMAIN_CHECKPOINT = 103


@handlers.handle(calls.domain_list_all_checkpoints)
def list_checkpoints(
    conn: Session[Service], dom: Domain, need_results: int, flags: int
) -> tuple[list[Checkpoint], int]:
    """List checkpoints."""
    entry_of(conn, dom)
    return [], 0


@handlers.handle(calls.domain_checkpoint_lookup_by_name)
def lookup_checkpoint(conn: Session[Service], dom: Domain, name: str, flags: int) -> NoReturn:
    """Find no checkpoint."""
    entry_of(conn, dom)
    raise NotFound(f"no domain checkpoint with matching name '{name}'", code=NO_DOMAIN_CHECKPOINT)
