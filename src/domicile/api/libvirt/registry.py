"""Which function handles which procedure, checked against the stub when it is registered.

Each file of handlers makes one `Registry`; the daemon merges them and gives the whole to the server.

    handlers: Registry[Service] = Registry()

    @handlers.handle(domain_reboot)
    async def reboot(conn: Session[Service], dom: Domain, flags: int) -> None: ...
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from types import FunctionType
from typing import TYPE_CHECKING, Any, Concatenate, Generic, TypeVar

from domicile.rpc.call import P, R, Stub, WithFiles

if TYPE_CHECKING:
    from domicile.api.libvirt.session import Session
    from domicile.api.libvirt.stream import Stream

C = TypeVar("C")
F = TypeVar("F", bound=Callable[..., Any])
Files = tuple[int, ...]


class Entry:
    """A stub and its handler, with what dispatching needs at hand."""

    __slots__ = (
        "awaits",
        "function",
        "pack",
        "read_only",
        "streams",
        "stub",
        "takes_files",
        "unpack",
        "version",
        "withheld",
    )

    def __init__(
        self, stub: Stub[..., Any], function: Callable[..., Any], *, streams: bool = False, files: bool = False
    ) -> None:
        self.stub, self.function, self.streams, self.takes_files = stub, function, streams, files
        self.awaits = inspect.iscoroutinefunction(function)
        self.read_only, self.version = stub.read_only, stub.version
        self.withheld = stub.withheld

    def __getattr__(self, name: str) -> Any:
        """Take a codec of the stub when it is first wanted: most procedures are never called."""
        if name not in ("unpack", "pack"):
            raise AttributeError(name)
        found = self.stub.unpack_args if name == "unpack" else self.stub.pack_result
        setattr(self, name, found)
        return found


def _arity(function: Callable[..., Any]) -> int:
    """Count a function's parameters; `inspect.signature` takes twenty times as long, and there are some 300 to start."""
    if not isinstance(function, FunctionType) or hasattr(function, "__wrapped__"):
        return len(inspect.signature(function).parameters)
    code = function.__code__
    more = bool(code.co_flags & inspect.CO_VARARGS) + bool(code.co_flags & inspect.CO_VARKEYWORDS)
    return code.co_argcount + code.co_kwonlyargcount + more


class Registry(Generic[C]):
    """Handlers by program and procedure number."""

    def __init__(self) -> None:
        self.entries: dict[tuple[int, int], Entry] = {}

    def handle(
        self, stub: Stub[P, R]
    ) -> Callable[
        [Callable[Concatenate[Session[C], P], R | Awaitable[R]]], Callable[Concatenate[Session[C], P], R | Awaitable[R]]
    ]:
        """Register a handler: a plain function answers at once, a coroutine function runs as a task."""
        return lambda function: self._add(stub, function)

    def handle_stream(
        self, stub: Stub[P, R]
    ) -> Callable[
        [Callable[Concatenate[Session[C], Stream, P], R | Awaitable[R]]],
        Callable[Concatenate[Session[C], Stream, P], R | Awaitable[R]],
    ]:
        """Register the handler of a call that opens a stream; it gets the stream after the session."""
        return lambda function: self._add(stub, function, streams=True)

    def handle_files(
        self, stub: Stub[P, R]
    ) -> Callable[
        [Callable[Concatenate[Session[C], Files, P], R | Awaitable[R]]],
        Callable[Concatenate[Session[C], Files, P], R | Awaitable[R]],
    ]:
        """Register the handler of a call that open descriptors come with.

        It gets them after the session, and they are closed once it has answered: it duplicates what it keeps.
        """
        return lambda function: self._add(stub, function, files=True)

    def answer_files(
        self, stub: Stub[P, R]
    ) -> Callable[
        [Callable[Concatenate[Session[C], P], WithFiles | Awaitable[WithFiles]]],
        Callable[Concatenate[Session[C], P], WithFiles | Awaitable[WithFiles]],
    ]:
        """Register the handler of a call whose answer carries open descriptors; it gives them away."""
        return lambda function: self._add(stub, function)

    def _add(self, stub: Stub[..., Any], function: F, *, streams: bool = False, files: bool = False) -> F:
        wanted = stub.arity + 1 + streams + files
        arity = _arity(function)
        if arity != wanted:
            raise TypeError(f"{function.__name__} takes {arity} arguments, {stub.name} gives {wanted}")
        if streams != bool(stub.stream):
            raise TypeError(f"{stub.name} {'opens' if stub.stream else 'opens no'} stream")
        if files != (stub.files in ("in", "both")):
            raise TypeError(f"{stub.name} takes {'' if stub.files else 'no '}descriptors")
        self._put((stub.program, stub.number), Entry(stub, function, streams=streams, files=files))
        return function

    def _put(self, key: tuple[int, int], entry: Entry) -> None:
        if key in self.entries:
            raise ValueError(f"{entry.stub.name} has two handlers")
        self.entries[key] = entry

    def merge(self, *others: Registry[C]) -> Registry[C]:
        """Take in the handlers of others; two for one procedure are refused."""
        for other in others:
            for key, entry in other.entries.items():
                self._put(key, entry)
        return self
