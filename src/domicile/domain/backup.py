"""The document of a backup: which disks, where to, and over which server; and what a wished one is to be. Pure.

`service/backups` reads and writes it. Source: libvirt's page on the format of backups; observed with libvirt 9.0.
"""

from __future__ import annotations

from collections.abc import Iterator

from domicile.base.errors import InvalidRequest, Unsupported
from domicile.devices.disk.source import DiskSource
from domicile.domain.domain import Domain
from domicile.domain.snapshot import OverlayDriver, read_element
from domicile.domain.snapshot_plan import disk_of, disks, empty, target
from domicile.schema import field as f
from domicile.schema import write as writing
from domicile.schema.scalar import FILLED, PATH, UINT, YES_NO, enum
from domicile.schema.shape import Element, element

FROM_DOMAIN = 20


@element("server", "备份的 NBD 服务")
class BackupServer(Element):
    """Where clients fetch a backup from."""

    transport: str | None = f.attr("How it is reached.", "连接方式。", enum("tcp", "unix"))
    name: str | None = f.attr("The address it listens on.", "监听的地址。", FILLED)
    port: int | None = f.attr("The port it listens on.", "监听的端口。", UINT)
    socket: str | None = f.attr("The unix socket it listens on.", "监听的 unix 套接字。", PATH)
    tls: bool | None = f.attr("Whether the way is encrypted.", "连接是否加密。", YES_NO)


@element("disk", "备份中的磁盘", identity=("name",))
class BackupDisk(Element):
    """What is done with one disk."""

    name: str | None = f.attr("The disk's target.", "磁盘的目标名。", FILLED, required=True)
    backup: bool | None = f.attr("Whether it takes part.", "是否参与备份。", YES_NO)
    type: str | None = f.attr("What the backup is written to.", "备份写入何种介质。", enum("file", "block"))
    backupmode: str | None = f.attr("All of it, or what changed.", "全部或仅改动部分。", enum("full", "incremental"))
    incremental: str | None = f.attr("Since which checkpoint.", "自哪个检查点起。", FILLED)
    exportname: str | None = f.attr("The name it has on the server.", "在服务上的名称。", FILLED)
    exportbitmap: str | None = f.attr("The name of the bitmap of changes there.", "改动位图在服务上的名称。", FILLED)
    index: int | None = f.attr("The number of the image it is written to.", "写入映像的编号。", UINT)
    driver: OverlayDriver | None = f.child(
        "The format it is written in.", "写入的格式。", OverlayDriver, keep_empty=False
    )
    target: DiskSource | None = f.child("Where it is written to.", "写入的位置。", DiskSource, keep_empty=False)
    scratch: DiskSource | None = f.child(
        "Where the old contents of what the guest overwrites meanwhile are kept.", "备份期间被改写内容的暂存位置。", DiskSource,
        keep_empty=False,
    )  # fmt: skip

    @property
    def place(self) -> DiskSource:
        """Where QEMU writes to: the target or the scratch file."""
        return self.target or self.scratch or DiskSource()

    @property
    def path(self) -> str:
        """The file or device of it."""
        return self.place.file or self.place.dev or ""

    @property
    def format(self) -> str:
        """The format it is written in."""
        return (self.driver.type if self.driver is not None else None) or "qcow2"


@element("disks", "备份中的磁盘")
class BackupDisks(Element):
    """What is done with the disks."""

    disk: list[BackupDisk] = f.children("One disk.", "一个磁盘。", BackupDisk)


@element("domainbackup", "虚拟机备份")
class DomainBackup(Element):
    """A copy of disks as they are at one moment, written by QEMU or fetched by somebody."""

    mode: str | None = f.attr("Who moves the data.", "由谁搬运数据。", enum("push", "pull"))
    incremental: str | None = f.leaf("The checkpoint since which changes count.", "改动起始的检查点。", FILLED)
    server: BackupServer | None = f.child("Where it is fetched from.", "获取备份的服务。", BackupServer)
    disks: BackupDisks | None = f.child("The disks.", "磁盘。", BackupDisks)

    @property
    def pull(self) -> bool:
        """Whether somebody fetches it."""
        return self.mode == "pull"

    def every_disk(self) -> Iterator[BackupDisk]:
        """Walk the disks."""
        yield from self.disks.disk if self.disks is not None else ()

    def chosen(self) -> list[BackupDisk]:
        """List the disks that take part."""
        return [disk for disk in self.every_disk() if disk.backup]


def read(text: str) -> DomainBackup:
    """Read a client's document. Raises: InvalidDocument."""
    made: DomainBackup = read_element(DomainBackup, text, strict=False, domain=FROM_DOMAIN)
    return made


def write(backup: DomainBackup) -> str:
    """Write a document in libvirt's text form."""
    return writing.write(backup)


def settle(backup: DomainBackup, domain: Domain, now: int) -> None:
    """Decide what the document left open. Raises: Unsupported, InvalidRequest."""
    backup.mode = backup.mode or "push"
    if backup.pull:
        _server(backup)
    elif backup.server is not None:
        raise InvalidRequest("use of <server> requires pull mode backup")
    named: dict[str, BackupDisk] = {}
    for given in backup.every_disk():
        dev = target(disk_of(domain, given.name or ""))
        if dev in named:
            raise Unsupported(f"disk '{dev}' specified twice")
        given.name, named[dev] = dev, given
        if given.backup is None:
            given.backup = True
    everything = not named
    found = []
    for disk in disks(domain):
        made = named.get(target(disk)) or BackupDisk(
            name=target(disk), backup=everything and not empty(disk) and not disk.readonly
        )
        found.append(made)
        if made.backup:
            if empty(disk):
                raise Unsupported(f"backup of empty disk '{made.name}' requested")
            _place(made, backup, (disk.source.file or disk.source.dev or "") if disk.source is not None else "", now)
        else:
            found[-1] = BackupDisk(name=made.name, backup=False)
    backup.disks = BackupDisks(disk=found)
    if not backup.chosen():
        raise Unsupported("no disks selected for backup")


def _server(backup: DomainBackup) -> None:
    server = backup.server
    if server is None:
        raise InvalidRequest("pull mode backup needs a <server>")
    server.transport = server.transport or "tcp"
    if server.tls:
        raise Unsupported("TLS of a backup's server is not supported; without tls it can be reached")
    if server.transport == "unix" and not server.socket:
        raise InvalidRequest("the server's transport 'unix' needs a socket")
    if server.transport == "tcp":
        server.port = server.port or 10809
        if not server.name:
            raise InvalidRequest("the server's transport 'tcp' needs a name")


def _place(made: BackupDisk, backup: DomainBackup, path: str, now: int) -> None:
    """Say where one disk's backup goes, and what it begins with."""
    if backup.pull and made.target is not None:
        raise InvalidRequest(f"disk '{made.name}': a backup that is fetched has <scratch>, no <target>")
    if not backup.pull and made.scratch is not None:
        raise InvalidRequest(f"disk '{made.name}': a backup that is pushed has <target>, no <scratch>")
    if not backup.pull and (made.exportname or made.exportbitmap):
        raise InvalidRequest(f"disk '{made.name}': only a backup that is fetched has an export's names")
    made.type = made.type or "file"
    made.driver = made.driver or OverlayDriver()
    made.driver.type = made.driver.type or "qcow2"
    if backup.pull and made.format != "qcow2":
        raise Unsupported(
            f"disk '{made.name}': the scratch file of a backup must be of format qcow2, not {made.format}"
        )
    if made.format not in ("qcow2", "raw"):
        raise Unsupported(f"disk '{made.name}': a backup can be written in format qcow2 or raw, not {made.format}")
    if not made.path:
        if made.type != "file" or not path:
            raise Unsupported(f"disk '{made.name}': the backup needs a place; none can be made up beside '{path}'")
        source = DiskSource(file=f"{path}.{now}")
        made.target, made.scratch = (None, source) if backup.pull else (source, None)
    if not made.path.startswith("/"):
        raise InvalidRequest(f"disk '{made.name}': the backup's place must be an absolute path, not '{made.path}'")
    since = made.incremental or (backup.incremental if made.backupmode != "full" else None)
    made.incremental, made.backupmode = since, "incremental" if since else "full"
    if backup.pull:
        made.exportname = made.exportname or made.name
