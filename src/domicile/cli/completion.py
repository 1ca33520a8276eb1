"""`domicile completion`: the script by which a shell completes commands, options and the names of machines."""

from __future__ import annotations

import click
from click import shell_completion

from domicile.cli import screen
from domicile.cli.command import Argument, command


@command("completion", Argument(["shell"], type=click.Choice(["bash", "zsh", "fish"])))
def completion_(shell: str) -> None:
    """Print the script."""
    root = click.get_current_context().find_root().command
    known = shell_completion.get_completion_class(shell)
    if known is not None:
        screen.out(known(root, {}, "domicile", "_DOMICILE_COMPLETE").source())
