"""What could be pools: directories that a server exports, volume groups of this host. The drivers ask.

Source: the documents of virConnectFindStoragePoolSources.
"""

from __future__ import annotations

from typing import Any

from domicile.base.errors import OPERATION_FAILED, DomicileError, InvalidDocument
from domicile.schema import read as reading
from domicile.schema.write import escape
from domicile.storage import programs
from domicile.storage.failure import StorageDocument, conflict, invalid

_EMPTY = "<sources>\n</sources>\n"


def host_of(spec: str | None, what: str) -> str:
    """Read which server is asked. Raises: InvalidRequest, StorageDocument."""
    if not spec:
        raise invalid(f"hostname must be specified for {what} sources")
    try:
        root: Any = reading.parse(spec)
    except InvalidDocument as error:
        raise StorageDocument(error.problems, "storage_source") from None
    host = root.find("host")
    name = host.get("name") if host is not None else None
    if not name or name.startswith("-"):
        raise invalid(f"hostname must be specified for {what} sources")
    return str(name)


async def exports(spec: str | None) -> str:
    """List what a server exports by NFS. Raises: InvalidRequest, Conflict."""
    host = host_of(spec, "netfs")
    try:
        said = await programs.run(["showmount", "--no-headers", "--exports", host], deadline=30)
    except DomicileError as error:
        words = f"no storage pools were found on host '{host}': {error.message}"
        raise conflict(words, OPERATION_FAILED) from None
    paths = [line.split()[0] for line in said.splitlines() if line.startswith("/")]
    if not paths:
        raise conflict(f"no storage pools were found on host '{host}'", OPERATION_FAILED)
    parts = [
        f"  <source>\n    <host name='{escape(host)}'/>\n    <dir path='{escape(path)}'/>\n    <format type='nfs'/>\n  </source>\n"
        for path in paths
    ]
    return f"<sources>\n{''.join(parts)}</sources>\n"


def portal_of(spec: str | None) -> str:
    """Read at which address and port iSCSI targets are asked for. Raises: InvalidRequest, StorageDocument."""
    host = host_of(spec, "iscsi")
    node: Any = reading.parse(spec or "").find("host")
    port = node.get("port") or "3260"
    if not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise invalid(f"port '{port}' of host '{host}' is no number from 1 to 65535")
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def targets(host: str, port: str, names: list[str]) -> str:
    """List iSCSI targets of a server."""
    shown = f" port='{escape(port)}'" if port != "3260" else ""
    parts = [
        f"  <source>\n    <host name='{escape(host)}'{shown}/>\n    <device path='{escape(name)}'/>\n  </source>\n"
        for name in names
    ]
    return f"<sources>\n{''.join(parts)}</sources>\n" if parts else _EMPTY


def groups(found: dict[str, list[str]]) -> str:
    """List volume groups, each with its devices."""
    parts = []
    for name, devices in found.items():
        held = "".join(f"    <device path='{escape(device)}'/>\n" for device in devices)
        parts.append(f"  <source>\n{held}    <name>{escape(name)}</name>\n    <format type='lvm2'/>\n  </source>\n")
    return f"<sources>\n{''.join(parts)}</sources>\n" if parts else _EMPTY
