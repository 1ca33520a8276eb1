"""The command line `domicile`: a client of the daemon's socket like any other, and of the pure core without a daemon."""

from __future__ import annotations


def main() -> None:
    """Run it; the program's entry point."""
    from domicile.cli.app import run

    run()
