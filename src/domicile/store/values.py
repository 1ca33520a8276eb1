"""The values that go into the store and come out of it; plain data, cheap to import.

Made and read by the service; the store's own modules turn them into rows and back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple

import msgspec

from domicile.store import document

_from_json = msgspec.json.Decoder(dict[str, Any]).decode
Kind = Literal["define", "edit", "import", "rollback", "rename", "undefine", "undelete"]
Op = Literal["=", "!=", "<", ">", "~", "contains"]


@dataclass(frozen=True, slots=True)
class Author:
    """Who changed something: the user, the client program, the command given."""

    user: str = ""
    client: str = ""
    command: str = ""


class Fact(NamedTuple):
    """What a domain is looked up by: ``Fact("mac", "52:54:00:…", "devices/interface[1]/mac/@address")``."""

    kind: str
    value: str
    path: str = ""


@dataclass(frozen=True, slots=True)
class Draft:
    """A completed definition on its way into the store.

    `summary` is the small dictionary that lists show (machine type, memory…); `report` is JSON: what was ignored,
    defaulted, allocated. Leaves are not given: they are read from `completed`. Where another domain has one of the facts in
    `alone`, `tell` is given these, each with who has it, and writes the report anew.
    """

    uuid: str
    name: str
    authored: str
    completed: str
    report: str = "{}"
    summary: Mapping[str, Any] = field(default_factory=dict)
    facts: Sequence[Fact] = ()
    alone: Sequence[Fact] = ()
    tell: Callable[[Sequence[tuple[Fact, Match]]], str] | None = None


@dataclass(frozen=True, slots=True)
class Revision:
    """One stored version of a domain; `n` counts from 1, `parent` is 0 for the first."""

    uuid: str
    name: str
    n: int
    kind: str
    at: datetime
    author: Author
    why: str
    parent: int
    packed: bytes = field(repr=False)
    packed_completed: bytes = field(default=b"", repr=False, compare=False)
    """The completed text alone, compressed, as `document.first_text` reads it; only of a revision that was just stored."""

    @property
    def completed(self) -> str:
        """The document with everything filled in; empty for an undefine."""
        return document.completed(self.packed)

    @property
    def authored(self) -> str:
        """The document as its author wrote it; empty for an undefine."""
        return document.unpack(self.packed)[2]

    @property
    def report(self) -> str:
        """JSON: what was ignored, defaulted, allocated."""
        return document.unpack(self.packed)[1]


class Head(NamedTuple):
    """A defined domain as lists need it, without its document; its summary is read when asked for."""

    uuid: str
    name: str
    n: int
    autostart: bool
    summary_json: str

    @property
    def summary(self) -> dict[str, Any]:
        """The small dictionary that its draft gave."""
        return _from_json(self.summary_json)


class Match(NamedTuple):
    """A domain that a query found, with the place that answered."""

    uuid: str
    name: str
    path: str
    value: str


@dataclass(frozen=True, slots=True)
class MachineRecord:
    """What a daemon must know to find a running QEMU again.

    `start_time` is the process's start in clock ticks since boot (field 22 of /proc/PID/stat); with `pid` it names
    one process for certain. `revision` is None for a domain that was never defined. `state` and `reason` are the
    last that were observed, in libvirt's numbers.
    """

    uuid: str
    name: str
    id: int
    pid: int
    start_time: int
    directory: str
    live_xml: str
    revision: int | None = None
    state: int = 0
    reason: int = 0
    facts: Mapping[str, Any] = field(default_factory=dict)
    host: str = ""
    observed_at: datetime | None = None


class ObjectHead(NamedTuple):
    """A defined network, pool, secret or filter, with its completed document."""

    uuid: str
    name: str
    n: int
    autostart: bool
    document: str


@dataclass(frozen=True, slots=True)
class ActiveObject:
    """What a daemon must know to find an active network or pool again; `facts` are its driver's own."""

    kind: str
    uuid: str
    name: str
    document: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    host: str = ""


class SnapshotRow(NamedTuple):
    """A snapshot or checkpoint of a domain; `document` None is one that was not asked for, or stays as it is stored."""

    kind: str
    domain: str
    name: str
    parent: str
    facts: Mapping[str, Any]
    document: str | None = None
    current: bool = False


@dataclass(frozen=True, slots=True)
class Action:
    """Something a person or the daemon did, or tried to do, and how it ended."""

    verb: str
    author: Author
    uuid: str = ""
    name: str = ""
    outcome: str = "done"
    detail: Mapping[str, Any] = field(default_factory=dict)
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """A domain as it was at a moment: the revision that was defined (None for none), and since when it ran, if it did.

    `started` is the action that started it: by whom, of which revision, on which host.
    """

    uuid: str
    name: str
    revision: Revision | None = None
    started: Action | None = None


class HostRow(NamedTuple):
    """A host of the fleet: its identity, how many seconds ago it was last there, what it is and has."""

    name: str
    silent: float
    facts: dict[str, Any]


class Claim(NamedTuple):
    """The right of one host to run a domain; `generation` grows with every change of hands."""

    uuid: str
    host: str
    generation: int


class ImageUse(NamedTuple):
    """One image that a holder has: a running domain, or a work on a volume (`work` names it then).

    `image` is what identifies it, the same on every host that reaches it; `path` is what people call it there.
    """

    image: str
    holder: str
    host: str
    host_name: str
    name: str
    work: str
    path: str
    written: bool
    shared: bool

    @property
    def who(self) -> str:
        """Say who has it."""
        return f"{self.work} of volume '{self.name}'" if self.work else f"the running domain '{self.name}'"
