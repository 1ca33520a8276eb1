"""Credentials for a machine's state that travels encrypted: put into each end's QEMU, taken out again.

Called by `leaving` and `arriving`. The certificates are where qemu.conf's migrate_tls_x509_cert_dir says.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from domicile.base.errors import HostFailure, Unsupported
from domicile.qemu.monitor import Refusal
from domicile.service.migration import route
from domicile.service.migration.wish import How, Wish

if TYPE_CHECKING:
    from domicile.runtime.save import Speaker
    from domicile.service.service import Service

NAME = "objmigrate_tls0"


async def server(ask: Speaker, service: Service, wish: Wish) -> str:
    """Give a QEMU that waits its credentials; return their name, empty without TLS. Raises: HostFailure, Unsupported."""
    return await _put(ask, service, "server") if wish.how & How.TLS else ""


async def client(ask: Speaker, service: Service, wish: Wish, uri: str) -> tuple[str, str] | None:
    """Give a QEMU that sends its credentials; return their name and that of the host it expects, None without TLS."""
    if not wish.how & How.TLS:
        return None
    name = await _put(ask, service, "client")
    return name, wish.text("tls.destination") or route.host_of(uri)


async def forget(ask: Speaker, wish: Wish) -> None:
    """Take credentials out again. Raises: QemuRefused."""
    if wish.how & How.TLS:
        await ask("migrate-set-parameters", {"tls-creds": "", "tls-hostname": ""})
        await ask("object-del", {"id": NAME})


async def _put(ask: Speaker, service: Service, end: str) -> str:
    settings = service.host.settings
    directory = Path(settings.migrate_tls_x509_cert_dir)
    if not (directory / "ca-cert.pem").exists():
        raise HostFailure(
            f"TLS was asked for, but {directory} holds no certificates; 'migrate_tls_x509_cert_dir' in [qemu] says where they are"
        )
    if settings.migrate_tls_x509_secret_uuid:
        raise Unsupported("keys with a passphrase cannot be used for migration yet; a key without would be accepted")
    props = {
        "qom-type": "tls-creds-x509", "id": NAME, "dir": str(directory), "endpoint": end,
        "verify-peer": end == "client" or settings.migrate_tls_x509_verify,
    }  # fmt: skip
    try:
        await ask("object-add", props)
    except Refusal as error:
        if "duplicate" not in error.words.lower():
            raise
        # An earlier migration's, perhaps of the other endpoint.
        await ask("object-del", {"id": NAME})
        await ask("object-add", props)
    return NAME
