"""The daemon: the only place where the parts are joined."""

import sys

# structlog draws errors with rich where it finds that: seventy modules that a daemon has no use for.
_hidden = sys.modules.setdefault("rich", None) is None  # type: ignore[arg-type]
import structlog  # noqa: E402, F401

if _hidden:
    del sys.modules["rich"]

from domicile.daemon.main import main  # noqa: E402

__all__ = ["main"]
