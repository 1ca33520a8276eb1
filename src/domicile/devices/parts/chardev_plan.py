"""A character device's host end as QEMU's -chardev. Used by the `plan` of every family that has one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from domicile.devices.parts.chardev import Backed, CharSource, Reconnect, sole
from domicile.devices.parts.secret import stored_secret
from domicile.plan.facts import Planning
from domicile.plan.need import File, Need, Opened
from domicile.plan.qemu import Item, Keyed, Structured

_RECONNECT_MS = "chardev-add/arg-type/backend/+socket/data/reconnect-ms"

Pairs = tuple[tuple[str, Any], ...]


def chardev(
    device: Backed,
    ident: str,
    p: Planning,
    *,
    origin: str,
    spice: str = "vdagent",
    parallel: bool = False,
    path: str | None = None,
) -> Iterator[Item | Need]:
    """Ask for the host's end under the name `ident`.

    `spice` is the name of the SPICE channel, `path` stands in for a unix socket's path that was left to Domicile.
    """
    kind = device.type or "pty"
    source = sole(device) or CharSource()
    if kind == "dev" and source.path:
        yield File(source.path, writable=True, origin=origin)
    credentials: str | None = None
    if kind == "tcp" and _encrypted(source, p):
        credentials = f"obj{ident}_tls0"
        known = p.host.settings.chardev_tls_x509_secret_uuid
        if known:
            yield stored_secret(f"{ident}-secret0", known, origin)
        yield _credentials(credentials, f"{ident}-secret0" if known else None, source, p, origin)
    if kind == "dev":
        word = "parallel" if parallel else "serial"
    else:
        word = {"tcp": "socket", "unix": "socket"}.get(kind, kind)
    if kind == "file" and source.path:
        yield from _opened(f"{ident}-source", source.path, source.append, origin)
    if device.log is not None and device.log.file:
        yield from _opened(f"{ident}-log", device.log.file, device.log.append, origin)
    pairs: Pairs = (("", word), ("id", ident), *_options(kind, device, source, p, spice, path, credentials, ident))
    yield Keyed("-chardev", (*pairs, *_log(device, ident)), origin=origin)


def _opened(token: str, path: str, append: bool | None, origin: str) -> Iterator[Item | Need]:
    """Have a file opened by the daemon; QEMU finds it as a set of descriptors of that number."""
    yield Opened(token, path, truncate=not append, origin=origin)
    yield Keyed("-add-fd", (("set", f"{{fd:{token}}}"), ("fd", f"{{fd:{token}}}")), origin=origin)


def _options(
    kind: str,
    device: Backed,
    source: CharSource,
    p: Planning,
    spice: str,
    path: str | None,
    credentials: str | None,
    ident: str,
) -> Pairs:
    if kind in ("dev", "pipe"):
        return (("path", source.path),)
    if kind == "file":
        return ("path", f"/dev/fdset/{{fd:{ident}-source}}"), ("append", True)
    if kind == "udp":
        return _datagrams(device)
    if kind == "tcp":
        telnet = True if device.protocol is not None and device.protocol.type == "telnet" else None
        where: Pairs = (("host", source.host), ("port", source.service), ("telnet", telnet))
        return (*where, *_listen(source.mode), *_reconnect(source, p), ("tls-creds", credentials))
    if kind == "unix":
        mode = "bind" if path is not None else source.mode
        return ("path", path or source.path), *_listen(mode), *_reconnect(source, p)
    if kind == "spicevmc":
        return (("name", spice),)
    if kind in ("spiceport", "dbus"):
        return (("name", source.channel),)
    if kind == "qemu-vdagent":
        copies = source.clipboard.copypaste if source.clipboard is not None else None
        mouse = source.mouse.mode if source.mouse is not None else None
        return ("name", "vdagent"), ("clipboard", copies), ("mouse", None if mouse is None else mouse == "client")
    return ()


def _datagrams(device: Backed) -> Pairs:
    ends = {source.mode: source for source in device.source}
    far, near = ends.get("connect", CharSource()), ends.get("bind", CharSource())
    return (
        ("host", far.host or ""),
        ("port", far.service),
        ("localaddr", near.host or ""),
        ("localport", near.service or "0"),
    )


def _listen(mode: str | None) -> Pairs:
    return (("server", True), ("wait", False)) if mode == "bind" else ()


def _reconnect(source: CharSource, p: Planning) -> Pairs:
    return () if source.mode == "bind" else reconnect(source.reconnect, p)


def reconnect(again: Reconnect | None, p: Planning) -> Pairs:
    """Say how a lost connection is tried again; QEMU 9.2 counts in milliseconds."""
    if again is None or again.enabled is None:
        return ()
    seconds = again.timeout or 0 if again.enabled else 0
    if p.caps.has_schema(_RECONNECT_MS):
        return (("reconnect-ms", seconds * 1000),)
    return (("reconnect", seconds),)


def _log(device: Backed, ident: str) -> Pairs:
    if device.log is None or not device.log.file:
        return ()
    return ("logfile", f"/dev/fdset/{{fd:{ident}-log}}"), ("logappend", True)


def _encrypted(source: CharSource, p: Planning) -> bool:
    return p.host.settings.chardev_tls if source.tls is None else source.tls


def _credentials(ident: str, secret: str | None, source: CharSource, p: Planning, origin: str) -> Structured:
    serves = source.mode == "bind"
    settings = p.host.settings
    props = {
        "qom-type": "tls-creds-x509",
        "id": ident,
        "dir": settings.chardev_tls_x509_cert_dir,
        "endpoint": "server" if serves else "client",
        "verify-peer": settings.chardev_tls_x509_verify if serves else True,
        "passwordid": secret,
    }
    return Structured("object", props, origin=origin)
