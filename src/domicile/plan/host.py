"""Facts of the host that completing and planning may use, as values; nothing here looks at the machine it runs on.

The daemon fills it once from the host; the conformance door fills it with the reference host.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from domicile.base import ids
from domicile.plan.firmware import Firmware


@dataclass(frozen=True, slots=True)
class Directories:
    """Where a domain's files stand; `{name}` and `{short}` (id and name) are filled in for each domain."""

    state: str = "/var/lib/domicile/machine"
    channels: str = "/run/domicile/channel"
    nvram: str = "/var/lib/domicile/nvram"
    ram: str = "/var/lib/domicile/ram"
    run: str = "/run/domicile"
    #: What emulated TPMs remember, in a directory of each machine's UUID.
    tpm_state: str = "/var/lib/domicile/tpm"
    #: The socket of every emulated TPM, where it is not one of its own below `run`.
    tpm: str = ""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the owner of the host set for all machines; names and meanings as in qemu.conf."""

    vnc_listen: str = "127.0.0.1"
    vnc_tls: bool = False
    vnc_tls_x509_cert_dir: str = "/etc/pki/libvirt-vnc"
    vnc_tls_x509_verify: bool = False
    vnc_tls_x509_secret_uuid: str = ""
    vnc_sasl: bool = False
    vnc_sasl_dir: str = ""
    vnc_password: str | None = None
    vnc_allow_host_audio: bool = False
    vnc_auto_unix_socket: bool = False
    spice_listen: str = "127.0.0.1"
    spice_tls: bool = False
    spice_tls_x509_cert_dir: str = "/etc/pki/libvirt-spice"
    spice_password: str | None = None
    spice_sasl: bool = False
    spice_sasl_dir: str = ""
    spice_auto_unix_socket: bool = False
    chardev_tls: bool = False
    chardev_tls_x509_cert_dir: str = "/etc/pki/libvirt-chardev"
    chardev_tls_x509_verify: bool = False
    chardev_tls_x509_secret_uuid: str = ""
    nbd_tls: bool = False
    nbd_tls_x509_cert_dir: str = "/etc/pki/libvirt-nbd"
    nbd_tls_x509_secret_uuid: str = ""
    vxhs_tls: bool = False
    vxhs_tls_x509_cert_dir: str = "/etc/pki/libvirt-vxhs"
    vxhs_tls_x509_secret_uuid: str = ""
    migration_address: str = ""
    migration_host: str = ""
    migration_uri: str = ""
    migration_port_min: int = 49152
    migration_port_max: int = 49215
    migrate_tls_x509_cert_dir: str = "/etc/pki/qemu"
    migrate_tls_x509_verify: bool = True
    migrate_tls_x509_secret_uuid: str = ""
    dump_guest_core: bool = False
    sandbox: bool = True
    audio_driver: str = ""


@dataclass(frozen=True, slots=True)
class Volume:
    """A storage pool's volume as QEMU opens it: `kind` is what a disk's source would be called, file, block or dir."""

    kind: str
    path: str


@dataclass(frozen=True, slots=True)
class Host:
    """The host as completing and planning see it.

    `libvirt` is the release whose habits completion follows where they changed; `aliases` says that machine types such as
    ``pc`` are kept as the version they mean now; `fresh` that
    documents come from their owners: read back later, what the guest would see changed is no longer filled in; `modern`
    that they are definitions of today, which get devices of today where guests of long ago kept others.
    `hugepages` are the directories where files in huge pages may be made, by the pages' KiB, and `hugepage_kib` the usual
    size; `numa_nodes` are the NUMA nodes that have memory, and `advised_nodes` those for machines that are placed
    automatically (empty: anywhere). `vhost_net` says that the kernel can move packets itself, `render_node` is the graphics
    card that displays draw with, `vsock_cid` chooses the number of a machine's sockets by its UUID. `now` tells the seconds since 1970, `zone_offset` how far the host's zone is from UTC.
    """

    arch: str = "x86_64"
    privileged: bool = True
    kvm: bool = True
    directories: Directories = field(default_factory=Directories)
    settings: Settings = field(default_factory=Settings)
    page_kib: int = 4
    hugepages: Mapping[int, str] = field(default_factory=dict)
    hugepage_kib: int = 2048
    numa_nodes: frozenset[int] = frozenset({0})
    advised_nodes: tuple[int, ...] = ()
    vhost_net: bool = False
    render_node: str = ""
    now: Callable[[], float] = time.time
    zone_offset: Callable[[float], int] = field(default=lambda moment: time.localtime(moment).tm_gmtoff)
    libvirt: tuple[int, int] = (9, 0)
    aliases: bool = True
    fresh: bool = True
    modern: bool = True
    environment: Mapping[str, str] = field(default_factory=dict)
    #: Where the volumes are that the document names, by the names of their pools and their own.
    volumes: Mapping[tuple[str, str], Volume] = field(default_factory=dict)
    #: The firmware that the host's packages describe, the best first.
    firmwares: tuple[Firmware, ...] = ()
    vsock_cid: Callable[[str], int] = ids.vsock_cid
    #: The IOMMU group of a PCI device of the host, by its address as 0000:00:02.0.
    iommu_group: Callable[[str], int | None] = lambda _address: None
    #: Why a program cannot be run, in the system's words; empty where it can, or nobody knows.
    cannot_run: Callable[[str], str] = lambda _path: ""
    #: Whether a program that would run beside QEMU is installed.
    has_program: Callable[[str], bool] = lambda _name: True
    new_mac: Callable[[], str] = ids.new_mac
    new_uuid: Callable[[], str] = ids.new_uuid
