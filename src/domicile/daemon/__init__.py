"""The daemon: the only place where the parts are joined."""

from domicile.daemon.main import main

__all__ = ["main"]
