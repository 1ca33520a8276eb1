"""The values that remote procedures carry: object references, typed parameters, the error.

``calls`` uses them in signatures; handlers make them and take them. Their fields are the wire's, in its order.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Self

from domicile.rpc.layout import Chars, Limit, Uuid, i32
from domicile.rpc.xdr import ProtocolError

DOMAIN_LIST_MAX = 16_384
LIST_MAX = 16_384
NODE_DEVICE_LIST_MAX = 65_536


def _text_of(uuid: bytes) -> str:
    digits = uuid.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


@dataclass(slots=True)
class Domain:
    """A domain; `id` is -1 while it does not run."""

    name: str
    uuid: Uuid
    id: i32

    @classmethod
    def of(cls, name: str, uuid: str, id: int = -1) -> Self:
        """Make one from a UUID in text form."""
        return cls(name, bytes.fromhex(uuid.replace("-", "")), id)

    @property
    def uuid_text(self) -> str:
        """The UUID in its 36-character form."""
        return _text_of(self.uuid)


@dataclass(slots=True)
class Network:
    """A virtual network."""

    name: str
    uuid: Uuid


@dataclass(slots=True)
class NetworkPort:
    """A port of a network."""

    net: Network
    uuid: Uuid


@dataclass(slots=True)
class NwFilter:
    """A network filter."""

    name: str
    uuid: Uuid


@dataclass(slots=True)
class NwFilterBinding:
    """A filter bound to a host's port device."""

    portdev: str
    filtername: str


@dataclass(slots=True)
class Interface:
    """A network interface of the host."""

    name: str
    mac: str


@dataclass(slots=True)
class StoragePool:
    """A storage pool."""

    name: str
    uuid: Uuid


@dataclass(slots=True)
class StorageVol:
    """A volume of a storage pool."""

    pool: str
    name: str
    key: str


@dataclass(slots=True)
class NodeDevice:
    """A device of the host."""

    name: str


@dataclass(slots=True)
class Secret:
    """A secret."""

    uuid: Uuid
    usage_type: i32
    usage_id: str


@dataclass(slots=True)
class Snapshot:
    """A snapshot of a domain."""

    name: str
    dom: Domain


@dataclass(slots=True)
class Checkpoint:
    """A checkpoint of a domain."""

    name: str
    dom: Domain


@dataclass(slots=True)
class RemoteError:
    """An error as it travels; `level` 2 is an error, 1 a warning."""

    code: i32
    domain: i32
    message: str | None
    level: i32 = 2
    dom: Domain | None = None
    str1: str | None = None
    str2: str | None = None
    str3: str | None = None
    int1: i32 = -1
    int2: i32 = -1
    net: Network | None = None


_VALUES = {
    1: struct.Struct(">i"),
    2: struct.Struct(">I"),
    3: struct.Struct(">q"),
    4: struct.Struct(">Q"),
    5: struct.Struct(">d"),
    6: struct.Struct(">i"),
}
_INT, _UINT, _LLONG, _ULLONG, _DOUBLE, _BOOLEAN, _STRING = range(1, 8)
_PAD = (b"", b"\0\0\0", b"\0\0", b"\0")
_heads: dict[tuple[str, int], bytes] = {}
_HEADS_KEPT = 65_536


@dataclass(slots=True)
class TypedParam:
    """One named value of a parameter list; `type` is libvirt's virTypedParameterType."""

    field: str
    type: int
    value: int | float | str

    @classmethod
    def integer(cls, field: str, value: int) -> Self:
        """Make a 32-bit signed parameter."""
        return cls(field, _INT, value)

    @classmethod
    def uint(cls, field: str, value: int) -> Self:
        """Make a 32-bit unsigned parameter."""
        return cls(field, _UINT, value)

    @classmethod
    def llong(cls, field: str, value: int) -> Self:
        """Make a 64-bit signed parameter."""
        return cls(field, _LLONG, value)

    @classmethod
    def ullong(cls, field: str, value: int) -> Self:
        """Make a 64-bit unsigned parameter."""
        return cls(field, _ULLONG, value)

    @classmethod
    def double(cls, field: str, value: float) -> Self:
        """Make a floating-point parameter."""
        return cls(field, _DOUBLE, value)

    @classmethod
    def boolean(cls, field: str, value: bool) -> Self:
        """Make a yes-or-no parameter."""
        return cls(field, _BOOLEAN, value)

    @classmethod
    def string(cls, field: str, value: str) -> Self:
        """Make a text parameter."""
        return cls(field, _STRING, value)

    @staticmethod
    def wire_pack(param: TypedParam, add: Callable[[bytes], object]) -> None:
        """Append the parameter's bytes."""
        key = (param.field, param.type)
        head = _heads.get(key) or _head(key)
        if param.type == _STRING:
            text = str(param.value).encode()
            add(head + len(text).to_bytes(4, "big") + text + _PAD[len(text) & 3])
        else:
            add(head + _VALUES[param.type].pack(param.value))

    @staticmethod
    def wire_unpack(data: bytes, offset: int) -> tuple[TypedParam, int]:
        """Read one parameter."""
        field, offset = _read_text(data, offset)
        kind = int.from_bytes(data[offset : offset + 4], "big")
        offset += 4
        if kind == _STRING:
            text, offset = _read_text(data, offset)
            return TypedParam(field, kind, text), offset
        shape = _VALUES.get(kind)
        if shape is None:
            raise ProtocolError(f"{kind} is no type of a parameter")
        (value,) = shape.unpack_from(data, offset)
        return TypedParam(field, kind, value), offset + shape.size


def _head(key: tuple[str, int]) -> bytes:
    field, kind = key
    if kind not in _VALUES and kind != _STRING:
        raise ProtocolError(f"{kind} is no type of a parameter")
    raw = field.encode()
    head = len(raw).to_bytes(4, "big") + raw + _PAD[len(raw) & 3] + kind.to_bytes(4, "big")
    if len(_heads) < _HEADS_KEPT:
        _heads[key] = head
    return head


def _read_text(data: bytes, offset: int) -> tuple[str, int]:
    size = int.from_bytes(data[offset : offset + 4], "big")
    offset += 4
    raw = data[offset : offset + size]
    if len(raw) != size:
        raise ProtocolError("a parameter ends beyond its message")
    return raw.decode(), offset + ((size + 3) & ~3)


Params16 = Annotated[list[TypedParam], Limit(16)]
Params32 = Annotated[list[TypedParam], Limit(32)]
Params64 = Annotated[list[TypedParam], Limit(64)]
Params2048 = Annotated[list[TypedParam], Limit(2048)]
ParamsStats = Annotated[list[TypedParam], Limit(262_144)]
Names = Annotated[list[str], Limit(LIST_MAX)]
Cookie = Annotated[bytes, Limit(4_194_304)]
CpuMap = Annotated[bytes, Limit(2048)]
CpuMaps = Annotated[bytes, Limit(8_388_608)]
Label = Annotated[bytes, Chars(4097)]
Sasl = Annotated[bytes, Chars(65_536)]
