"""What a client wants of a migration: libvirt's flags and parameters, read and checked.

The front doors make wishes; both ends of a migration read them. Source: virDomainMigrateFlags, VIR_MIGRATE_PARAM_*.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntFlag
from typing import Any, Self

from domicile.base.errors import NO_SUPPORT, InvalidRequest, Unsupported
from domicile.runtime.migration import Manner, speed

ARGUMENT_UNSUPPORTED = 74


class How(IntFlag):
    """How to migrate."""

    LIVE = 1
    PEER2PEER = 2
    TUNNELLED = 4
    PERSIST_DEST = 8
    UNDEFINE_SOURCE = 16
    PAUSED = 32
    NON_SHARED_DISK = 64
    NON_SHARED_INC = 128
    CHANGE_PROTECTION = 256
    UNSAFE = 512
    OFFLINE = 1024
    COMPRESSED = 2048
    ABORT_ON_ERROR = 4096
    AUTO_CONVERGE = 8192
    RDMA_PIN_ALL = 16384
    POSTCOPY = 32768
    TLS = 65536
    PARALLEL = 131072
    NON_SHARED_SYNCHRONOUS_WRITES = 262144
    POSTCOPY_RESUME = 524288
    ZEROCOPY = 1048576


KNOWN = (1 << 21) - 1
COPY = How.NON_SHARED_DISK | How.NON_SHARED_INC
#: The parameters that are known, as typed parameters call them. The value says what they are.
PARAMS: Mapping[str, type] = {
    "migrate_uri": str, "destination_name": str, "destination_xml": str, "persistent_xml": str, "bandwidth": int,
    "bandwidth.postcopy": int, "graphics_uri": str, "listen_address": str, "migrate_disks": list, "disks_port": int,
    "disks_uri": str, "compression": list, "compression.mt.level": int, "compression.mt.threads": int,
    "compression.mt.dthreads": int, "compression.xbzrle.cache": int, "compression.zlib.level": int,
    "compression.zstd.level": int, "auto_converge.initial": int, "auto_converge.increment": int,
    "parallel.connections": int, "tls.destination": str,
}  # fmt: skip
_METHODS = ("xbzrle", "mt", "zlib", "zstd")
# What QEMU calls the parameters of each method.
_COMPRESS = {"level": "compress-level", "threads": "compress-threads", "dthreads": "decompress-threads"}


@dataclass(frozen=True, slots=True)
class Wish:
    """A migration as its client wants it."""

    how: How = field(default_factory=lambda: How(0))
    given: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, flags: int, given: Mapping[str, Any]) -> Self:
        """Check flags and parameters against each other. Raises: InvalidRequest, Unsupported."""
        wish = cls(How(flags & KNOWN), dict(given))
        how = wish.how
        if how & How.TUNNELLED:
            raise Unsupported(
                "tunnelled migration is not supported: it copies everything twice; native migration with TLS would be accepted"
            )
        if how & How.NON_SHARED_DISK and how & How.NON_SHARED_INC:
            raise InvalidRequest("the flags copy-storage-all and copy-storage-inc exclude each other")
        if how & How.POSTCOPY_RESUME:
            raise Unsupported("a post-copy migration that broke off cannot be taken up again yet", code=NO_SUPPORT)
        if how & How.RDMA_PIN_ALL:
            raise Unsupported("RDMA migration is not supported; tcp and unix would be accepted")
        if how & How.OFFLINE:
            wish._check_offline()
        wish._check_compression()
        if how & How.POSTCOPY and how & How.PARALLEL:
            raise Unsupported("post-copy migration does not work over parallel connections")
        if "parallel.connections" in given and not how & How.PARALLEL:
            raise InvalidRequest("the parameter parallel.connections needs the flag parallel")
        if ("auto_converge.initial" in given or "auto_converge.increment" in given) and not how & How.AUTO_CONVERGE:
            raise InvalidRequest("the parameters of auto_converge need the flag auto-converge")
        if how & How.ZEROCOPY and not how & How.PARALLEL:
            raise InvalidRequest("zero-copy needs the flag parallel")
        if how & How.NON_SHARED_SYNCHRONOUS_WRITES and not how & COPY:
            raise InvalidRequest("synchronous writes need one of the flags copy-storage-all and copy-storage-inc")
        if "disks_uri" in given and "disks_port" in given:
            raise InvalidRequest("the parameters disks_port and disks_uri exclude each other")
        return wish

    def _check_offline(self) -> None:
        if self.how & COPY:
            raise InvalidRequest("offline migration cannot handle non-shared storage", code=55)
        if not self.how & How.PERSIST_DEST:
            raise InvalidRequest("offline migration must be specified with the persistent flag set", code=55)

    def _check_compression(self) -> None:
        for method in self.methods:
            if method not in _METHODS:
                raise InvalidRequest(f"Unsupported compression method '{method}'; accepted: {', '.join(_METHODS)}")
        parallel = bool(self.how & How.PARALLEL)
        for method in self.methods:
            if method in ("zlib", "zstd") and not parallel:
                raise Unsupported(f"Compression method '{method}' requires parallel migration")
            if method in ("mt", "xbzrle") and parallel:
                raise Unsupported(f"Compression method '{method}' isn't supported with parallel migration")
        if len([m for m in self.methods if m in ("zlib", "zstd")]) > 1:
            raise InvalidRequest("Only one compression method could be specified with parallel compression")
        for name in self.given:
            if name.startswith("compression.") and name.split(".")[1] not in self.methods:
                raise InvalidRequest(f"the parameter {name} needs the compression method {name.split('.')[1]}")

    # What it says.

    def text(self, name: str) -> str | None:
        """Give a parameter that is a text."""
        found = self.given.get(name)
        return str(found) if found else None

    def number(self, name: str) -> int:
        """Give a parameter that is a number, 0 where it is not given."""
        return int(self.given.get(name) or 0)

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods of compression; xbzrle where none is named."""
        named = tuple(self.given.get("compression") or ())
        if not named and self.how & How.COMPRESSED:
            return ("zlib",) if self.how & How.PARALLEL else ("xbzrle",)
        return named

    @property
    def disks(self) -> tuple[str, ...]:
        """The targets of the disks to copy; empty for the usual ones."""
        return tuple(self.given.get("migrate_disks") or ())

    def manner(self, limit_mib: int, tls: tuple[str, str] | None) -> Manner:
        """Say it in QEMU's terms; `limit_mib` counts where no speed is given, `tls` is the credentials' name and the host's."""
        how, on = self.how, set()
        both: dict[str, Any] = {}
        mine: dict[str, Any] = {"max-bandwidth": speed(self.number("bandwidth") or limit_mib)}
        if how & How.AUTO_CONVERGE:
            on.add("auto-converge")
            self._take(mine, "auto_converge.initial", "cpu-throttle-initial")
            self._take(mine, "auto_converge.increment", "cpu-throttle-increment")
        if how & How.POSTCOPY:
            on |= {"postcopy-ram", "return-path"}
            if self.number("bandwidth.postcopy"):
                mine["max-postcopy-bandwidth"] = speed(self.number("bandwidth.postcopy"))
        if how & How.PARALLEL:
            on.add("multifd")
            both["multifd-channels"] = self.number("parallel.connections") or 2
        if how & How.ZEROCOPY:
            on.add("zero-copy-send")
        for method in self.methods:
            self._compression(method, on, both)
        both["tls-creds"], mine["tls-hostname"] = (tls[0], tls[1]) if tls is not None else ("", "")
        return Manner(frozenset(on), both, mine)

    def _compression(self, method: str, on: set[str], both: dict[str, Any]) -> None:
        if method == "xbzrle":
            on.add("xbzrle")
            self._take(both, "compression.xbzrle.cache", "xbzrle-cache-size")
        elif method == "mt":
            on.add("compress")
            for ours, theirs in _COMPRESS.items():
                self._take(both, f"compression.mt.{ours}", theirs)
        else:
            both["multifd-compression"] = method
            self._take(both, f"compression.{method}.level", f"multifd-{method}-level")

    def _take(self, into: dict[str, Any], ours: str, theirs: str) -> None:
        if ours in self.given:
            into[theirs] = self.number(ours)
