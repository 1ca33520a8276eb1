"""A disk's source as the properties of QEMU's lowest block node, with the secrets it asks for. Used by this slice's plan."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from domicile.devices.disk.secret import Encryption, SecretRef
from domicile.devices.disk.source import DiskSource, SourceHost
from domicile.devices.parts.secret import sealed, stored_secret
from domicile.plan.facts import Planning
from domicile.plan.qemu import Structured

# Source: the registered ports of these services, which are what libvirt and QEMU take.
PORTS = {
    "nbd": 10809, "sheepdog": 7000, "gluster": 24007, "iscsi": 3260, "http": 80, "https": 443, "ftp": 21, "ftps": 990,
    "tftp": 69, "ssh": 22, "vxhs": 9999,
}  # fmt: skip


@dataclass(slots=True)
class Storage:
    """The lowest node of a layer: its properties, and the objects that must stand before it."""

    props: dict[str, Any]
    objects: list[Structured] = field(default_factory=list)


def secret_object(name: str, ref: SecretRef | None, origin: str) -> Structured:
    """Ask for a stored secret's value under a name; the value itself is a token, put in when the machine is launched."""
    return stored_secret(name, (ref.uuid or ref.usage or "") if ref is not None else "", origin)


def storage(
    kind: str, source: DiskSource, name: str, readonly: bool, floppy: bool, p: Planning, origin: str
) -> Storage:
    """Make the lowest node of a layer; `name` is what its secrets' names begin with."""
    if kind == "block":
        return Storage(
            {"driver": "host_cdrom" if source.dev == "/dev/cdrom" else "host_device", "filename": source.dev}
        )
    if kind == "dir":
        return Storage({"driver": "vvfat", "dir": source.dir, "floppy": floppy, "rw": not readonly})
    if kind == "nvme":
        return Storage({"driver": "nvme", "device": nvme_device(source), "namespace": source.namespace})
    if kind == "vhostvdpa":
        return Storage({"driver": "virtio-blk-vhost-vdpa", "path": source.dev})
    if kind == "network":
        return _network(source, name, p, origin)
    return Storage({"driver": "file", "filename": source.file})


def nvme_device(source: DiskSource) -> str:
    """Name the NVMe controller as the kernel does: 0000:01:00.0."""
    a = source.address
    domain, bus, slot, function = (a.domain, a.bus, a.slot, a.function) if a is not None else (0, 0, 0, 0)
    return f"{domain or 0:04x}:{bus or 0:02x}:{slot or 0:02x}.{function or 0:x}"


def _network(source: DiskSource, name: str, p: Planning, origin: str) -> Storage:
    protocol = source.protocol or ""
    made = Storage({"driver": protocol})
    props = made.props
    if protocol in ("http", "https", "ftp", "ftps", "tftp"):
        _web(source, name, made, origin)
    elif protocol == "iscsi":
        _iscsi(source, props)
    elif protocol == "rbd":
        _rbd(source, name, made, origin)
    elif protocol == "gluster":
        volume, _, path = (source.name or "").partition("/")
        servers = [_inet(host) for host in source.host]
        props |= {"volume": volume, "path": path, "server": servers, "debug": 4}
    elif protocol == "nbd":
        props |= {"server": _first(source), "export": source.name, "tls-hostname": source.tlsHostname}
        if source.reconnect is not None:
            props["reconnect-delay"] = source.reconnect.delay
    elif protocol == "sheepdog":
        props |= {"server": _first(source), "vdi": source.name}
    elif protocol == "ssh":
        login = source.auth.username if source.auth is not None else None
        login = login or (source.identity.username if source.identity is not None else None)
        props |= {"path": source.name, "server": _plain(source.host[0]) if source.host else None, "user": login}
    elif protocol == "vxhs":
        props |= {"vdisk-id": source.name, "server": _plain(source.host[0]) if source.host else None}
    elif protocol == "nfs":
        identity = source.identity
        server = {"host": source.host[0].name, "type": "inet"} if source.host else None
        props |= {"server": server, "path": source.name}
        if identity is not None:
            props |= {"user": owner_number(identity.user), "group": owner_number(identity.group)}
    _credentials(source, name, made, p, origin)
    return made


def owner_number(text: str | None) -> int | None:
    """Read an owner that is written as a number (``+107`` or ``107``); None where it is a name."""
    digits = (text or "").removeprefix("+")
    return int(digits) if digits.isdecimal() else None


def _plain(host: SourceHost) -> dict[str, Any]:
    return {"host": host.name, "port": str(host.port or 0)}


def _inet(host: SourceHost) -> dict[str, Any]:
    if host.transport == "unix":
        return {"type": "unix", "path": host.socket}
    return {"type": "inet", **_plain(host)}


def _first(source: DiskSource) -> dict[str, Any] | None:
    return _inet(source.host[0]) if source.host else None


def address(host: SourceHost) -> str:
    """Write a server as it stands in an address: a numeric one of IPv6 in brackets."""
    name = host.name or ""
    name = f"[{name}]" if ":" in name and not name.startswith("[") else name
    return f"{name}:{host.port}" if host.port is not None else name


def _web(source: DiskSource, name: str, made: Storage, origin: str) -> None:
    host = address(source.host[0]) if source.host else ""
    path = "/" + (source.name or "").removeprefix("/")
    query = f"?{source.query}" if source.query else ""
    props = made.props
    props["url"] = f"{source.protocol}://{host}{path}{query}"
    if source.auth is not None:
        props["username"] = source.auth.username
    if source.ssl is not None and source.ssl.verify is not None and source.protocol in ("https", "ftps"):
        props["sslverify"] = source.ssl.verify
    if source.cookies is not None and source.cookies.cookie and source.protocol in ("http", "https"):
        props["cookie-secret"] = f"{name}-httpcookie-secret0"
        made.objects.append(sealed(props["cookie-secret"], f"{{cookies:{name}}}", origin))
    props["readahead"] = source.readahead.size if source.readahead is not None else None
    props["timeout"] = source.timeout.seconds if source.timeout is not None else None


def _iscsi(source: DiskSource, props: dict[str, Any]) -> None:
    target, _, lun = (source.name or "").partition("/")
    props["portal"] = address(source.host[0]) if source.host else None
    props |= {"target": target, "lun": int(lun) if lun.isdecimal() else 0, "transport": "tcp"}
    if source.auth is not None:
        props["user"] = source.auth.username
    if source.initiator is not None and source.initiator.iqn is not None:
        props["initiator-name"] = source.initiator.iqn.name


def _rbd(source: DiskSource, name: str, made: Storage, origin: str) -> None:
    parts = (source.name or "").split("/")
    props = made.props
    props["pool"], props["image"] = parts[0], parts[-1] if len(parts) > 1 else None
    props["namespace"] = parts[1] if len(parts) > 2 else None
    props["snapshot"] = source.snapshot.name if source.snapshot is not None else None
    props["conf"] = source.config.file if source.config is not None else None
    props["server"] = [_plain(host) for host in source.host] or None
    if source.auth is not None:
        props |= {"user": source.auth.username, "auth-client-required": ["cephx", "none"]}
    if source.encryption is not None and source.encryption.engine == "librbd":
        props["encrypt"] = _librbd(source.encryption, name, made, origin)


def _librbd(encryption: Encryption, name: str, made: Storage, origin: str) -> dict[str, Any] | None:
    """Nest one set of properties a layer, the top one outermost."""
    nested: dict[str, Any] | None = None
    for number, ref in reversed(list(enumerate(encryption.secret))):
        key = f"{name}-encryption-secret{number}"
        made.objects.insert(0, secret_object(key, ref, origin))
        nested = {"format": encryption.format, "key-secret": key, "parent": nested}
    return nested


_PASSWORDS = {"iscsi": "password-secret", "rbd": "key-secret"}


def _credentials(source: DiskSource, name: str, made: Storage, p: Planning, origin: str) -> None:
    protocol = source.protocol or ""
    if source.auth is not None and protocol not in ("ssh", "nfs", "nbd"):
        key = f"{name}-auth-secret0"
        made.props[_PASSWORDS.get(protocol, "password-secret")] = key
        made.objects.insert(0, secret_object(key, source.auth.secret, origin))
    settings = p.host.settings
    wanted = {"nbd": settings.nbd_tls, "vxhs": settings.vxhs_tls}.get(protocol)
    if wanted is not None and (source.tls or (source.tls is None and wanted)):
        directory = settings.nbd_tls_x509_cert_dir if protocol == "nbd" else settings.vxhs_tls_x509_cert_dir
        known = settings.nbd_tls_x509_secret_uuid if protocol == "nbd" else settings.vxhs_tls_x509_secret_uuid
        tls = f"obj{name}_tls0"
        props = {"qom-type": "tls-creds-x509", "id": tls, "dir": directory, "endpoint": "client", "verify-peer": True}
        if known:
            props["passwordid"] = f"{tls}-secret0"
            made.objects.append(secret_object(f"{tls}-secret0", SecretRef(uuid=known), origin))
        made.objects.append(Structured("object", props, origin=origin))
        made.props["tls-creds"] = tls
