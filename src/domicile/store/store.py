"""The store's face: each method one unit of work, one transaction, durable when it returns.

The service calls it from worker threads; every method is safe from any thread, and readers never wait for the writer.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Self

from domicile.domain.question import Question
from domicile.store import (
    actions,
    claims,
    clock,
    document,
    hosts,
    images,
    leaf_index,
    machines,
    objects,
    past,
    projections,
    query,
    revisions,
    schema,
    snapshots,
)
from domicile.store import facts as fact_index
from domicile.store.engine import Database
from domicile.store.object_store import StoredObjects
from domicile.store.query import Found
from domicile.store.reach import Reach
from domicile.store.values import (
    Action,
    Author,
    Claim,
    Draft,
    Fact,
    Head,
    HostRow,
    ImageUse,
    Kind,
    MachineRecord,
    Match,
    Moment,
    Op,
    Revision,
    SnapshotRow,
)

# How many changed domains one transaction indexes: many share pages, and the writer is held for some 0.1 s.
_LEAF_BATCH = 200
# Seconds that work over the whole database may take.
_LONG = 3600.0


class Store(StoredObjects):
    """All that Domicile knows of its domains. Every method may raise HostFailure where the database fails."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.host = ""  # whose active objects are meant where no host is named
        self._indexing = threading.Lock()

    @classmethod
    def open(cls, url: str, password: str | None = None) -> Self:
        """Open a database, made or upgraded where needed: ``sqlite:////absolute/path`` or ``postgresql://…``."""
        database = Database(url, password)
        try:
            schema.ensure(database)
        except BaseException:
            database.close()
            raise
        return cls(database)

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    # The way to the database.

    @property
    def remote(self) -> bool:
        """Whether it is a server, which may go away and which every call has to travel to."""
        return self._database.remote

    @property
    def place(self) -> str:
        """Name the database for people, without its password."""
        return self._database.place

    @property
    def reach(self) -> Reach:
        """Whether the database answers."""
        return self._database.reach

    def ping(self) -> None:
        """Ask whether it answers, also where it did not before. Raises: Unreachable."""
        self._database.ping()

    # Definitions.

    def define(
        self,
        draft: Draft,
        author: Author,
        why: str = "",
        *,
        expect_head: int | None = None,
        kind: Kind = "define",
    ) -> Revision:
        """Store a definition as its domain's next revision; `expect_head` 0 says that it must be a new domain.

        Raises: Conflict where name or uuid belong to another domain, or the head is not the expected one.
        """
        with self._database.change() as connection:
            return revisions.define(connection, draft, author, why, expect_head, kind)

    def rename(self, draft: Draft, author: Author, why: str = "", *, expect_head: int | None = None) -> Revision:
        """Store a definition that gives its domain another name. Raises: NotFound, Conflict."""
        return self.define(draft, author, why, expect_head=expect_head, kind="rename")

    def undefine(self, key: str, author: Author, why: str = "") -> Revision:
        """Take a domain (by uuid or name) out of service; its history stays. Raises: NotFound."""
        with self._database.change() as connection:
            return revisions.undefine(connection, key, author, why)

    def undelete(self, key: str, author: Author, why: str = "") -> Revision:
        """Bring an undefined domain back as it was. Raises: NotFound, Conflict where its name was taken."""
        with self._database.write() as connection:
            return revisions.undelete(connection, key, author, why)

    def set_autostart(self, key: str, on: bool) -> None:
        """Say whether the daemon starts a domain by itself. Raises: NotFound."""
        with self._database.write() as connection:
            revisions.set_autostart(connection, key, on)

    def heads(self) -> list[Head]:
        """Return all defined domains, without their documents."""
        with self._database.read() as connection:
            return revisions.heads(connection)

    def head(self, key: str) -> Head:
        """Return one defined domain by uuid or name. Raises: NotFound."""
        with self._database.read() as connection:
            return revisions.head(connection, key)

    def history(self, key: str, since: int = 0) -> list[Revision]:
        """Return all revisions of a domain from `since` on, defined or not, the first one first. Raises: NotFound."""
        with self._database.read() as connection:
            return revisions.history(connection, key, since)

    def at(self, moment: datetime, uuid: str | None = None) -> list[Moment]:
        """Say what was defined and what ran at a moment, of all domains or of one."""
        with self._database.read() as connection:
            return past.at(connection, moment, uuid)

    def revision(self, key: str, n: int) -> Revision:
        """Return one revision of a domain, defined or not. Raises: NotFound."""
        with self._database.read() as connection:
            return revisions.one(connection, key, n)

    def documents(self) -> list[tuple[str, int, str]]:
        """Return the completed documents of all defined domains, each with its uuid and revision."""
        with self._database.read(_LONG) as connection:
            return revisions.head_documents(connection)

    def completed_text(self, uuid: str) -> str:
        """Return the completed document of a defined domain. Raises: NotFound."""
        with self._database.read() as connection:
            return document.completed(revisions.head_document(connection, uuid))

    def authored_text(self, uuid: str) -> str:
        """Return the document of a defined domain as its author wrote it. Raises: NotFound."""
        with self._database.read() as connection:
            return document.unpack(revisions.head_document(connection, uuid))[2]

    # Questions.

    def find(self, kind: str, value: str) -> list[Match]:
        """Find the defined domains that have a fact."""
        with self._database.read() as connection:
            return fact_index.find(connection, kind, value)

    def find_leaf(self, path: str, op: Op, value: str) -> list[Match]:
        """Find the defined domains with a leaf at `path` for which `op value` holds.

        A path is ``devices/interface/mac/@address``; ``*`` stands for anything in a step, ``**`` for any steps,
        ``disk[2]`` for the second, ``disk`` for any. Raises: InvalidRequest.
        """
        self.catch_up()
        with self._database.read() as connection:
            return leaf_index.find(connection, path, op, value)

    def query(self, question: Question, columns: list[str], limit: int = 0) -> list[Found]:
        """Find the defined domains for which a question holds now, with the values at some paths. Raises: InvalidRequest."""
        self.catch_up()
        with self._database.read() as connection:
            return query.find(connection, question, columns, limit)

    def query_past(self, question: Question, columns: list[str], at: datetime | None, limit: int = 0) -> list[Found]:
        """Find among what was defined at a moment, or among all revisions; reads them one after another. Raises: InvalidRequest."""
        moment = None if at is None else clock.from_datetime(at)
        with self._database.read(_LONG) as connection:
            return list(query.find_past(connection, question, columns, moment, limit))

    def catch_up(self, limit: int | None = None) -> int:
        """Index the leaves of changed domains, all or `limit`; good to call when idle. Return how many there were."""
        done = 0
        with self._indexing:
            while limit is None or done < limit:
                batch = min(_LEAF_BATCH, (limit or done + _LEAF_BATCH) - done)
                moved = self._index_together(batch) if self.remote else self._index(batch)
                if not moved:
                    break
                done += moved
        return done

    def _index(self, batch: int) -> int:
        with self._database.read() as connection:
            changes = leaf_index.gather(connection, batch)
        if changes.moved:
            with self._database.write() as connection:
                leaf_index.apply(connection, changes)
        return len(changes.moved)

    def _index_together(self, batch: int) -> int:
        """Index where other daemons do so, too: one after another."""
        with self._database.read() as connection:
            if not leaf_index.stale(connection):
                return 0
        with self._database.write(_LONG) as connection:
            leaf_index.take_turn(connection)
            changes = leaf_index.gather(connection, batch)
            leaf_index.apply(connection, changes)
        return len(changes.moved)

    def rebuild_projections(self, reader: Callable[[str], tuple[Mapping[str, Any], Sequence[Fact]]]) -> int:
        """Make summaries, facts and leaves anew; `reader` gives summary and facts of a completed document."""
        with self._database.write(_LONG) as connection:
            rebuilt = projections.rebuild(connection, reader)
        self.catch_up()
        return rebuilt

    # Machines.

    def put_machine(self, record: MachineRecord, uses: Sequence[ImageUse] | None = None) -> None:
        """Store what finds a running machine again, in place of what was stored; so with its images, where they are given."""
        with self._database.write() as connection:
            machines.put(connection, record)
            if uses is not None:
                images.put(connection, record.uuid, record.host, uses)

    def observe_machine(self, uuid: str, state: int, reason: int) -> None:
        """Note the state a machine was last seen in. Raises: NotFound."""
        with self._database.write() as connection:
            machines.observe(connection, uuid, state, reason)

    def get_machines(self, host: str | None = None) -> list[MachineRecord]:
        """Return the records of all running machines, or of one host's."""
        with self._database.read() as connection:
            return machines.everyone(connection, host)

    def drop_machine(self, uuid: str, host: str | None = None, ended: Action | None = None) -> None:
        """Forget a machine that no longer runs; where a host is named, only its own. How it `ended` goes into the log."""
        with self._database.write() as connection:
            machines.drop(connection, uuid, host)
            if ended is not None:
                actions.log(connection, [ended])

    # Snapshots and checkpoints: `kind` is the root element of their documents.

    def change_snapshots(
        self,
        kind: str,
        uuid: str,
        puts: Sequence[SnapshotRow] = (),
        drops: Sequence[str] = (),
        current: str | None = None,
    ) -> None:
        """Put, drop, and choose the current one, all at once."""
        with self._database.write() as connection:
            snapshots.change(connection, kind, uuid, puts, drops, current)

    def every_snapshot(self) -> list[SnapshotRow]:
        """Return all snapshots and checkpoints of all domains, without their documents."""
        with self._database.read() as connection:
            return snapshots.every(connection)

    def snapshot_text(self, kind: str, uuid: str, name: str) -> str:
        """Return the document of one. Raises: NotFound."""
        with self._database.read() as connection:
            return snapshots.text(connection, kind, uuid, name)

    def forget_snapshots(self, uuid: str) -> None:
        """Drop all that is kept of a domain's moments."""
        with self._database.write() as connection:
            snapshots.forget(connection, uuid)

    # Claims.

    def register_host(self, name: str) -> None:
        """Make a host known, before its first claim; what was active before hosts had names becomes its own."""
        with self._database.write() as connection:
            claims.register_host(connection, name)
            objects.adopt(connection, name)
        self.host = name

    def beat(self, name: str, facts: Mapping[str, Any] | None = None) -> None:
        """Note by the database's clock that a host is there, and what it is where that is given."""
        with self._database.write() as connection:
            hosts.beat(connection, name, facts)

    def hosts(self) -> list[HostRow]:
        """Return all hosts of the fleet."""
        with self._database.read() as connection:
            return hosts.everyone(connection)

    def claim(self, uuid: str, host: str, uses: Sequence[ImageUse] = ()) -> Claim:
        """Take the right to run a domain, and its images. Raises: Conflict where it is held, ImageInUse where one is."""
        with self._database.write() as connection:
            claim = claims.take(connection, uuid, host)
            images.take(connection, uses)
            return claim

    def release(self, held: Claim) -> bool:
        """Give a claim back, with the images; False where it changed hands meanwhile."""
        with self._database.write() as connection:
            images.drop(connection, held.uuid, held.host)
            return claims.release(connection, held)

    def move_claim(self, held: Claim, to: str, record: MachineRecord | None = None, *done: Action) -> Claim:
        """Hand a claim on to another host (or renew it), with the machine's record and the log, all or nothing. Raises: Conflict."""
        with self._database.write() as connection:
            moved = claims.move(connection, held, to)
            if record is not None:
                machines.put(connection, record)
            actions.log(connection, done)
            return moved

    def claim_of(self, uuid: str) -> Claim | None:
        """Return who may run a domain now."""
        with self._database.read() as connection:
            return claims.of(connection, uuid)

    def claims_held_by(self, host: str) -> list[Claim]:
        """Return all claims of a host; its daemon asks after a restart."""
        with self._database.read() as connection:
            return claims.held_by(connection, host)

    # Images in use.

    def take_images(self, uses: Sequence[ImageUse]) -> None:
        """Note further images of one holder. Raises: ImageInUse where another writes, or would be written beside."""
        with self._database.write() as connection:
            images.take(connection, uses)

    def while_unused(self, use: ImageUse, act: Callable[[], None]) -> None:
        """Do something brief to an image that nobody has, while nobody can take it. Raises: ImageInUse."""
        with self._database.write() as connection:
            images.check(connection, [use])
            act()

    def put_images(self, holder: str, host: str, uses: Sequence[ImageUse]) -> None:
        """Note all images of one holder, whoever else has them: it runs with them already."""
        with self._database.write() as connection:
            images.put(connection, holder, host, uses)

    def drop_images(self, holder: str, host: str) -> None:
        """Forget all images of one holder."""
        with self._database.write() as connection:
            images.drop(connection, holder, host)

    def sweep_images(self, host: str, keep: Sequence[str]) -> int:
        """Forget what a host's holders had, but for those to be kept; return how many images that were."""
        with self._database.write() as connection:
            return images.sweep(connection, host, keep)

    def images_in_use(self, identities: Sequence[str]) -> list[ImageUse]:
        """Say who has images, by what identifies them."""
        with self._database.read() as connection:
            return images.of_images(connection, identities)

    # The action log.

    def log(self, *done: Action) -> None:
        """Add actions to the log."""
        with self._database.write() as connection:
            actions.log(connection, done)

    def actions(self, uuid: str | None = None, limit: int = 100) -> list[Action]:
        """Return the last actions, of all or of one domain, the newest first."""
        with self._database.read() as connection:
            return actions.recent(connection, uuid, limit)
