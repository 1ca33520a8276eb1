"""The records that remote procedures answer with: figures of the host, of domains, pools and guests.

``calls`` uses them in signatures; handlers make them. Their fields are the wire's, in its order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from domicile.rpc.layout import Chars, Limit, i32, i64, u32, u64
from domicile.rpc.types import CpuMap, Domain, Label, ParamsStats


@dataclass(slots=True)
class NodeInfo:
    """The host in eight numbers; `memory` in KiB, `mhz` the clock."""

    model: Annotated[bytes, Chars(32, fixed=True)]
    memory: u64
    cpus: i32
    mhz: i32
    nodes: i32
    sockets: i32
    cores: i32
    threads: i32


@dataclass(slots=True)
class NamedCount:
    """A named 64-bit figure of the host."""

    field: str
    value: u64


@dataclass(slots=True)
class Hole:
    """A run of zeros in a sparse stream, told by its length instead of being sent."""

    length: i64
    flags: u32 = 0


@dataclass(slots=True)
class DomainInfo:
    """A domain in five numbers; memory in KiB, `cpu_time` in nanoseconds."""

    state: u32
    max_memory: u64
    memory: u64
    vcpus: u32
    cpu_time: u64


@dataclass(slots=True)
class VcpuInfo:
    """One virtual CPU: its number, state, time in nanoseconds, and the host CPU it is on."""

    number: u32
    state: i32
    cpu_time: u64
    cpu: i32


@dataclass(slots=True)
class IoThreadInfo:
    """One I/O thread and the host CPUs it may use."""

    id: u32
    cpumap: CpuMap


@dataclass(slots=True)
class SecurityLabel:
    """A security label and whether it is enforced."""

    label: Label
    enforcing: i32


@dataclass(slots=True)
class MemoryStat:
    """One figure of a guest's memory, by virDomainMemoryStatTags."""

    tag: i32
    value: u64


@dataclass(slots=True)
class DiskError:
    """A disk and what failed on it."""

    disk: str
    error: i32


@dataclass(slots=True)
class BlockStats:
    """Requests and bytes read from and written to a disk."""

    rd_req: i64
    rd_bytes: i64
    wr_req: i64
    wr_bytes: i64
    errs: i64


@dataclass(slots=True)
class InterfaceStats:
    """Bytes, packets, errors and drops of an interface, received and sent."""

    rx_bytes: i64
    rx_packets: i64
    rx_errs: i64
    rx_drop: i64
    tx_bytes: i64
    tx_packets: i64
    tx_errs: i64
    tx_drop: i64


@dataclass(slots=True)
class JobInfo:
    """A domain's job: its type, times in milliseconds, amounts in bytes."""

    type: i32
    time_elapsed: u64
    time_remaining: u64
    data_total: u64
    data_processed: u64
    data_remaining: u64
    mem_total: u64
    mem_processed: u64
    mem_remaining: u64
    file_total: u64
    file_processed: u64
    file_remaining: u64


@dataclass(slots=True)
class StatsRecord:
    """The statistics of one domain."""

    dom: Domain
    params: ParamsStats


@dataclass(slots=True)
class FsInfo:
    """A filesystem mounted in a guest."""

    mountpoint: str
    name: str
    fstype: str
    dev_aliases: Annotated[list[str], Limit(256)]


@dataclass(slots=True)
class IpAddress:
    """An address of a guest's interface; type 0 is IPv4, 1 IPv6."""

    type: i32
    addr: str
    prefix: u32


@dataclass(slots=True)
class DomainInterface:
    """A guest's interface and its addresses."""

    name: str
    hwaddr: str | None
    addrs: Annotated[list[IpAddress], Limit(2048)]


@dataclass(slots=True)
class DhcpLease:
    """A lease that a network's DHCP server gave."""

    iface: str
    expirytime: i64
    type: i32
    mac: str | None
    iaid: str | None
    ipaddr: str
    prefix: u32
    hostname: str | None
    clientid: str | None


@dataclass(slots=True)
class GraphicsAddress:
    """One end of a graphics connection."""

    family: i32
    node: str
    service: str


@dataclass(slots=True)
class GraphicsIdentity:
    """Who connected to a display."""

    type: str
    name: str


@dataclass(slots=True)
class PoolInfo:
    """A storage pool: its state and bytes in all, taken and free."""

    state: u32
    capacity: u64
    allocation: u64
    available: u64


@dataclass(slots=True)
class VolInfo:
    """A volume: its type and bytes, virtual and taken."""

    type: i32
    capacity: u64
    allocation: u64
