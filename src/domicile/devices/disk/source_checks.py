"""What the source of a disk may not be: servers, logins, encryption, reservations. Used by this slice's checks."""

from __future__ import annotations

from collections.abc import Iterator

from domicile.base.errors import XML_ERROR
from domicile.devices.disk.complete import layers, sources
from domicile.devices.disk.model import Disk
from domicile.devices.disk.secret import Encryption, SecretRef
from domicile.devices.disk.source import DiskSource
from domicile.devices.parts.demand import demand
from domicile.plan.facts import Completion

_ONE_SERVER = ("nbd", "sheepdog", "iscsi", "http", "https", "ftp", "ftps", "tftp", "ssh", "vxhs", "nfs")
# What QEMU once knew and does no more.
_RARE = ("tftp", "vxhs", "sheepdog")
_SECRET_KINDS = {"iscsi": "iscsi", "rbd": "ceph"}
_NAMED = ("rbd", "gluster", "sheepdog", "iscsi", "http", "https", "ftp", "ftps", "tftp", "ssh", "vxhs", "nfs")


def check_sources(disk: Disk, dev: str, c: Completion) -> None:
    """Find what cannot be in any layer of the disk."""
    source = disk.source
    if disk.auth is not None:
        if source is not None and source.auth is not None:
            c.problem(disk, f"disk '{dev}' has more than one <auth>", "one, in <source>", "auth")
        _check_reference(disk.auth.secret, dev, "auth", c)
    if disk.encryption is not None:
        if source is not None and source.encryption is not None:
            c.problem(disk, f"disk '{dev}' has more than one <encryption>", "one, in <source>", "encryption")
        _check_encryption(disk, disk.encryption, disk.type or "file", source, dev, c)
    policy = source.startupPolicy if source is not None else None
    if policy is not None and disk.type == "network":
        message = f"startupPolicy '{policy}' of disk '{dev}' is not for a source of type 'network'"
        c.problem(source, message, "no startupPolicy", "@startupPolicy", XML_ERROR)
    elif policy == "requisite" and disk.device not in ("cdrom", "floppy"):
        message = f"startupPolicy '{policy}' of disk '{dev}' is only for drives of 'cdrom' and 'floppy'"
        c.problem(source, message, "mandatory, optional", "@startupPolicy", XML_ERROR)
    for kind, fmt in _formats(disk):
        _check_format(disk, kind, fmt, dev, c)
    whose = f"disk '{dev}'"
    demand(disk.auth, ("username",), whose, c)
    demand(disk.auth.secret if disk.auth is not None else None, ("type",), whose, c)
    _check_layers(disk, whose, c)
    for kind, one in sources(disk):
        demand(one.auth, ("username",), whose, c)
        demand(one.auth.secret if one.auth is not None else None, ("type",), whose, c)
        for part in one.slices.slice if one.slices is not None else ():
            demand(part, ("offset", "size"), whose, c)
        for cookie in one.cookies.cookie if one.cookies is not None else ():
            demand(cookie, ("name",), whose, c)
        if kind == "volume" and (one.pool is None) != (one.volume is None):
            demand(one, ("pool", "volume"), whose, c)
        if kind == "nvme":
            demand(one, ("type",), whose, c)
        if kind == "network":
            _check_network(one, dev, c)
        elif kind == "nvme":
            _check_nvme(one, dev, c)
        if one.auth is not None:
            _check_reference(one.auth.secret, dev, "auth", c)
        if one.encryption is not None:
            _check_encryption(disk, one.encryption, kind, one, dev, c)
        if one.slices is not None and len(one.slices.slice) > 1:
            c.problem(one.slices, f"disk '{dev}' has more than one <slice>", "one", "slice")
        if one.fdgroup is not None and kind != "file":
            c.problem(one, f"'fdgroup' of disk '{dev}' is only for type 'file'", "type='file'", "@fdgroup")
    _check_kind(disk, dev, c)
    _check_reservations(disk, dev, c)


def _check_layers(disk: Disk, whose: str, c: Completion) -> None:
    """Find layers below the top that say only a part of what they are."""
    for layer in layers(disk):
        if layer.type is None and layer.source is None and layer.format is None:
            continue
        if layer.format is None:
            c.problem(layer, f"<backingStore> of {whose} has no <format>", "<format type='…'/>", "format", XML_ERROR)
        demand(layer.format, ("type",), whose, c)
        if layer.source is None:
            c.problem(layer, f"<backingStore> of {whose} has no <source>", "<source …/>", "source", XML_ERROR)
        elif layer.type == "network":
            demand(layer.source, ("protocol",), whose, c)
    if disk.type == "nvme" and disk.source is None and disk.device in ("disk", "lun"):
        c.problem(disk, f"{whose} has no source", "<source type='pci' …/>", "source", XML_ERROR)


def _formats(disk: Disk) -> Iterator[tuple[str, str]]:
    """List the kind of source and the format of every layer."""
    if disk.driver is not None and disk.driver.type is not None:
        yield disk.type or "file", disk.driver.type
    for layer in layers(disk):
        if layer.format is not None and layer.format.type is not None:
            yield layer.type or "file", layer.format.type


def _check_format(disk: Disk, kind: str, fmt: str, dev: str, c: Completion) -> None:
    message, accepted = "", ""
    if fmt == "cow":
        message, accepted = f"QEMU has no driver for format 'cow' of disk '{dev}'", "qcow2"
    elif fmt == "iso":
        message, accepted = f"format 'iso' of disk '{dev}' has no driver of its own", "'raw'"
    elif fmt == "dir":
        message, accepted = f"a 'directory' is no format of disk '{dev}'", "a disk of type 'dir'"
    elif fmt == "fat" and kind not in ("dir", "volume"):
        message, accepted = f"format 'fat' of disk '{dev}' is only for a source of type 'dir'", "raw"
    if message:
        c.problem(disk.driver or disk, message, accepted, "@type")


def _check_kind(disk: Disk, dev: str, c: Completion) -> None:
    source = disk.source
    if disk.type == "dir":
        if not disk.readonly:
            c.problem(
                disk, f"disk '{dev}' shows a directory, which the guest cannot write to", "<readonly/>", "readonly"
            )
        if disk.driver is not None and disk.driver.type != "fat":
            c.problem(disk.driver, f"disk '{dev}' shows a directory with format '{disk.driver.type}'", "fat", "@type")
    if disk.type in ("vhostuser", "vhostvdpa"):
        if disk.target is not None and disk.target.bus != "virtio":
            c.problem(
                disk.target, f"disk '{dev}' of type '{disk.type}' is on bus '{disk.target.bus}'", "virtio", "@bus"
            )
        if disk.device != "disk":
            c.problem(disk, f"disk '{dev}' of type '{disk.type}' has device '{disk.device}'", "disk", "@device")
    if disk.type == "vhostuser":
        if source is None or source.path is None:
            c.problem(
                disk, f"disk '{dev}' of type 'vhostuser' has no socket", "<source type='unix' path='…'/>", "source"
            )
        for slot in ("iotune", "throttlefilters", "transient", "encryption", "geometry", "blockio", "serial", "wwn"):
            if getattr(disk, slot) is not None:
                c.problem(disk, f"disk '{dev}' of type 'vhostuser' has <{slot}>", "none", slot)
    if disk.device == "lun" and disk.type == "network" and source is not None and source.protocol != "iscsi":
        c.problem(source, f"disk device='lun' is not possible for protocol='{source.protocol}'", "iscsi", "@protocol")
    if disk.device == "lun" and disk.type == "volume" and source is not None and source.mode == "direct":
        c.problem(source, f"disk device='lun' '{dev}' has a volume of mode 'direct'", "mode='host'", "@mode")


def _check_network(source: DiskSource, dev: str, c: Completion) -> None:
    protocol = source.protocol
    if protocol is None:
        return
    if protocol in _RARE and not c.caps.has_schema(f"blockdev-add/arg-type/+{protocol}"):
        message = f"protocol '{protocol}' of disk '{dev}' is not known to this QEMU"
        c.problem(source, message, "another protocol", "@protocol")
    if source.name is None and protocol in _NAMED:
        c.problem(source, f"disk '{dev}' of protocol '{protocol}' has no image name", "a name", "@name", code=XML_ERROR)
    if protocol == "gluster" and source.name is not None and "/" not in source.name.lstrip("/"):
        c.problem(source, f"gluster image '{source.name}' names no volume", "VOLUME/PATH", "@name", code=XML_ERROR)
    if protocol == "rbd" and source.name is not None and "/" not in source.name:
        c.problem(source, f"rbd image '{source.name}' names no pool", "POOL/IMAGE", "@name")
    if len(source.host) != 1 and protocol in _ONE_SERVER:
        c.problem(
            source, f"protocol '{protocol}' of disk '{dev}' takes one <host>, not {len(source.host)}", "one", "host"
        )
    if protocol == "gluster" and not source.host:
        c.problem(source, f"protocol 'gluster' of disk '{dev}' has no <host>", "one or more", "host")
    for host in source.host:
        if host.transport == "unix":
            if host.socket is None:
                c.problem(host, "a <host> with transport 'unix' has no 'socket'", "a path", "@socket", code=XML_ERROR)
            if protocol not in ("nbd", "gluster"):
                c.problem(host, f"protocol '{protocol}' knows no transport 'unix'", "tcp", "@transport")
        else:
            if host.socket is not None:
                kind = host.transport or "tcp"
                c.problem(host, f"transport '{kind}' has a 'socket'", "transport='unix'", "@socket", code=XML_ERROR)
            if host.name is None:
                c.problem(host, f"a <host> of disk '{dev}' has no 'name'", "a name", "@name", code=XML_ERROR)
        if host.transport == "rdma":
            c.problem(host, f"transport 'rdma' of disk '{dev}' does not exist in QEMU", "tcp, unix", "@transport")
    _check_extras(source, protocol, dev, c)


def _check_extras(source: DiskSource, protocol: str, dev: str, c: Completion) -> None:
    if source.tls and protocol not in ("nbd", "vxhs"):
        c.problem(source, f"protocol '{protocol}' of disk '{dev}' knows no 'tls'", "nbd", "@tls")
    if source.cookies is not None:
        for cookie in source.cookies.cookie:
            if not cookie.value or any(sign in cookie.value for sign in "\x00\r\n;"):
                c.problem(cookie, f"cookie '{cookie.name}' of disk '{dev}' has no value that can be sent", "", "text()")
    wanted = _SECRET_KINDS.get(protocol)
    kind = source.auth.secret.type if source.auth is not None and source.auth.secret is not None else None
    if wanted is not None and kind not in (None, wanted):
        c.problem(
            source.auth,
            f"secret type '{kind}' of disk '{dev}' is not for protocol '{protocol}'",
            wanted,
            "secret/@type",
        )
    if source.auth is not None and protocol in ("nbd", "gluster", "sheepdog", "nfs", "vxhs", "tftp"):
        c.problem(source, f"protocol '{protocol}' of disk '{dev}' knows no <auth>", "iscsi, rbd, https", "auth")


def _check_nvme(source: DiskSource, dev: str, c: Completion) -> None:
    if source.namespace is None:
        c.problem(source, f"NVMe disk '{dev}' has no 'namespace'", "a number from 1", "@namespace", code=XML_ERROR)
    if source.address is None:
        c.problem(source, f"NVMe disk '{dev}' has no <address>", "the host's PCI address", "address", code=XML_ERROR)


def _check_reference(secret: SecretRef | None, dev: str, tag: str, c: Completion) -> None:
    if secret is None or (secret.uuid is None) == (secret.usage is None):
        c.problem(
            secret, f"<secret> in <{tag}> of disk '{dev}' needs a 'uuid' or a 'usage'", "one of them", code=XML_ERROR
        )


def _check_encryption(
    disk: Disk, encryption: Encryption, kind: str, source: DiskSource | None, dev: str, c: Completion
) -> None:
    demand(encryption, ("format",), f"disk '{dev}'", c)
    for secret in encryption.secret:
        demand(secret, ("type",), f"disk '{dev}'", c)
        _check_reference(secret, dev, "encryption", c)
    for slot in ("cipher", "ivgen"):
        if getattr(encryption, slot) is not None:
            c.problem(encryption, f"<{slot}> of disk '{dev}' is for images yet to be made", "none", slot)
    fmt, engine = encryption.format, encryption.engine
    rbd = kind == "network" and source is not None and source.protocol == "rbd"
    if engine == "librbd":
        if not rbd:
            c.problem(encryption, f"engine 'librbd' of disk '{dev}' is only for protocol 'rbd'", "qemu", "@engine")
        elif fmt == "luks-any" and not c.caps.has_schema("blockdev-add/arg-type/+rbd/encrypt/format/^luks-any"):
            c.problem(
                encryption, f"this QEMU does not know the encryption 'luks-any' of disk '{dev}'", "luks", "@format"
            )
        elif len(encryption.secret) > 1 and not c.caps.has_schema("blockdev-add/arg-type/+rbd/encrypt/parent"):
            c.problem(encryption, f"this QEMU decrypts one layer alone with 'librbd' (disk '{dev}')", "one", "secret")
        if fmt in ("qcow", "default"):
            c.problem(encryption, f"engine 'librbd' does not know format '{fmt}'", "luks, luks2, luks-any", "@format")
        return
    if fmt in ("luks2", "luks-any"):
        c.problem(encryption, f"engine 'qemu' does not know the encryption '{fmt}' of disk '{dev}'", "luks", "@format")
    if fmt in ("qcow", "default"):
        c.problem(encryption, f"the encryption '{fmt}' of disk '{dev}' is too weak to be kept up", "luks", "@format")
    if len(encryption.secret) > 1:
        c.problem(encryption, f"<encryption> of disk '{dev}' has more than one <secret>", "one", "secret")
    shape = disk.driver.type if disk.driver is not None else None
    if fmt == "luks" and source is disk.source and shape not in (None, "raw", "luks", "qcow2"):
        c.problem(
            encryption, f"format '{shape}' of disk '{dev}' cannot be encrypted by 'luks'", "raw, qcow2", "@format"
        )


def _check_reservations(disk: Disk, dev: str, c: Completion) -> None:
    wanted = disk.source.reservations if disk.source is not None else None
    if wanted is None:
        return
    if disk.device != "lun":
        c.problem(wanted, f"<reservations> of disk '{dev}' are only for device='lun'", "device='lun'")
    path = wanted.source.path if wanted.source is not None else None
    if wanted.managed is None:
        c.problem(wanted, f"<reservations> of disk '{dev}' have no 'managed'", "yes, no", "@managed", code=XML_ERROR)
    elif not wanted.managed and path is None:
        c.problem(wanted, f"<reservations> of disk '{dev}' name no helper", "<source type='unix' path='…'/>", "source")
