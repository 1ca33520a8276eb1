"""Procedures of snapshots and checkpoints.

Source: the numbers and layouts are libvirt's remote program.
"""
# mypy: disable-error-code="empty-body"
# ruff: noqa: D103   the names and signatures say it

from __future__ import annotations

from typing import Annotated

from domicile.rpc.calls.programs import remote
from domicile.rpc.layout import Limit, i32, u32
from domicile.rpc.types import LIST_MAX, Checkpoint, Domain, Names, Snapshot

Snapshots = Annotated[list[Snapshot], Limit(LIST_MAX)]
Checkpoints = Annotated[list[Checkpoint], Limit(LIST_MAX)]


@remote.call(185, "domain:snapshot domain:fs_freeze?VIR_DOMAIN_SNAPSHOT_CREATE_QUIESCE")
def domain_snapshot_create_xml(dom: Domain, xml: str, flags: u32) -> Snapshot: ...


@remote.call(186, "domain:read domain:read_secure?VIR_DOMAIN_SNAPSHOT_XML_SECURE")
def domain_snapshot_get_xml_desc(snap: Snapshot, flags: u32) -> str: ...


@remote.call(187, "domain:read")
def domain_snapshot_num(dom: Domain, flags: u32) -> i32: ...


@remote.call(188, "domain:read")
def domain_snapshot_list_names(dom: Domain, maxnames: i32, flags: u32) -> Names: ...


@remote.call(189, "domain:read")
def domain_snapshot_lookup_by_name(dom: Domain, name: str, flags: u32) -> Snapshot: ...


@remote.call(190, "domain:read")
def domain_has_current_snapshot(dom: Domain, flags: u32) -> i32: ...


@remote.call(191, "domain:read")
def domain_snapshot_current(dom: Domain, flags: u32) -> Snapshot: ...


@remote.call(192, "domain:snapshot")
def domain_revert_to_snapshot(snap: Snapshot, flags: u32) -> None: ...


@remote.call(193, "domain:snapshot")
def domain_snapshot_delete(snap: Snapshot, flags: u32) -> None: ...


@remote.call(244, "domain:read")
def domain_snapshot_get_parent(snap: Snapshot, flags: u32) -> Snapshot: ...


@remote.call(246, "domain:read")
def domain_snapshot_num_children(snap: Snapshot, flags: u32) -> i32: ...


@remote.call(247, "domain:read")
def domain_snapshot_list_children_names(snap: Snapshot, maxnames: i32, flags: u32) -> Names: ...


@remote.call(271, "domain:read")
def domain_snapshot_is_current(snap: Snapshot, flags: u32) -> i32: ...


@remote.call(272, "domain:read")
def domain_snapshot_has_metadata(snap: Snapshot, flags: u32) -> i32: ...


@remote.call(274, "domain:read")
def domain_list_all_snapshots(dom: Domain, need_results: i32, flags: u32) -> tuple[Snapshots, i32]: ...


@remote.call(275, "domain:read")
def domain_snapshot_list_all_children(snap: Snapshot, need_results: i32, flags: u32) -> tuple[Snapshots, i32]: ...


@remote.call(411, "domain:checkpoint domain:fs_freeze?VIR_DOMAIN_CHECKPOINT_CREATE_QUIESCE")
def domain_checkpoint_create_xml(dom: Domain, xml: str, flags: u32) -> Checkpoint: ...


@remote.call(412, "domain:read domain:read_secure?VIR_DOMAIN_CHECKPOINT_XML_SECURE")
def domain_checkpoint_get_xml_desc(checkpoint: Checkpoint, flags: u32) -> str: ...


@remote.call(413, "domain:read")
def domain_list_all_checkpoints(dom: Domain, need_results: i32, flags: u32) -> tuple[Checkpoints, i32]: ...


@remote.call(414, "domain:read")
def domain_checkpoint_list_all_children(
    checkpoint: Checkpoint, need_results: i32, flags: u32
) -> tuple[Checkpoints, i32]: ...


@remote.call(415, "domain:read")
def domain_checkpoint_lookup_by_name(dom: Domain, name: str, flags: u32) -> Checkpoint: ...


@remote.call(416, "domain:read")
def domain_checkpoint_get_parent(checkpoint: Checkpoint, flags: u32) -> Checkpoint: ...


@remote.call(417, "domain:checkpoint")
def domain_checkpoint_delete(checkpoint: Checkpoint, flags: u32) -> None: ...
