"""Images made, copied and resized by qemu-img. Passphrases go to it through files in memory, never through words.

The drivers call this.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from domicile.base.errors import CONFIG_UNSUPPORTED, INTERNAL_ERROR, NO_SUPPORT, HostFailure
from domicile.devices.disk.secret import Encryption
from domicile.storage import programs
from domicile.storage.driver import Order
from domicile.storage.failure import unsupported
from domicile.storage.kinds import PARTITIONS
from domicile.storage.volume import Volume

_TOOL = "qemu-img"
# What QEMU opens as raw: what a partition holds is not its business.
_NAMES = {"iso": "raw", "": "raw", **dict.fromkeys(PARTITIONS, "raw")}
_NOT_MADE = {"ploop": "unable to find ploop, please install ploop tools"}
_OLD = "0.10"
_TRIES = 10
# LUKS keys are made as costly as half a second of this CPU. Observed with QEMU 7.2 on virtual hosts: the clock that QEMU
# measures with may go backwards, and then it gives up.
_UNMEASURED = "Unable to get accurate CPU usage"


@contextmanager
def _keys(**given: bytes | None) -> Iterator[tuple[list[str], list[int]]]:
    """Put passphrases into files in memory; give qemu-img's words for them and the descriptors it needs."""
    words: list[str] = []
    fds: list[int] = []
    try:
        for name, key in given.items():
            if key is not None:
                fd = os.memfd_create(f"domicile-{name}", os.MFD_CLOEXEC)
                fds.append(fd)
                os.write(fd, key)
                words += ["--object", f"secret,id={name},file=/dev/fd/{fd}"]
        yield words, fds
    finally:
        for fd in fds:
            os.close(fd)


async def _run(words: Sequence[str], *, deadline: float = programs.SHORT, fds: Sequence[int] = ()) -> None:
    """Run qemu-img, again where it only failed to measure how fast this host is."""
    for left in reversed(range(_TRIES)):
        try:
            await programs.run(words, deadline=deadline, fds=fds)
            return
        except HostFailure as error:
            if _UNMEASURED not in error.message or not left:
                raise


def check(order: Order) -> None:
    """Refuse what cannot be made of a format. Raises: Unsupported."""
    volume, fmt = order.volume, order.volume.format
    if fmt in _NOT_MADE:
        raise unsupported(_NOT_MADE[fmt], INTERNAL_ERROR)
    below = volume.backingStore
    if fmt == "raw" and order.metadata:
        raise unsupported("metadata preallocation is not supported for raw volumes")
    if fmt == "raw" and below is not None:
        raise unsupported("backing storage not supported for raw volumes", NO_SUPPORT)
    target = volume.target
    if target is not None and target.features is not None and target.features.lazy_refcounts and target.compat == _OLD:
        raise unsupported(f"lazy_refcounts not supported with compat level {_OLD}", CONFIG_UNSUPPORTED)
    encryption = volume.encryption
    if encryption is not None and (
        fmt not in ("raw", "qcow", "qcow2") or (fmt == "raw" and encryption.format == "qcow")
    ):
        words = f"encryption '{encryption.format}' is for raw ('luks') and qcow2 volumes, not for '{fmt}'"
        raise unsupported(words, CONFIG_UNSUPPORTED)


def _size(count: int) -> str:
    return f"{-(-count // 1024)}K"


def _options(order: Order, key: str, *, below: bool) -> list[str]:
    """List the options of the format to be made."""
    volume, fmt = order.volume, order.volume.format
    target, found = volume.target, []
    backing = volume.backingStore
    if backing is not None and below:
        found.append(f"backing_file={_quoted(backing.path or '')}")
        found.append(f"backing_fmt={backing.format.type if backing.format is not None else 'raw'}")
    if volume.encryption is not None and order.key is not None:
        prefix = "" if fmt == "raw" else "encrypt."
        if fmt == "qcow2":
            found.append("encrypt.format=luks")
        elif fmt == "qcow":
            found.append("encrypt.format=aes")
        found += [f"{prefix}key-secret={key}", *(_cipher(volume.encryption, prefix) if fmt != "qcow" else ())]
    if fmt == "qcow2" and target is not None:
        features = target.features
        found.append(f"compat={target.compat or ('1.1' if features is not None else _OLD)}")
        if target.clusterSize is not None:
            found.append(f"cluster_size={target.clusterSize.count()}")
        if features is not None:
            found += ["lazy_refcounts"] * features.lazy_refcounts + ["extended_l2=on"] * features.extended_l2
    if order.metadata:
        capacity, taken, _ = volume.amounts()
        part = volume.allocation is not None and taken < capacity
        found.append(f"preallocation={'metadata' if part else 'falloc'}")
    return found


def _cipher(encryption: Encryption, prefix: str) -> Iterator[str]:
    cipher, vectors = encryption.cipher, encryption.ivgen
    if cipher is not None:
        yield f"{prefix}cipher-alg={cipher.name}{f'-{cipher.size}' if cipher.size else ''}"
        for option, value in (("cipher-mode", cipher.mode), ("hash-alg", cipher.hash)):
            if value:
                yield f"{prefix}{option}={value}"
    if vectors is not None:
        yield f"{prefix}ivgen-alg={vectors.name}"
        if vectors.hash:
            yield f"{prefix}ivgen-hash-alg={vectors.hash}"


def _quoted(text: str) -> str:
    return text.replace(",", ",,")


def _joined(options: Sequence[str]) -> list[str]:
    return ["-o", ",".join(options)] if options else []


def _made_as(order: Order) -> str:
    fmt = order.volume.format
    return "luks" if fmt == "raw" and order.key is not None else _NAMES.get(fmt, fmt)


async def create(order: Order, path: str) -> None:
    """Make an image at a path. Raises: HostFailure, Unsupported."""
    volume = order.volume
    with _keys(key0=order.key) as (keys, fds):
        size = [_size(volume.capacity.count() or 0)] if volume.capacity is not None else []
        words = [
            _TOOL, "create", "-q", "-f", _made_as(order), *keys, *_joined(_options(order, "key0", below=True)), "--", path, *size,
        ]  # fmt: skip
        await _run(words, deadline=programs.LONG if order.metadata else programs.SHORT * 5, fds=fds)


async def copy(order: Order, path: str) -> None:
    """Make an image that holds what another holds. Raises: HostFailure, Unsupported."""
    volume, source = order.volume, order.source
    assert source is not None
    capacity, taken, _ = volume.amounts()
    with _keys(key0=order.key, key1=order.source_key) as (keys, fds):
        options = _options(order, "key0", below=False)
        if volume.format == "raw" and order.key is None and volume.allocation is not None and taken >= capacity > 0:
            options.append("preallocation=falloc")
        below = volume.backingStore
        lies = ["-B", below.path or "", "-F", (below.format.type if below.format else None) or "raw"] if below else []
        words = [
            _TOOL,
            "convert",
            "-q",
            *keys,
            *_source(source, order.source_key),
            "-O",
            _made_as(order),
            *lies,
            *_joined(options),
        ]
        words += [_described(source) if order.source_key is not None else source.path, path]
        await _run(words, deadline=programs.LONG, fds=fds)
        # Source: observed with libvirt 9.0: only a plain copy of a plain file is as large as its document says.
        if capacity > source.amounts()[0] and volume.format == source.format == "raw":
            await _resize(path, _made_as(order), capacity, order.key, keys, fds, [])


def _source(source: Volume, key: bytes | None) -> list[str]:
    return ["--image-opts"] if key is not None else ["-f", _NAMES.get(source.format, source.format)]


def _described(volume: Volume, key: str = "key1") -> str:
    """Describe an encrypted image that is there."""
    if _NAMES.get(volume.format, volume.format) == "raw":
        return f"driver=luks,key-secret={key},file.filename={_quoted(volume.path)}"
    cipher = "aes" if volume.encryption is not None and volume.encryption.format == "qcow" else "luks"
    secret = f"encrypt.format={cipher},encrypt.key-secret={key}"
    return f"driver={volume.format},{secret},file.filename={_quoted(volume.path)}"


async def resize(volume: Volume, capacity: int, *, taken: bool, key: bytes | None) -> None:
    """Give an image another size. Raises: HostFailure."""
    more = ["--preallocation=falloc"] if taken and capacity > volume.amounts()[0] else []
    if capacity < volume.amounts()[0]:
        more.append("--shrink")
    with _keys(key1=key) as (keys, fds):
        if key is not None:
            words = [_TOOL, "resize", "-q", *keys, *more, "--image-opts", _described(volume), str(capacity)]
            await _run(words, deadline=programs.LONG, fds=fds)
        else:
            await _resize(volume.path, _NAMES.get(volume.format, volume.format), capacity, None, [], [], more)


async def _resize(
    path: str, fmt: str, capacity: int, key: bytes | None, keys: list[str], fds: list[int], more: list[str]
) -> None:
    if key is None:
        words = [_TOOL, "resize", "-q", *more, "-f", fmt, "--", path, str(capacity)]
    else:
        secret = "key-secret=key0" if fmt == "luks" else "encrypt.format=luks,encrypt.key-secret=key0"
        described = f"driver={fmt},{secret},file.filename={_quoted(path)}"
        words = [_TOOL, "resize", "-q", *keys, *more, "--image-opts", described, str(capacity)]
    await _run(words, deadline=programs.LONG, fds=fds)


async def write_into(order: Order, device: str) -> None:
    """Fill a device that is there: with what another volume holds, encrypted where the order says so.

    Raises: HostFailure
    """
    source = order.source
    with _keys(key0=order.key, key1=order.source_key) as (keys, fds):
        if order.key is not None:
            options = ["key-secret=key0", *(_cipher(order.volume.encryption, "") if order.volume.encryption else ())]
            size = _size(order.volume.amounts()[0])
            words = [_TOOL, "create", "-q", "-f", "luks", *keys, *_joined(options), "--", device, size]
            await _run(words, fds=fds)
        if source is None:
            return
        target = ["-n", "-O", "raw", device]
        if order.key is not None:
            target = ["-n", "--target-image-opts", f"driver=luks,key-secret=key0,file.filename={_quoted(device)}"]
        described = _described(source) if order.source_key is not None else source.path
        *options, place = target
        words = [_TOOL, "convert", "-q", *keys, *_source(source, order.source_key), *options, described, place]
        await _run(words, deadline=programs.LONG, fds=fds)
