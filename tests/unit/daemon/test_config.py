"""The daemon's configuration: every mistake is one clear refusal that says what would be accepted."""

from __future__ import annotations

from pathlib import Path

import pytest

from domicile.base.errors import InvalidRequest
from domicile.daemon.config import load


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sockets = 3", "[sockets]"),
        ('networks = "x"', "[networks]"),
        ("[networks]\ndefault = 3", "bridge"),
        ('[sockets]\nmode = "rwx"', "octal"),
        ("[sockets]\nmax_clients = 0", "1 or more"),
        ("[sockets]\nmax_clients = 10", "1 to max_clients (10)"),
        ("[sockets]\nmax_message = 100", "262144 to 33554432"),
        ("[sockets]\nkeepalive_count = -1", "0 or more"),
        ('[sockets]\nauth = "polkit"', "none, sasl"),
        ("[tcp]\nport = 70000", "65535"),
        ('[tls]\nauth = "x"', "[tls]"),
        ('[tls]\nallowed_dn_list = "CN=x"', "a list of texts"),
        ("[sasl]\nallowed_username_list = [1]", "a list of texts"),
        ("tls = 1", "[tls]"),
        ('[qemu]\nlibvirt = "x"', "9.0"),
        ('[qemu]\nlibvirt = "9"', "9.0"),
        ('log_level = "loud"', "warning"),
        ("[qemu]\nvnc_password = 3", "str"),
        ("[qemu]\nsandbox = 1", "bool"),
        ("[qemu]\nnonesuch = 1", "user"),
        ("[settings]\nsandbox = true", "[qemu]"),
        ("nonesuch = 1", "log_level"),
        ("= 3", "not TOML"),
    ],
)
def test_mistakes(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "domicile.toml"
    path.write_text(text)
    with pytest.raises(InvalidRequest) as refused:
        load(path)
    assert words in refused.value.message and str(path) in refused.value.message


def test_what_is_not_there_is_empty(tmp_path: Path) -> None:
    assert load(tmp_path / "none").log_level == "info"


def test_what_is_said_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "domicile.toml"
    path.write_text(
        '[qemu]\nuser = "nobody"\nvnc_listen = "::1"\n[networks]\ndefault = "virbr0"\n[sockets]\nmode = "0770"\n'
    )
    config = load(path)
    assert (config.qemu.user, config.settings.vnc_listen, config.networks, config.sockets.mode) == (
        "nobody",
        "::1",
        {"default": "virbr0"},
        "0770",
    )
