"""Documents of filters: read, completed, written as libvirt writes them, and refused in words."""

from __future__ import annotations

import re

import pytest

from domicile.base.errors import InvalidDocument
from domicile.filters import document, stock
from domicile.filters.model import MATCHES


def completed(text: str) -> str:
    return re.sub(r"\n  <uuid>.*</uuid>", "", document.write(document.complete_text(text)))


def rule(match: str) -> str:
    text = completed(f"<filter name='f'><rule action='accept' direction='in'><{match}/></rule></filter>")
    found = re.search(r"    <(.*)/>", text)
    assert found is not None
    return found[1]


# Each pair was observed with libvirtd 9.0.
@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("mac protocolid='0x806'", "mac protocolid='arp'"),
        ("mac srcmacaddr='1:2:3:4:5:F'", "mac srcmacaddr='01:02:03:04:05:0f'"),
        ("vlan encap-protocol='0x0842'", "vlan encap-protocol='0x842'"),
        ("arp opcode='1' gratuitous='yes'", "arp opcode='Request' gratuitous='true'"),
        ("arp opcode='8'", "arp opcode='InARP_Request'"),
        ("arp arpsrcipaddr='1.2.3.4' arpdstipmask='255.0.0.0'", "arp arpsrcipaddr='1.2.3.4' arpdstipmask='8'"),
        ("ip protocol='0x11' dscp='0x3f'", "ip protocol='udp' dscp='0x3f'"),
        ("ipv6 srcipaddr='A:b::F' srcipmask='ffff::'", "ipv6 srcipaddr='a:b::f' srcipmask='16'"),
        ("tcp flags='syn,RST,FIN/all'", "tcp flags='FIN,SYN,RST/ALL'"),
        ("tcp state='ESTABLISHED,new'", "tcp state='NEW,ESTABLISHED'"),
        ("tcp state='NEW,NONE'", "tcp state='NONE'"),
        ("tcp ipset='a'", "tcp ipset='a' ipsetflags='src'"),
        ("tcp match='yes' srcportstart='$PORTS[@3]'", "tcp srcportstart='$PORTS[@3]'"),
        ("icmp type='0x8' code='1' comment='a &quot;b&quot;'", "icmp type='0x8' code='1' comment='a &quot;b&quot;'"),
        ("stp root-cost='0xffffffff' port='1' port-hi='9'", "stp root-cost='0xffffffff' port='1' port-hi='9'"),
    ],
)
def test_values_are_written_as_libvirt_writes_them(said: str, written: str) -> None:
    assert rule(said) == written


@pytest.mark.parametrize(
    ("attributes", "written"),
    [
        ("", "chain='root'"),
        ("chain='' priority='5'", "chain='root'"),
        ("chain='ipv4'", "chain='ipv4' priority='-700'"),
        ("chain='mac-x'", "chain='mac-x' priority='-800'"),
        ("chain='stp'", "chain='stp'"),
        ("chain='arp' priority='-3'", "chain='arp' priority='-3'"),
    ],
)
def test_chains_have_priorities(attributes: str, written: str) -> None:
    assert completed(f"<filter name='f' {attributes}/>").splitlines()[0] == f"<filter name='f' {written}>"


def test_rules_and_references_keep_their_order() -> None:
    text = completed(
        "<filter name='f'><rule action='accept' direction='in' priority='-5'/><filterref filter='x'><parameter name='B' value='1'/>"
        "<parameter name='A' value='2'/></filterref><rule action='drop' direction='out' statematch='0'/></filter>"
    )
    assert text == (
        "<filter name='f' chain='root'>\n  <rule action='accept' direction='in' priority='-5'/>\n  <filterref filter='x'>\n"
        "    <parameter name='A' value='2'/>\n    <parameter name='B' value='1'/>\n  </filterref>\n"
        "  <rule action='drop' direction='out' priority='500' statematch='false'/>\n</filter>\n"
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<filter/>", "no name"),
        ("<filter name='a/b'/>", "a/b"),
        ("<network/>", "<filter>"),
        ("<filter name='f' chain='foo'/>", "mac, vlan, stp"),
        ("<filter name='f' chain='ipv4-abcdefghijk'/>", "at most 12"),
        ("<filter name='f' priority='1001'/>", "-1000 to 1000"),
        ("<filter name='f'><rule action='foo' direction='in'/></filter>", "drop, accept"),
        ("<filter name='f'><rule action='drop'/></filter>", "direction"),
        ("<filter name='f'><rule action='drop' direction='in'><foo/></rule></filter>", "foo"),
        ("<filter name='f'><filterref/></filter>", "filter"),
        *(
            (f"<filter name='f'><rule action='drop' direction='in'><{match}/></rule></filter>", name)
            for match, name in (
                ("mac protocolid='12'", "protocolid"), ("vlan vlanid='4096'", "vlanid"), ("arp opcode='foo'", "opcode"),
                ("ip protocol='ospf'", "protocol"), ("ip srcipmask='255.0.255.0'", "srcipmask"), ("ip srcportstart='1'", "ports"),
                ("ipv6 srcipaddr='1.2.3.4'", "srcipaddr"), ("tcp flags='SYN'", "flags"), ("tcp connlimit-above='0x5'", "connlimit-above"),
                ("tcp srcportstart='$ X'", "srcportstart"), ("all srcmacaddr='zz'", "srcmacaddr"), ("icmp type='256'", "type"),
            )
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_what_could(text: str, words: str) -> None:
    with pytest.raises(InvalidDocument, match=re.escape(words)):
        document.complete_text(text)


def test_what_has_no_effect_is_refused_where_that_is_asked() -> None:
    text = "<filter name='f' bogus='1'><rule action='accept' direction='in'><tcp/><udp/></rule></filter>"
    assert "<tcp/>" in completed(text)
    with pytest.raises(InvalidDocument, match="bogus"):
        document.complete_text(text, strict=True)


def test_every_attribute_is_read_and_written() -> None:
    for tag, cls in MATCHES.items():
        variables = " ".join(f"{name}='$V'" for name in cls.shape.attrs if name != "match")
        assert rule(f"{tag} {variables}") == f"{tag} {variables}"


def test_the_stock_is_whole() -> None:
    made = {one.name: one for one in map(document.complete_text, stock.documents())}
    assert len(made) == 24
    assert {ref.filter for one in made.values() for ref in one.filterref} <= set(made)


def test_a_binding_needs_all_of_it() -> None:
    text = (
        "<filterbinding><owner><name>x</name><uuid>aaaaaaaa-0000-4000-8000-000000000001</uuid></owner><portdev name='vnet0'/>"
        "<mac address='52:54:00:00:00:01'/><filterref filter='f'><parameter name='IP' value='1.2.3.4'/></filterref></filterbinding>"
    )
    assert document.read_binding(document.write_binding(document.read_binding(text))) == document.read_binding(text)
    for part in ("<portdev name='vnet0'/>", "<mac address='52:54:00:00:00:01'/>"):
        with pytest.raises(InvalidDocument, match=part[1:8].split()[0]):
            document.read_binding(text.replace(part, ""))
    with pytest.raises(InvalidDocument, match="1/2"):
        document.read_binding(text.replace("1.2.3.4", "1/2"))
