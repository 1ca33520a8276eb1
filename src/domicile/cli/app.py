"""The root command: global options, the list of commands loaded when called, errors as one line and an exit status.

Called by `cli.main`; every command stands in the module that COMMANDS names.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Any

import click

from domicile import __version__
from domicile.base.errors import DomicileError, InvalidDocument
from domicile.cli import manual, words
from domicile.cli.command import Option, State, common
from domicile.cli.words import say

#: The sections of `domicile --help`, and in which module each command is.
COMMANDS: dict[str, dict[str, str]] = {
    "look": {"list": "listing", "info": "info", "find": "find", "query": "query", "impact": "impact", "xml": "definition", "explain": "explain", "argv": "explain"},
    "define": {
        "create": "create", "define": "definition", "edit": "edit", "plan": "plan", "apply": "plan", "undefine": "definition", "undelete": "definition",
        "check": "check", "adapt": "adapt", "import": "importing",
    },
    "run": {
        "start": "life", "shutdown": "life", "reboot": "life", "reset": "life", "destroy": "life", "suspend": "life",
        "resume": "life", "autostart": "life", "console": "console", "migrate": "migrate", "host": "host",
    },
    "past": {
        "history": "history", "show": "history", "diff": "history", "blame": "past", "at": "past", "rollback": "history",
        "log": "history",
    },
    "storage": {"network": "network", "pool": "pool", "volume": "volume", "secret": "secret"},
    "database": {"db": "db"},
    "help": {"doctor": "doctor", "completion": "completion"},
}  # fmt: skip
_MODULES = {name: module for section in COMMANDS.values() for name, module in section.items()}


class Root(click.Group):
    """The group of all commands, each imported when it is wanted."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands by section."""
        return list(_MODULES)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import a command."""
        module = _MODULES.get(name)
        if module is None:
            return None
        found = importlib.import_module(f"domicile.cli.{module}")
        command: click.Command = getattr(found, f"{name}_")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or say which ones are near."""
        if args and args[0] not in _MODULES and not ctx.resilient_parsing:
            import difflib

            near = difflib.get_close_matches(args[0], _MODULES, 3)
            hint = say("near", names=", ".join(near)) if near else say("see_help")
            raise click.UsageError(say("no_command", name=args[0], hint=hint), ctx)
        return super().resolve_command(ctx, args)

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """Give --help in the language wanted."""
        return manual.help_option(super().get_help_option(ctx))

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the help: what Domicile is, its commands by section, options, examples."""
        page = manual.page("domicile")
        manual.usage(formatter, "domicile", "[OPTIONS] COMMAND [ARGS]…")
        manual.body(formatter, page)
        for section, names in COMMANDS.items():
            with formatter.section(say(f"section_{section}")):
                formatter.write_dl([(name, manual.page(name).summary) for name in names])
        self.format_options(ctx, formatter)
        manual.examples(formatter, page)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the global options."""
        records = [record for p in self.get_params(ctx) if (record := p.get_help_record(ctx)) is not None]
        with formatter.section(say("options")):
            formatter.write_dl(records)


def _version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        click.echo(f"domicile {__version__}")
        ctx.exit()


@click.pass_context
def _root(ctx: click.Context, root: Path | None, socket: Path | None) -> None:
    state: State = ctx.ensure_object(State)
    state.root = root or (
        Path(os.environ["DOMICILE_ROOT"]) if os.environ.get("DOMICILE_ROOT") and socket is None else None
    )
    state.socket = socket or (
        Path(os.environ["DOMICILE_SOCKET"]) if os.environ.get("DOMICILE_SOCKET") and root is None else None
    )


def command() -> Root:
    """Make the root command."""
    return Root(
        name="domicile",
        callback=_root,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
        params=[
            Option(["--root"], type=click.Path(path_type=Path, file_okay=False), metavar="DIR"),
            Option(["--socket"], type=click.Path(path_type=Path), metavar="PATH"),
            *common(),
            Option(["--version"], is_flag=True, expose_value=False, is_eager=True, callback=_version),
        ],
    )


def run(arguments: list[str] | None = None) -> None:
    """Run the command line and end with its status: 0 done, 1 refused or failed, 2 not understood."""
    given = sys.argv[1:] if arguments is None else arguments
    words.use(words.wanted(given, os.environ))
    state = State()
    try:
        status = command().main(args=given, prog_name="domicile", standalone_mode=False, obj=state)
    except click.exceptions.Abort:
        status = 130
    except click.ClickException as error:
        _complain(error.format_message(), error)
        status = error.exit_code
    except InvalidDocument as error:
        _complain(error.message.removeprefix("XML error: "))
        status = 1
    except DomicileError as error:
        _complain(" ".join(error.message.split()))
        status = 1
    except KeyboardInterrupt:
        status = 130
    except BrokenPipeError:
        # Whoever read the output has gone; that is no fault. Python must not complain of it when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 141
    raise SystemExit(status if isinstance(status, int) else 0)


def _complain(message: str, error: Any = None) -> None:
    """Say what went wrong on standard error: a line for each thing."""
    from domicile.cli import screen

    for line in message.splitlines() or [""]:
        screen.complain(line)
    if isinstance(error, click.UsageError) and error.ctx is not None:
        screen.hint(say("try_help", command=error.ctx.command_path))
