"""What a command is: a function with options whose help comes from the manual, in the language of the person.

Every command module uses `command`, `Option` and `Argument`; the state of the global options travels in the context.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from domicile.cli import manual, words
from domicile.cli.words import say


@dataclass
class State:
    """What the global options said."""

    root: Path | None = None
    socket: Path | None = None
    json: bool = False


def state() -> State:
    """Give what the global options said."""
    found: State = click.get_current_context().find_root().obj
    return found


class Option(click.Option):
    """An option whose help stands in the manual."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Give its help in the language wanted."""
        self.help = manual.option(ctx.command.name or "", max(self.opts, key=len))
        return super().get_help_record(ctx)


class Argument(click.Argument):
    """An argument whose help stands in the manual."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str]:
        """Give its help in the language wanted."""
        return self.make_metavar(ctx), manual.option(ctx.command.name or "", (self.name or "").upper())


class Command(click.Command):
    """A command whose help stands in the manual; it takes --json and --lang, too."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += common()

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """Give --help in the language wanted."""
        return manual.help_option(super().get_help_option(ctx))

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the page: usage, what it does, arguments, options, examples."""
        page = manual.page(self.name or "")
        manual.usage(formatter, ctx.command_path, " ".join(self.collect_usage_pieces(ctx)))
        manual.body(formatter, page)
        for heading, kind in (("arguments", click.Argument), ("options", click.Option)):
            records = [
                r for p in self.get_params(ctx) if isinstance(p, kind) and (r := p.get_help_record(ctx)) is not None
            ]
            if records:
                with formatter.section(say(heading)):
                    formatter.write_dl(records)
        manual.examples(formatter, page)


def _json(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    root = ctx.find_root()
    if root.obj is None:
        root.obj = State()
    root.obj.json = root.obj.json or value


def _language(_ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    if value:
        words.use(value)


def common() -> list[click.Parameter]:
    """Make the options that every command takes."""
    return [
        Option(["--json"], is_flag=True, expose_value=False, callback=_json),
        Option(["--lang"], type=click.Choice(words.LANGUAGES), expose_value=False, callback=_language, is_eager=True),
    ]


def command(name: str, *params: click.Parameter) -> Callable[[Callable[..., Any]], Command]:
    """Make a command of a function; the name is the manual's page."""
    return lambda function: Command(name=name, callback=function, params=list(params))


def machine(name: str = "vm", **options: Any) -> Argument:
    """Make the argument that names a virtual machine; shells complete it."""
    return Argument([name], shell_complete=_names, metavar="VM", **options)


def document(name: str = "file", **options: Any) -> Argument:
    """Make the argument that names a document; ``-`` is standard input."""
    return Argument([name], type=click.Path(allow_dash=True, dir_okay=False), metavar="FILE", **options)


def read_document(path: str) -> str:
    """Read a document from a file or from standard input. Raises: HostFailure, InvalidRequest."""
    from domicile.base.errors import HostFailure, InvalidRequest

    try:
        data = sys.stdin.buffer.read(_TOO_MUCH) if path == "-" else _read(Path(path))
    except OSError as error:
        raise HostFailure(say("cannot_read", path=path, why=error.strerror or str(error))) from None
    if len(data) == _TOO_MUCH:
        raise InvalidRequest(say("too_large", path=path, most=_MOST // 2**20))
    return data.decode("utf-8", "surrogateescape")


#: The most bytes a document may have; no more is read than shows that it has more.
_MOST = 4 * 1024 * 1024
_TOO_MUCH = _MOST + 1


def _read(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(_TOO_MUCH)


def _names(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """List the machines whose names begin so, without starting any daemon and without complaining."""
    from domicile.base.errors import DomicileError
    from domicile.cli import connection

    root = ctx.find_root()
    known = root.obj if isinstance(root.obj, State) else State()
    known.root, known.socket = known.root or root.params.get("root"), known.socket or root.params.get("socket")
    try:
        with connection.connect(known, start=False) as client:
            found: Sequence[dict[str, Any]] = connection.ask_of(client, connection.calls.domains)
    except (DomicileError, OSError):
        return []
    return [one["name"] for one in found if one["name"].startswith(incomplete)]
