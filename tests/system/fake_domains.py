"""A small real server with domains that are only names: what the wire's tests talk to.

Run as a program it listens at the path it is given until it is terminated.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import uuid
from pathlib import Path

from domicile.api.libvirt.registry import Registry
from domicile.api.libvirt.server import Limits, Server
from domicile.api.libvirt.session import Session
from domicile.api.libvirt.stream import Stream
from domicile.api.libvirt.wire import wire_handlers
from domicile.base.errors import NotFound, WrongState
from domicile.rpc.calls import connect, domain, domain_device, domain_event, node, storage
from domicile.rpc.records import DomainInfo, Hole, NodeInfo, SecurityLabel
from domicile.rpc.types import Domain, StorageVol

RUNNING, SHUTOFF = 1, 5
SPARSE = 1


class Domains:
    def __init__(self, count: int) -> None:
        self.by_name = {f"vm{i}": Domain.of(f"vm{i}", str(uuid.UUID(int=i + 1)), -1) for i in range(count)}
        self.by_uuid = {dom.uuid: dom for dom in self.by_name.values()}
        self.next_id = 1

    def get(self, ref: Domain) -> Domain:
        found = self.by_uuid.get(ref.uuid)
        if found is None:
            raise NotFound(f"no domain with matching uuid '{ref.uuid_text}'")
        return found


def registry() -> Registry[Domains]:
    handlers: Registry[Domains] = Registry()
    _connection(handlers)
    _domains(handlers)
    _life(handlers)
    _volumes(handlers)
    return wire_handlers(handlers)


def _connection(handlers: Registry[Domains]) -> None:
    @handlers.handle(connect.connect_open)
    def open_(conn: Session[Domains], name: str | None, flags: int) -> None: ...

    @handlers.handle(connect.connect_get_type)
    def type_(conn: Session[Domains]) -> str:
        return "QEMU"

    @handlers.handle(connect.connect_get_version)
    def version(conn: Session[Domains]) -> int:
        return 7002000

    @handlers.handle(connect.connect_get_lib_version)
    def lib_version(conn: Session[Domains]) -> int:
        return 9000000

    @handlers.handle(connect.connect_get_uri)
    def uri(conn: Session[Domains]) -> str:
        return "qemu:///system"

    @handlers.handle(connect.connect_get_hostname)
    def hostname(conn: Session[Domains]) -> str:
        return "host.example"

    @handlers.handle(node.node_get_info)
    def info(conn: Session[Domains]) -> NodeInfo:
        return NodeInfo(b"x86_64", 4_194_304, 2, 2400, 1, 1, 2, 1)

    @handlers.handle(connect.connect_get_capabilities)
    async def capabilities(conn: Session[Domains]) -> str:
        await asyncio.sleep(0.05)
        return f"<capabilities by='{conn.peer.user}' with='{conn.peer.program}'/>\n"


def _domains(handlers: Registry[Domains]) -> None:
    @handlers.handle(connect.connect_list_all_domains)
    def list_all(conn: Session[Domains], need_results: int, flags: int) -> tuple[list[Domain], int]:
        doms = list(conn.context.by_name.values())
        return (doms if need_results else []), len(doms)

    @handlers.handle(domain.domain_lookup_by_name)
    def by_name(conn: Session[Domains], name: str) -> Domain:
        found = conn.context.by_name.get(name)
        if found is None:
            raise NotFound(f"no domain with matching name '{name}'")
        return found

    @handlers.handle(domain.domain_lookup_by_uuid)
    def by_uuid(conn: Session[Domains], uuid: bytes) -> Domain:
        return conn.context.get(Domain("", uuid, -1))

    @handlers.handle(domain.domain_get_info)
    def info(conn: Session[Domains], dom: Domain) -> DomainInfo:
        running = conn.context.get(dom).id != -1
        return DomainInfo(RUNNING if running else SHUTOFF, 524_288, 524_288, 2, 0)

    @handlers.handle(domain.domain_get_state)
    def state(conn: Session[Domains], dom: Domain, flags: int) -> tuple[int, int]:
        return (RUNNING, 1) if conn.context.get(dom).id != -1 else (SHUTOFF, 0)

    @handlers.handle(domain.domain_get_os_type)
    def os_type(conn: Session[Domains], dom: Domain) -> str:
        return "hvm"

    @handlers.handle(domain.domain_is_persistent)
    def persistent(conn: Session[Domains], dom: Domain) -> int:
        return 1

    @handlers.handle(domain.domain_get_autostart)
    def autostart(conn: Session[Domains], dom: Domain) -> int:
        return 0

    @handlers.handle(domain.domain_has_managed_save_image)
    def managed_save(conn: Session[Domains], dom: Domain, flags: int) -> int:
        return 0

    @handlers.handle(node.node_get_security_model)
    def model(conn: Session[Domains]) -> tuple[bytes, bytes]:
        return b"dac\0", b"0\0"

    @handlers.handle(domain.domain_get_security_label)
    def label(conn: Session[Domains], dom: Domain) -> SecurityLabel:
        return SecurityLabel(b"libvirt-qemu\0", 0)

    @handlers.handle(domain.domain_get_xml_desc)
    def xml(conn: Session[Domains], dom: Domain, flags: int) -> str:
        found = conn.context.get(dom)
        return f"<domain type='kvm'>\n  <name>{found.name}</name>\n  <uuid>{found.uuid_text}</uuid>\n</domain>\n"


def _life(handlers: Registry[Domains]) -> None:
    @handlers.handle(domain.domain_create_with_flags)
    async def create(conn: Session[Domains], dom: Domain, flags: int) -> Domain:
        found = conn.context.get(dom)
        if found.id != -1:
            raise WrongState("domain is already running")
        await asyncio.sleep(0)
        found.id, conn.context.next_id = conn.context.next_id, conn.context.next_id + 1
        conn.server.events.publish(domain_event.domain_event_callback_lifecycle, found, 2, 0)
        return found

    @handlers.handle(domain.domain_create)
    async def create_old(conn: Session[Domains], dom: Domain) -> None:
        await create(conn, dom, 0)  # type: ignore[misc]

    @handlers.handle(domain.domain_destroy)
    def destroy(conn: Session[Domains], dom: Domain) -> None:
        found = conn.context.get(dom)
        if found.id == -1:
            raise WrongState("domain is not running")
        found.id = -1
        conn.server.events.publish(domain_event.domain_event_callback_lifecycle, found, 5, 1)

    @handlers.handle_stream(domain_device.domain_open_console)
    def console(conn: Session[Domains], stream: Stream, dom: Domain, device: str | None, flags: int) -> None:
        stream.serve(_echo(stream))


def _volumes(handlers: Registry[Domains]) -> None:
    """One volume, which takes and gives data and holes."""
    kept: list[bytes | Hole] = []

    @handlers.handle(storage.storage_vol_lookup_by_path)
    def by_path(conn: Session[Domains], path: str) -> StorageVol:
        return StorageVol("pool", "vol", path)

    @handlers.handle_stream(storage.storage_vol_upload)
    def upload(conn: Session[Domains], stream: Stream, vol: StorageVol, offset: int, length: int, flags: int) -> None:
        async def take() -> None:
            kept.clear()
            while (part := await stream.read_part()) != b"":
                kept.append(part)

        if flags & SPARSE:
            stream.sparse()
        stream.serve(take())

    @handlers.handle_stream(storage.storage_vol_download)
    def download(conn: Session[Domains], stream: Stream, vol: StorageVol, offset: int, length: int, flags: int) -> None:
        async def give() -> None:
            for part in list(kept):
                if isinstance(part, bytes):
                    await stream.write(part)
                else:
                    await stream.write_hole(part.length)

        if flags & SPARSE:
            stream.sparse()
        stream.serve(give())


async def _echo(stream: Stream) -> None:
    await stream.write(b"hello from the console\r\n")
    while data := await stream.read():
        if data == b"fail":
            raise WrongState("the console broke")
        await stream.write(data.upper())
        if b"bye" in data:
            return


async def serve(path: Path, count: int, *, limits: Limits | None = None) -> Server[Domains]:
    server = Server(registry(), Domains(count), limits)
    await server.listen(path)
    await server.listen(path.with_name(path.name + "-ro"), mode=0o666, read_only=True)
    return server


async def main(path: str, count: str = "3") -> None:
    server = await serve(Path(path), int(count))
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    print("ready", flush=True)
    await stop.wait()
    await server.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
