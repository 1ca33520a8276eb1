"""nftables, spoken to in JSON: commands go in whole and take effect whole. Called by the drivers of networks and of filters."""

from __future__ import annotations

import os
import shutil
import subprocess

from domicile.base.errors import HostFailure

_PATIENCE = 20.0


def load(commands: str) -> None:
    """Hand commands to nftables; all of them take effect or none. Raises: HostFailure."""
    words = [_tool(), "-j", "-f", "-"]
    try:
        done = subprocess.run(words, input=commands, capture_output=True, text=True, timeout=_PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        raise HostFailure(f"nft did not finish within {_PATIENCE:.0f} s") from None
    except OSError as error:
        raise HostFailure(f"nft could not be started: {error.strerror}") from error
    if done.returncode:
        raise HostFailure(f"nft refused: {(done.stderr or done.stdout).strip()[:500]}")


def _tool() -> str:
    found = shutil.which("nft", path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin")))
    if found is None:
        raise HostFailure("'nft' is not installed; networks and filters need the package nftables")
    return found
