from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from domicile.devices.graphics import FAMILY, check_mirrors, check_together, environment, show_run
from domicile.plan.host import Host
from domicile.plan.need import DisplayPassword, Port
from domicile.plan.qemu import Command, Option, Structured
from domicile.schema.write import write

HOST = Host()
Words = Callable[[list[Any], str], str]


@pytest.fixture
def display(bench: Any) -> Any:
    return bench(FAMILY, commands=("query-vnc", "query-spice"))


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("<graphics type='vnc'/>", "<graphics type='vnc' port='-1' autoport='yes'>\n  <listen type='address'/>"),
        ("<graphics type='vnc' port='5905' autoport='yes'/>", "<graphics type='vnc' port='-1' autoport='yes'>"),
        ("<graphics type='vnc' port='5905'/>", "<graphics type='vnc' port='5905' autoport='no'>"),
        ("<graphics type='vnc' port='0' autoport='no'/>", "<graphics type='vnc' autoport='no'>"),
        ("<graphics type='vnc' listen='1.2.3.4'/>", "listen='1.2.3.4'>\n  <listen type='address' address='1.2.3.4'/>"),
        ("<graphics type='vnc' socket='/a'/>", "<graphics type='vnc' socket='/a'>\n  <listen type='socket' socket='/a'/>"),
        (
            "<graphics type='vnc' port='5901'><listen type='none'/></graphics>",
            "<graphics type='vnc'>\n  <listen type='none'/>\n</graphics>",
        ),
        (
            f"<graphics type='vnc' socket='{HOST.directories.state}/domain-9-x/vnc.sock'/>",
            "<graphics type='vnc' port='-1' autoport='yes'>\n  <listen type='address'/>\n</graphics>",
        ),
        ("<graphics type='spice'/>", "<graphics type='spice'>\n  <listen type='none'/>\n</graphics>"),
        ("<graphics type='spice' port='-1' tlsPort='-1'/>", "<graphics type='spice' autoport='yes'>\n  <listen type='address'/>"),
        ("<graphics type='spice' port='5900' autoport='yes'/>", "<graphics type='spice' autoport='yes'>"),
        ("<graphics type='spice' port='-1'/>", "<graphics type='spice' port='-1' autoport='no'>"),
        (
            "<graphics type='spice'><channel name='record' mode='secure'/><channel name='main' mode='any'/>"
            "<channel name='display' mode='insecure'/></graphics>",
            "<channel name='display' mode='insecure'/>\n  <channel name='record' mode='secure'/>",
        ),
        ("<graphics type='sdl' fullscreen='no' port='5'><listen type='none'/></graphics>", "<graphics type='sdl'/>"),
        ("<graphics type='rdp'/>", "<graphics type='rdp' port='0' autoport='yes'>\n  <listen type='address'/>"),
        ("<graphics type='vnc' passwdValidTo='2030-01-01T00:00:00'/>", "autoport='yes'>"),
    ],
)  # fmt: skip
def test_one_form_is_kept(display: Any, given: str, kept: str) -> None:
    assert kept in display.kept(given)


@pytest.mark.parametrize(
    ("given", "culprit"),
    [
        ("<graphics/>", "'type'"),
        ("<graphics type='desktop'/>", "'desktop'"),
        ("<graphics type='vnc'><listen type='network'/></graphics>", "'network'"),
        ("<graphics type='vnc'><listen type='address' network='x'/></graphics>", "'network'"),
        ("<graphics type='vnc' passwd='123456789'/>", "9 characters"),
        ("<graphics type='vnc' passwd='x' passwdValidTo='2030'/>", "'2030'"),
        ("<graphics type='spice' tlsPort='5902'/>", "'spice' TLS"),
        ("<graphics type='spice'><image/></graphics>", "'compression'"),
    ],
)
def test_what_cannot_be_is_named(display: Any, given: str, culprit: str) -> None:
    assert any(culprit in message for message in display.problems(given))


def test_an_attribute_may_not_contradict_the_first_listen(display: Any) -> None:
    c = display.completion()
    check_mirrors(
        display.read("<graphics type='vnc' listen='1.1.1.1'><listen type='address' address='2.2.2.2'/></graphics>"), c
    )
    assert "'2.2.2.2'" in c.found[0][2].message


def test_egl_headless_needs_a_server_that_shows_it(display: Any, words: Words) -> None:
    c = display.completion()
    check_together([display.read("<graphics type='sdl'/>"), display.read("<graphics type='egl-headless'/>")], c)
    assert "'egl-headless'" in c.found[0][2].message


def test_a_vnc_server_takes_a_free_port_on_the_hosts_address(display: Any, words: Words) -> None:
    items = display.planned("<graphics type='vnc' websocket='-1' keymap='de' sharePolicy='ignore' powerControl='yes'/>")
    assert Port("vnc0", address="127.0.0.1") in items
    assert words(items, "-vnc") == (
        "127.0.0.1:{display:vnc0},websocket={port:vnc0-websocket},share=ignore,power-control=on,audiodev=audio1"
    )
    assert Option("-k", "de") in items


def test_a_fixed_port_and_an_ipv6_address(display: Any, words: Words) -> None:
    items = display.planned("<graphics type='vnc' port='5903' listen='::1'/>")
    assert words(items, "-vnc") == "[::1]:3,audiodev=audio1"
    assert Port("vnc0", fixed=5903, address="::1") in items


def test_unix_sockets_where_the_host_prefers_them(display: Any, words: Words) -> None:
    items = display.settings(vnc_auto_unix_socket=True).planned("<graphics type='vnc'/>")
    assert words(items, "-vnc").startswith(f"vnc=unix:{HOST.directories.state}/domain-1-vm/vnc.sock,")


def test_tls_and_sasl_are_the_hosts_choice(display: Any, words: Words) -> None:
    items = display.settings(vnc_tls=True, vnc_sasl=True).planned("<graphics type='vnc'/>")
    assert isinstance(items[1], Structured)
    assert items[1].props["qom-type"] == "tls-creds-x509"
    assert "tls-creds=vnc-tls-creds0,sasl=on" in words(items, "-vnc")


def test_a_password_goes_over_the_monitor_and_is_not_shown(display: Any, words: Words) -> None:
    items = display.planned(
        "<graphics type='vnc' passwd='secret' passwdValidTo='1970-01-02T00:00:00' connected='keep'/>"
    )
    assert "password=on" in words(items, "-vnc")
    assert "secret" not in repr(items)
    password = next(item for item in items if isinstance(item, DisplayPassword))
    assert password.arguments == {"protocol": "vnc", "password": "secret", "connected": "keep"}
    assert Command("expire_password", {"protocol": "vnc", "time": "86400"}) in items


def test_spice_asks_for_the_ports_its_channels_need(display: Any, words: Words) -> None:
    assert words(display.planned("<graphics type='spice' autoport='yes'/>"), "-spice") == (
        "port={port:spice0},addr=127.0.0.1,disable-ticketing=on,seamless-migration=on"
    )
    both = display.settings(spice_tls=True, spice_password="x").planned("<graphics type='spice' autoport='yes'/>")
    assert "tls-port={port:spice0-tls},addr=127.0.0.1,x509-dir=" in words(both, "-spice")
    secure = display.settings(spice_tls=True).planned("<graphics type='spice' autoport='yes' defaultMode='secure'/>")
    assert words(secure, "-spice").startswith("tls-port={port:spice0-tls},")


def test_sdl_needs_an_environment(display: Any, words: Words) -> None:
    p = display.planning()
    assert environment(display.read("<graphics type='sdl' display=':1' xauth='/x'/>"), p) == {
        "XAUTHORITY": "/x",
        "DISPLAY": ":1",
    }


def test_a_running_machines_document_names_the_port_and_the_address(display: Any, words: Words) -> None:
    graphics = display.completed("<graphics type='vnc'/>")
    show_run(graphics, display.planning(), {"vnc0": 5904})
    assert write(graphics) == (
        "<graphics type='vnc' port='5904' autoport='yes' listen='127.0.0.1'>\n"
        "  <listen type='address' address='127.0.0.1'/>\n</graphics>\n"
    )
