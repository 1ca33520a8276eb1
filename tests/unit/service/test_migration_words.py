"""What the ends of a migration say: cookies, wishes, ways. No machine is needed."""

import pytest

from domicile.base.errors import InvalidRequest, Unsupported
from domicile.host.ports import PortBook
from domicile.plan.host import Settings
from domicile.service.migration import route
from domicile.service.migration.cookie import Cookie, CopiedDisk
from domicile.service.migration.wish import How, Wish


def test_a_cookie_comes_back_as_it_was_written() -> None:
    made = Cookie(
        "token", "host", "name", "boot", ("qemu+unix:///system?socket=/a&b=<c>",), "host", 7, True, False, "<domain>ü</domain>",
        (("devices/disk[2]", "virtio-disk1"),), (("/a b", (1, 2)),), (CopiedDisk("vda", 10, "qcow2", 5),), 49153, "/sock",
        {"memory_total": 5}, 1.25, 2.5,
    )  # fmt: skip
    assert Cookie.read(made.write()) == made
    assert Cookie.read(made.write() + b"\0") == made
    assert Cookie.read(Cookie("t").write()) == Cookie("t")


@pytest.mark.parametrize(
    "data",
    [b"", b"<qemu-migration/>", b"<domicile-migration/>", b"\xff\xfe", b"<domicile-migration token='t'><nbd port='x'/></domicile-migration>"],
)  # fmt: skip
def test_what_is_no_cookie_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidRequest):
        Cookie.read(data)


def test_a_wish_in_qemus_terms() -> None:
    plain = Wish.read(How.LIVE, {}).manner(0, None)
    assert plain.capabilities == frozenset() and plain.mine["max-bandwidth"] == 8_796_093_022_207 << 20
    assert Wish.read(How.LIVE, {"bandwidth": 5}).manner(7, None).mine["max-bandwidth"] == 5 << 20
    assert Wish.read(How.LIVE, {}).manner(7, None).mine["max-bandwidth"] == 7 << 20
    given = {"parallel.connections": 4, "compression": ["zstd"], "compression.zstd.level": 3}
    wide = Wish.read(How.PARALLEL | How.COMPRESSED, given).manner(0, ("tls0", "host"))
    assert wide.capabilities == {"multifd"}
    assert wide.parameters == {
        "multifd-channels": 4, "multifd-compression": "zstd", "multifd-zstd-level": 3, "tls-creds": "tls0"
    }  # fmt: skip
    assert wide.mine["tls-hostname"] == "host"
    assert Wish.read(How.COMPRESSED, {}).manner(0, None).capabilities == {"xbzrle"}
    slow = Wish.read(How.AUTO_CONVERGE, {"auto_converge.initial": 30}).manner(0, None)
    assert slow.capabilities == {"auto-converge"} and slow.mine["cpu-throttle-initial"] == 30


@pytest.mark.parametrize(
    ("flags", "given"),
    [
        (How.TUNNELLED, {}), (How.NON_SHARED_DISK | How.NON_SHARED_INC, {}), (How.POSTCOPY_RESUME, {}), (How.RDMA_PIN_ALL, {}),
        (How.OFFLINE, {}), (How.OFFLINE | How.PERSIST_DEST | How.NON_SHARED_DISK, {}), (How.POSTCOPY | How.PARALLEL, {}),
        (0, {"parallel.connections": 2}), (0, {"auto_converge.initial": 2}), (How.ZEROCOPY, {}),
        (How.COMPRESSED, {"compression": ["zstd"]}), (How.COMPRESSED | How.PARALLEL, {"compression": ["mt"]}),
        (How.COMPRESSED | How.PARALLEL, {"compression": ["zlib", "zstd"]}), (How.COMPRESSED, {"compression": ["lzo"]}),
        (0, {"compression.xbzrle.cache": 2}), (How.NON_SHARED_SYNCHRONOUS_WRITES, {}),
        (How.NON_SHARED_DISK, {"disks_uri": "tcp://a", "disks_port": 1}),
    ],
)  # fmt: skip
def test_wishes_that_contradict_themselves(flags: int, given: dict[str, object]) -> None:
    with pytest.raises((InvalidRequest, Unsupported)):
        Wish.read(flags, given)


def test_the_way_between_two_hosts() -> None:
    book = PortBook()
    way = route.made("tcp://10.0.0.2", None, Settings(migration_address="10.0.0.2"), book, "me")
    assert (
        way.listen == f"tcp:10.0.0.2:{way.port}"
        and way.uri == f"tcp://10.0.0.2:{way.port}"
        and 49152 <= way.port <= 49215
    )
    other = route.made("tcp:host", "[fe80::1]", Settings(), book, "me")
    assert other.listen == f"tcp:[fe80::1]:{other.port}" and other.port != way.port
    assert route.made("tcp://h:7", None, Settings(migration_address="1.2.3.4"), book, "me").listen == "tcp:1.2.3.4:7"
    named = route.made(None, None, Settings(migration_host="vm1.example.com"), book, "me")
    assert named.uri.startswith("tcp://vm1.example.com:") and route.host_of(named.uri) == "vm1.example.com"
    assert route.made("unix:///run/way", None, Settings(), book, "me").listen == "unix:/run/way"
    assert route.to_qemu("tcp://[fe80::1]:5") == "tcp:[fe80::1]:5"
    assert route.to_qemu("unix:///run/way") == "unix:/run/way"


@pytest.mark.parametrize(
    "uri", ["", "foo", "tcp://", "rdma://h:1", "unix:relative", "unix:///a,b", "tcp://h:port", "http://h:1"]
)
def test_ways_that_lead_nowhere(uri: str) -> None:
    with pytest.raises((InvalidRequest, Unsupported)):
        route.to_qemu(uri)
