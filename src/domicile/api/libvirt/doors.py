"""All handlers together, and the service's events on their way to clients. Called by the daemon's wiring."""

from __future__ import annotations

import importlib
import pkgutil

from domicile.api import libvirt
from domicile.api.libvirt import domain_event, network, secret, storage_pool
from domicile.api.libvirt.registry import Registry
from domicile.api.libvirt.server import Server
from domicile.api.libvirt.wire import wire_handlers
from domicile.service.service import Service


def registry() -> Registry[Service]:
    """Merge the handlers of every module of this package that has some."""
    merged: Registry[Service] = Registry()
    for module in pkgutil.iter_modules(libvirt.__path__):
        found = getattr(importlib.import_module(f"{libvirt.__name__}.{module.name}"), "handlers", None)
        if isinstance(found, Registry):
            merged = merged.merge(found)
    return wire_handlers(merged)


def publish(server: Server[Service]) -> None:
    """Send the service's events to the clients that asked for them."""
    domain_event.follow(server)
    network.follow(server)
    storage_pool.follow(server)
    secret.follow(server)
