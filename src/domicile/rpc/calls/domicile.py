"""Procedures that only Domicile has: history, explanation, search, the host's health.

Answers are JSON documents, so that they may gain fields; arguments are typed. The command line is their first user.
"""
# mypy: disable-error-code="empty-body"
# ruff: noqa: D103   the names and signatures say it

from __future__ import annotations

from typing import Annotated

from domicile.rpc.calls.programs import domicile
from domicile.rpc.layout import Limit, i64, u32, u64
from domicile.rpc.types import Cookie, Params64

Json = Annotated[bytes, Limit(16_777_216)]


@domicile.call(1, "connect:getattr")
def host_info() -> Json: ...


@domicile.call(2, "connect:read")
def doctor() -> Json: ...


@domicile.call(3, "connect:search_domains")
def domains() -> Json: ...


@domicile.call(4, "domain:read")
def info(domain: str) -> Json: ...


@domicile.call(5, "domain:read")
def history(domain: str, limit: u32) -> Json: ...


@domicile.call(6, "domain:read")
def show(domain: str, revision: u32, authored: u32) -> Json: ...


@domicile.call(7, "domain:read")
def diff(domain: str, old: u32, new: u32) -> Json: ...


@domicile.call(8, "domain:write domain:save")
def rollback(domain: str, revision: u32, why: str | None) -> Json: ...


@domicile.call(9, "domain:write domain:save")
def undelete(domain: str, revision: u32, why: str | None) -> Json: ...


@domicile.call(10, "connect:search_domains")
def find(kind: str, value: str, limit: u32) -> Json: ...


@domicile.call(11, "connect:search_domains")
def find_leaf(path: str, operator: str, value: str, limit: u32) -> Json: ...


@domicile.call(12, "domain:read")
def explain(domain: str, path: str | None, language: str | None) -> Json: ...


@domicile.call(13, "domain:read")
def argv(domain: str) -> Json: ...


@domicile.call(14, "domain:write domain:save")
def define_report(xml: str, strict: u32, why: str | None, expect_head: u32) -> Json: ...


@domicile.call(15, "connect:read")
def check(xml: str) -> Json: ...


@domicile.call(16, "domain:write domain:save")
def import_domain(xml: str, origin: str, autostart: u32) -> Json: ...


@domicile.call(17, "connect:read")
def log(domain: str | None, limit: u32) -> Json: ...


@domicile.call(100, "domain:read")
def blame(domain: str, path: str | None) -> Json: ...


@domicile.call(101, "connect:search_domains")
def at(domain: str | None, micros: i64) -> Json: ...


@domicile.call(102, "domain:write domain:save")
def define_keeping(xml: str, strict: u32, why: str | None, expect_head: u32, keep: u32) -> Json: ...


@domicile.call(103, "domain:read")
def plan(xml: str, strict: u32, keep: u32) -> Json: ...


@domicile.call(104, "domain:write domain:save")
def apply(xml: str, strict: u32, keep: u32, digest: str | None, why: str | None) -> Json: ...


@domicile.call(105, "domain:read")
def pending(domain: str) -> Json: ...


@domicile.call(120, "connect:getattr")
def database() -> Json: ...


@domicile.call(121, "connect:search_domains")
def query(question: str, columns: str, past: u32, micros: i64, limit: u32) -> Json: ...


@domicile.call(160, "domain:migrate")
def migration_fate(domain: str, token: str, abandon: u32) -> Json: ...


@domicile.call(161, "domain:migrate domain:read")
def migration_check(domain: str, uri: str, flags: u64, params: Params64) -> Json: ...


@domicile.call(162, "domain:migrate domain:read")
def migration_check_here(xml: str, cookie: Cookie, name: str | None) -> Json: ...


@domicile.call(163, "connect:read")
def hosts() -> Json: ...


@domicile.call(164, "connect:write")
def host_drained(on: u32) -> Json: ...
