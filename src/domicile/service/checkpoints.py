"""Checkpoints of domains: made, listed, described anew, deleted. Part of the service.

A checkpoint is a bitmap of its name in each disk's image; all of them go on noting changes side by side.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import structlog

from domicile.base.errors import OPERATION_FAILED, Conflict, DomicileError, InvalidRequest, Unsupported
from domicile.domain import checkpoint as documents
from domicile.domain import snapshot_plan
from domicile.domain.checkpoint import DomainCheckpoint
from domicile.domain.lineage import Lineage
from domicile.runtime import bitmap as bitmaps
from domicile.runtime import snapshot as nodes
from domicile.service import overlays
from domicile.service.changes import Running
from domicile.service.lineages import PENDING, Lineages
from domicile.service.snapshots import with_parent

if TYPE_CHECKING:
    from domicile.service.entry import Entry
    from domicile.service.service import Service
    from domicile.store.values import Author

log = structlog.get_logger(__name__)
KIND = documents.DomainCheckpoint.shape.tag
NO_DOMAIN_CHECKPOINT, _INCONSISTENT = 103, 109
_OPERATION_UNSUPPORTED = 84


class Inconsistent(DomicileError):
    """A checkpoint does not say all that changed since."""

    code, status = _INCONSISTENT, 409


class Checkpoints:
    """The use-cases about checkpoints."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.lineages = Lineages(service, KIND, "checkpoint", NO_DOMAIN_CHECKPOINT)

    # Looking.

    def of(self, entry: Entry) -> Lineage:
        """Give a domain's checkpoints by their names."""
        return self.lineages.of(entry)

    async def document(self, entry: Entry, name: str) -> DomainCheckpoint:
        """Give a checkpoint's document, read. Raises: NotFound."""
        return documents.read_stored(await self.lineages.text(entry, name))

    async def xml(self, entry: Entry, name: str, *, secrets: bool, domain: bool, sizes: bool) -> str:
        """Give a checkpoint's document, without the `domain` or with the `sizes` of what changed since.

        Raises: NotFound; WrongState where sizes are asked for of a domain that does not run.
        """
        moment = self.of(entry).find(name)
        made = await self.document(entry, name)
        if sizes:
            async with entry.changes():
                state = self._service.changes.running(entry)
                for disk in made.every_disk():
                    if disk.checkpoint == "bitmap":
                        disk.size = await self._changed(state, disk.name or "", name)
        if not domain:
            made.domain = None
        return with_parent(
            documents.write(made, secrets=secrets), moment.parent, after=("</description>\n", "</name>\n")
        )

    async def layers(self, state: Running, dev: str) -> list[str]:
        """Name the nodes of a disk's layers, the top first."""
        disk = snapshot_plan.disk_of(state.domain, dev)
        known = await nodes.layers(state.qmp)
        return next((names for path, names in known.items() if nodes.is_of(path, overlays.alias_of(disk))), [])

    async def noted(self, state: Running, dev: str, name: str) -> list[str]:
        """Name the layers of a disk that noted what changed since a checkpoint. Raises: Inconsistent."""
        layers = await self.layers(state, dev)
        known = await bitmaps.known(state.qmp)
        found = bitmaps.unbroken(layers, name, known)
        if not found or not bitmaps.usable(known[found[0]][name]):
            raise Inconsistent(f"missing or broken bitmap '{name}' for disk '{dev}'")
        return found

    async def _changed(self, state: Running, dev: str, name: str) -> int:
        """Count the bytes of a disk that changed since a checkpoint."""
        layers = await self.noted(state, dev, name)
        if len(layers) == 1:
            return int((await bitmaps.known(state.qmp))[layers[0]][name]["count"])
        made = {"node": layers[0], "name": f"domicile-size-{name}"}
        merged = {
            "node": layers[0],
            "target": made["name"],
            "bitmaps": [{"node": node, "name": name} for node in layers],
        }
        actions = [
            {"type": "block-dirty-bitmap-add", "data": {**made, "persistent": False, "disabled": True}},
            {"type": "block-dirty-bitmap-merge", "data": merged},
        ]
        await state.qmp("transaction", {"actions": actions})
        try:
            return int((await bitmaps.known(state.qmp))[layers[0]][str(made["name"])]["count"])
        finally:
            await state.qmp("block-dirty-bitmap-remove", made)

    # Making.

    async def create(self, entry: Entry, xml: str, author: Author) -> str:
        """Begin to note changes, and return the checkpoint's name.

        Raises: InvalidDocument, Unsupported, Conflict, QemuRefused
        """
        checkpoint = documents.read(xml)
        async with entry.changes():
            if entry.machine is None:
                raise Unsupported("cannot create checkpoint for inactive domain", code=_OPERATION_UNSUPPORTED)
            state = self._service.changes.running(entry)
            await self.prepare(state, checkpoint)
            name = checkpoint.name or ""
            try:
                await state.qmp("transaction", {"actions": await self.actions(state, checkpoint)})
            except BaseException:
                await self.lineages.drop(entry, [name])
                raise
            await self.keep(entry, checkpoint)
        self._service.machines.done("checkpoint-create", entry, author, checkpoint=name)
        return name

    async def prepare(self, state: Running, checkpoint: DomainCheckpoint) -> None:
        """Settle a checkpoint and note that it is being made; the caller holds the domain and sees to the rest."""
        entry = state.entry
        documents.settle(checkpoint, state.domain, int(time.time()))
        name = checkpoint.name or ""
        if name in self.of(entry):
            raise Conflict(f"domain checkpoint {name} already exists", code=OPERATION_FAILED)
        overlays.check_idle(state, [dev for dev, _ in checkpoint.noted()])
        checkpoint.domain = await self._service.saves.dormant(entry)
        await self.lineages.begin(entry, name, documents.write(checkpoint), _facts(checkpoint), {})

    async def actions(self, state: Running, checkpoint: DomainCheckpoint) -> list[dict[str, Any]]:
        """List what begins to note changes, as parts of a transaction."""
        return [bitmaps.add((await self.layers(state, dev))[0], name) for dev, name in checkpoint.noted()]

    async def keep(self, entry: Entry, checkpoint: DomainCheckpoint) -> None:
        """Keep a checkpoint that was made; it is the current one."""
        name = checkpoint.name or ""
        parent = self.of(entry).current
        await self.lineages.put(entry, name, parent, _facts(checkpoint), documents.write(checkpoint), current=True)

    async def redefine(self, entry: Entry, xml: str, author: Author, *, validate: bool = False) -> str:
        """Describe a checkpoint that exists, and return its name; with `validate` its bitmaps must be there.

        Raises: InvalidDocument, InvalidRequest, NotFound, Conflict, Inconsistent
        """
        checkpoint = documents.read(xml)
        async with entry.changes():
            lineage, name = self.of(entry), checkpoint.name or ""
            documents.redefined(checkpoint, entry.uuid, await self.document(entry, name) if name in lineage else None)
            parent = (checkpoint.parent.name if checkpoint.parent is not None else None) or ""
            if parent and parent not in lineage:
                raise InvalidRequest(f"parent {parent} for checkpoint {name} not found")
            lineage.may_descend(name, parent)
            if validate:
                state = self._service.changes.running(entry)
                for dev, bitmap in checkpoint.noted():
                    await self.noted(state, dev, bitmap)
            checkpoint.parent = None
            current = not lineage.current or lineage.current == parent
            await self.lineages.put(
                entry, name, parent, _facts(checkpoint), documents.write(checkpoint), current=current
            )
        self._service.machines.done("checkpoint-redefine", entry, author, checkpoint=name)
        return name

    # Deleting.

    async def delete(
        self, entry: Entry, name: str, author: Author, *, children: bool = False, only_children: bool = False,
        metadata_only: bool = False,
    ) -> None:  # fmt: skip
        """Delete a checkpoint, all that came after it, or both; or only what is known of them. Raises: NotFound, Unsupported."""
        async with entry.changes():
            lineage = self.of(entry)
            lineage.find(name)
            if not metadata_only and entry.machine is None:
                raise Unsupported("cannot delete checkpoint for inactive domain", code=_OPERATION_UNSUPPORTED)
            below = [each.name for each in lineage.descendants(name)] if children or only_children else []
            gone = [*reversed(below), *([] if only_children else [name])]
            for each in gone:
                if not metadata_only:
                    await self._remove(entry, each)
                current = None
                if lineage.current == each:
                    current = lineage.find(each).parent
                await self.lineages.drop(entry, [each], current)
        self._service.machines.done("checkpoint-delete", entry, author, checkpoint=name)

    async def _remove(self, entry: Entry, name: str) -> None:
        """Remove the bitmaps of a checkpoint from all layers that have one."""
        state = self._service.changes.running(entry)
        known = await bitmaps.known(state.qmp)
        for dev, bitmap in (await self.document(entry, name)).noted():
            disk = next((each for each in snapshot_plan.disks(state.domain) if snapshot_plan.target(each) == dev), None)
            if disk is None:
                continue
            for place, node in enumerate(await self.layers(state, dev)):
                if bitmap not in known.get(node, {}):
                    continue
                async with overlays.written(state, disk, place):
                    await state.qmp("block-dirty-bitmap-remove", {"node": node, "name": bitmap})

    # After the daemon was away.

    async def settle(self) -> None:
        """Keep the checkpoints that an earlier daemon made but did not note, and forget those that it did not make."""
        for row in self.lineages.pending():
            entry = self._service.registry.get(row.domain)
            if entry is None or not row.facts.get(PENDING):
                continue
            text = await self._service.in_store(self._service.store.snapshot_text, row.kind, row.domain, row.name)
            checkpoint = documents.read_stored(text)
            try:
                async with entry.changes():
                    if entry.machine is not None and await self._there(
                        self._service.changes.running(entry), checkpoint
                    ):
                        await self.keep(entry, checkpoint)
                    else:
                        await self.lineages.drop(entry, [row.name])
            except DomicileError as error:
                log.error(
                    "a checkpoint cannot be settled", domain=entry.name, checkpoint=row.name, reason=error.message
                )

    async def _there(self, state: Running, checkpoint: DomainCheckpoint) -> bool:
        try:
            for dev, bitmap in checkpoint.noted():
                await self.noted(state, dev, bitmap)
        except DomicileError:
            return False
        return True


def _facts(checkpoint: DomainCheckpoint) -> dict[str, Any]:
    return {"at": checkpoint.creationTime or 0}
