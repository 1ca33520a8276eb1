"""The host's end of character devices, seen through a serial port."""

from __future__ import annotations

from typing import Any

import pytest

from domicile.devices.serial import FAMILY
from domicile.plan.need import File
from domicile.plan.qemu import Keyed


@pytest.fixture
def serial(bench: Any) -> Any:
    return bench(FAMILY)


@pytest.mark.parametrize(
    ("inside", "option"),
    [
        ("type='null'", "null"),
        ("type='vc'", "vc"),
        ("type='pty'", "pty"),
        ("type='stdio'", "stdio"),
        ("type='dev'><source path='/dev/ttyS0'/", "serial,path=/dev/ttyS0"),
        ("type='file'><source path='/a' append='on'/", "file,path=/dev/fdset/{fd:charserial0-source},append=on"),
        ("type='pipe'><source path='/a'/", "pipe,path=/a"),
        ("type='unix'><source mode='bind' path='/a'/", "socket,path=/a,server=on,wait=off"),
        (
            "type='unix'><source path='/a'><reconnect enabled='yes' timeout='3'/></source",
            "socket,path=/a,reconnect=3",
        ),
        ("type='unix'><source path='/a'><reconnect enabled='no'/></source", "socket,path=/a,reconnect=0"),
        (
            "type='tcp'><source mode='bind' host='h' service='1'/><protocol type='telnet'/",
            "socket,host=h,port=1,telnet=on,server=on,wait=off",
        ),
        ("type='udp'><source service='9'/", "udp,host=,port=9,localaddr=,localport=0"),
        (
            "type='udp'><source host='h' service='9'/><source mode='bind' host='b' service='8'/",
            "udp,host=h,port=9,localaddr=b,localport=8",
        ),
        ("type='spiceport'><source channel='a.b'/", "spiceport,name=a.b"),
        (
            "type='qemu-vdagent'><source><clipboard copypaste='yes'/><mouse mode='server'/></source",
            "qemu-vdagent,name=vdagent,clipboard=on,mouse=off",
        ),
        ("type='null'><log file='/l' append='off'/", "null,logfile=/dev/fdset/{fd:charserial0-log},logappend=on"),
    ],
)
def test_every_type_becomes_a_chardev(serial: Any, words: Any, inside: str, option: str) -> None:
    xml = f"<serial {inside}></serial>"
    kind, _, rest = option.partition(",")
    expected = f"{kind},id=charserial0" + (f",{rest}" if rest else "")
    assert words(serial.planned(xml), "-chardev") == expected


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("<serial><source path='/dev/pts/3'/></serial>", "<serial type='pty'>\n  <target"),
        ("<serial type='unix'><source path='/a' host='h'/></serial>", "<source mode='connect' path='/a'/>\n  <target"),
        (
            "<serial type='tcp'><source mode='bind' host='h' service='1' tlsFromConfig='1' tls='yes'/></serial>",
            "<source mode='bind' host='h' service='1' tls='yes'/>\n  <protocol type='raw'/>\n  <target",
        ),
        (
            "<serial type='udp'><source service='1'/><source mode='bind' host='q'/></serial>",
            "<source mode='bind' host='q'/>\n  <source mode='connect' service='1'/>",
        ),
        (
            "<serial type='file'><log file='/l'/><source path='/a'><seclabel model='dac' relabel='no'/>"
            "<seclabel model='selinux' labelskip='yes'/></source></serial>",
            "<source path='/a'>\n    <seclabel model='dac' relabel='no'/>\n  </source>\n  <log file='/l'/>\n  <target",
        ),
    ],
)
def test_what_is_kept(serial: Any, given: str, kept: str) -> None:
    assert kept in serial.kept(given)


@pytest.mark.parametrize(
    ("xml", "words"),
    [
        ("<serial type='unix'><source mode='bind'/></serial>", "'path'"),
        ("<serial type='file'/>", "'path'"),
        ("<serial type='tcp'><source service='1'/></serial>", "'host'"),
        ("<serial type='udp'><source mode='bind' service='1'/></serial>", "'service'"),
        ("<serial type='nmdm'><source master='/a' slave='/b'/></serial>", "'nmdm'"),
        ("<serial type='bogus'/>", "'bogus'"),
        ("<serial type='spicevmc'/>", "'spicevmc'"),
        ("<serial type='spiceport'><source channel='a b'/></serial>", "'a b'"),
        ("<serial type='tcp'><source host='h' service='1'/><protocol type='tls'/></serial>", "'tls'"),
        (
            "<serial type='tcp'><source host='h' service='1'><reconnect enabled='yes' timeout='0'/></source></serial>",
            "'0'",
        ),
        (
            "<serial type='unix'><source mode='bind' path='/a'><reconnect enabled='yes' timeout='1'/></source></serial>",
            "'connect'",
        ),
    ],
)
def test_refusals_name_the_culprit(serial: Any, xml: str, words: str) -> None:
    assert any(words in problem for problem in serial.problems(xml))


def test_encryption_by_element_or_by_the_hosts_setting(serial: Any, words: Any) -> None:
    plain = "<serial type='tcp'><source host='h' service='1'/></serial>"
    assert "tls-creds" not in words(serial.planned(plain), "-chardev")
    host = serial.settings(chardev_tls=True)
    assert words(host.planned(plain), "-chardev").endswith("tls-creds=objcharserial0_tls0")
    credentials = host.props(plain)[0]
    assert (credentials["endpoint"], credentials["verify-peer"]) == ("client", True)
    refused = "<serial type='tcp'><source host='h' service='1' tls='no'/></serial>"
    assert "tls-creds" not in words(host.planned(refused), "-chardev")


def test_a_device_of_the_host_must_be_there(serial: Any) -> None:
    items = serial.planned("<serial type='dev'><source path='/dev/ttyS0'/></serial>")
    assert items[0] == File("/dev/ttyS0", writable=True)
    assert isinstance(items[1], Keyed)
