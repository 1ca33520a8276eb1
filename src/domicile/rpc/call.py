"""Stubs: remote procedures declared as typed signatures, their codecs compiled, and the tables that find them.

``calls`` declares with ``Program.call`` and ``Program.event``; the server and the client pack and unpack by the stubs.

    @remote.call(27, "domain:init_control")
    def domain_reboot(dom: Domain, flags: u32) -> None: ...
"""

from __future__ import annotations

import typing
from collections.abc import Callable
from typing import Any, Generic, Literal, NamedTuple, ParamSpec, TypeVar, get_args, get_origin

from domicile.rpc.conditions import CONDITIONS, Condition
from domicile.rpc.layout import Layout, layout
from domicile.rpc.xdr import Pack, Unpack, packer, unpacker

P = ParamSpec("P")
R = TypeVar("R")
Stream = Literal["", "read", "write"]
Files = Literal["", "in", "out", "both"]


class Encoded(bytes):
    """A result that is packed already; a handler that answers the same list often may keep and return it."""


class WithFiles(NamedTuple):
    """A result that open descriptors go along with; they are closed here once they are sent."""

    result: Any
    fds: tuple[int, ...]


class Stub(Generic[P, R]):
    """One declared procedure or event.

    `acl` holds the rights it needs as ``object:permission`` words; a word ``…?when`` applies only then.
    `stream` says whether the call opens a stream, and which way from the client's point of view; `files` whether open
    descriptors travel with the call ("in"), with its answer ("out") or with both.
    """

    __slots__ = (
        "_function",
        "_sometimes",
        "acl",
        "arity",
        "files",
        "is_event",
        "name",
        "number",
        "pack_args",
        "pack_result",
        "program",
        "read_only",
        "stream",
        "unpack_args",
        "unpack_result",
        "version",
    )

    pack_args: Pack
    unpack_args: Unpack
    pack_result: Pack
    unpack_result: Unpack

    def __init__(
        self,
        program: Program,
        number: int,
        function: Callable[P, R],
        acl: str,
        stream: Stream = "",
        files: Files = "",
        *,
        event: bool = False,
    ) -> None:
        self._function: Callable[..., Any] = function
        self.program, self.version, self.number, self.name = program.number, program.version, number, function.__name__
        self.acl, self.stream, self.files, self.is_event = tuple(acl.split()), stream, files, event
        self.read_only = all(_harmless(rule) for rule in self.acl)
        self.arity = function.__code__.co_argcount
        self._sometimes = _sometimes(self) if self.read_only else ()

    def __getattr__(self, name: str) -> Any:
        """Compile the codecs when the first of them is wanted."""
        if name not in ("pack_args", "unpack_args", "pack_result", "unpack_result"):
            raise AttributeError(name)
        arguments, results = self.layouts()
        self.pack_args = packer(self.name, arguments)
        self.unpack_args = unpacker(self.name, arguments)
        self.pack_result = packer(self.name, results, single=True)
        self.unpack_result = unpacker(self.name, results, single=True)
        return getattr(self, name)

    def withheld(self, args: tuple[Any, ...]) -> str:
        """Name the right that these arguments need and a read-only client has not; empty where there is none."""
        return next((right for right, place, condition in self._sometimes if condition.holds(args[place])), "")

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of its arguments."""
        return self._function.__code__.co_varnames[: self.arity]

    def layouts(self) -> tuple[list[Layout], list[Layout]]:
        """Read the layouts of the arguments and of the results from the signature."""
        hints = typing.get_type_hints(self._function, include_extras=True)
        result = hints.pop("return")
        parts = [] if result is type(None) else list(get_args(result)) if get_origin(result) is tuple else [result]
        return [layout(hint) for hint in hints.values()], [layout(part) for part in parts]

    def __repr__(self) -> str:
        return f"<{self.name} {self.program:#x}/{self.number}>"


def _sometimes(stub: Stub[..., Any]) -> tuple[tuple[str, int, Condition], ...]:
    """Resolve the rights that are needed only for some arguments: right, place of the argument, condition."""
    split = [rule.partition("?") for rule in stub.acl if "?" in rule]
    conditions = [(right, CONDITIONS[word]) for right, _, word in split]
    return tuple((right, stub.parameters.index(when.argument), when) for right, when in conditions)


def _harmless(rule: str) -> bool:
    permission = rule.rpartition(":")[2]
    return "?" in rule or permission in ("none", "getattr", "read") or permission.startswith("search_")


class Program:
    """A set of procedures under one number; `stubs` finds them by theirs."""

    def __init__(self, number: int, version: int, name: str) -> None:
        self.number, self.version, self.name = number, version, name
        self.stubs: dict[int, Stub[..., Any]] = {}

    def call(
        self, number: int, acl: str = "none", *, stream: Stream = "", files: Files = ""
    ) -> Callable[[Callable[P, R]], Stub[P, R]]:
        """Declare a procedure by its signature."""
        return lambda function: self._declare(Stub(self, number, function, acl, stream, files))

    def event(self, number: int) -> Callable[[Callable[P, None]], Stub[P, None]]:
        """Declare a message that the server sends of itself."""
        return lambda function: self._declare(Stub(self, number, function, "none", event=True))

    def _declare(self, stub: Stub[P, R]) -> Stub[P, R]:
        if stub.number in self.stubs:
            raise ValueError(
                f"{stub.name} and {self.stubs[stub.number].name} share the number {stub.number} of {self.name}"
            )
        self.stubs[stub.number] = stub
        return stub

    def procedure_name(self, number: int) -> str:
        """Name a procedure, declared or not."""
        stub = self.stubs.get(number)
        return stub.name if stub else f"procedure {number} of {self.name}"
