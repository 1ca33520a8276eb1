"""URIs of daemons, and what answers there."""

import socket
import threading

import pytest

from domicile.base.errors import HostFailure, InvalidRequest
from domicile.rpc.reach import Address, open_uri


def test_what_a_uri_says() -> None:
    assert Address.parse("qemu:///system").transport == "unix"
    assert Address.parse("qemu://host/system").transport == "tls"
    tcp = Address.parse("qemu+tcp://[::1]:99/system")
    assert (tcp.transport, tcp.host, tcp.port) == ("tcp", "::1", 99)
    ssh = Address.parse("qemu+ssh://root@host/system?socket=/run/x&keyfile=/k")
    assert (ssh.user, ssh.options) == ("root", {"socket": "/run/x", "keyfile": "/k"})


@pytest.mark.parametrize(
    "uri",
    ["xen:///", "qemu+ext://h/", "qemu+tcp:///system", "qemu+ssh://-oProxyCommand=x/system", "qemu+tcp://h:x/", ""],
)
def test_uris_that_lead_nowhere(uri: str) -> None:
    with pytest.raises(InvalidRequest):
        Address.parse(uri)


def test_nobody_answers() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    with pytest.raises(HostFailure, match="no daemon answers"):
        open_uri(f"qemu+tcp://127.0.0.1:{port}/system", 2)
    with pytest.raises(HostFailure, match="no daemon answers"):
        open_uri("qemu+unix:///system?socket=/nowhere/sock", 2)


def test_somebody_who_is_no_daemon() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        other.listen()
        threading.Thread(target=lambda: other.accept()[0].close(), daemon=True).start()
        with pytest.raises(HostFailure, match="no daemon answers"):
            open_uri(f"qemu+tcp://127.0.0.1:{port}/system", 2)
