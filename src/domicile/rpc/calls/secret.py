"""Procedures of secrets.

Source: the numbers and layouts are libvirt's remote program.
"""
# mypy: disable-error-code="empty-body"
# ruff: noqa: D103   the names and signatures say it

from __future__ import annotations

from typing import Annotated

from domicile.rpc.calls.programs import remote
from domicile.rpc.layout import Limit, Uuid, i32, u32
from domicile.rpc.types import LIST_MAX, Names, Secret

Value = Annotated[bytes, Limit(65_536)]


@remote.call(139, "connect:search_secrets")
def connect_num_of_secrets() -> i32: ...


@remote.call(140, "connect:search_secrets")
def connect_list_secrets(maxuuids: i32) -> Names: ...


@remote.call(141, "secret:getattr")
def secret_lookup_by_uuid(uuid: Uuid) -> Secret: ...


@remote.call(142, "secret:write secret:save")
def secret_define_xml(xml: str, flags: u32) -> Secret: ...


@remote.call(143, "secret:read")
def secret_get_xml_desc(secret: Secret, flags: u32) -> str: ...


@remote.call(144, "secret:write")
def secret_set_value(secret: Secret, value: Value, flags: u32) -> None: ...


@remote.call(145, "secret:read_secure")
def secret_get_value(secret: Secret, flags: u32) -> Value: ...


@remote.call(146, "secret:delete")
def secret_undefine(secret: Secret) -> None: ...


@remote.call(147, "secret:getattr")
def secret_lookup_by_usage(usage_type: i32, usage_id: str) -> Secret: ...


@remote.call(287, "connect:search_secrets")
def connect_list_all_secrets(need_results: i32, flags: u32) -> tuple[Annotated[list[Secret], Limit(LIST_MAX)], u32]: ...


@remote.call(380, "connect:search_secrets")
def connect_secret_event_register_any(event_id: i32, secret: Secret | None) -> i32: ...


@remote.call(381, "connect:read")
def connect_secret_event_deregister_any(callback_id: i32) -> None: ...


@remote.event(382)
def secret_event_lifecycle(callback_id: i32, secret: Secret, event: i32, detail: i32) -> None: ...


@remote.event(383)
def secret_event_value_changed(callback_id: i32, secret: Secret) -> None: ...
