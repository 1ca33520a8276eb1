"""Secrets: their documents, and the vault that keeps values encrypted."""

from __future__ import annotations

from pathlib import Path

import pytest

from domicile.base.errors import HostFailure
from domicile.secrets.secret import USES, SecretDocument, read, write
from domicile.secrets.vault import Vault, seal

UUID = "11111111-0000-4000-8000-000000000001"


def test_written_as_libvirt_does() -> None:
    made = read(
        f"<secret private='yes'><uuid>{UUID}</uuid><description>d</description><usage type='volume'><volume>/v</volume></usage></secret>"
    )
    assert write(made) == (
        f"<secret ephemeral='no' private='yes'>\n  <uuid>{UUID}</uuid>\n  <description>d</description>\n"
        "  <usage type='volume'>\n    <volume>/v</volume>\n  </usage>\n</secret>\n"
    )
    assert made.use == (1, "/v")


def test_every_kind_of_use() -> None:
    for number, (kind, part) in enumerate(USES.items()):
        inside = f"<{part}>x</{part}>" if part else ""
        made = read(f"<secret><uuid>{UUID}</uuid><usage type='{kind}'>{inside}</usage></secret>")
        assert made.use == (number, "x" if part else "")
    assert "usage" not in write(read(f"<secret><uuid>{UUID}</uuid><usage type='none'/></secret>"))


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ("<secret><usage type='warp'><name>x</name></usage></secret>", 67),
        ("<secret><usage type='ceph'/></secret>", 1),
        ("<secret><usage/></secret>", 27),
        ("<secret ephemeral='maybe'/>", 27),
        ("<secret><uuid>x</uuid></secret>", 1),
        ("<foo/>", 27),
        ("x", 35),
    ],
)
def test_refused_with_libvirts_number(document: str, code: int) -> None:
    with pytest.raises(SecretDocument) as refused:
        read(document)
    assert (refused.value.wire_code, refused.value.wire_domain) == (code, 30)


def test_values_are_kept_encrypted(tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    vault = Vault(tmp_path / "secrets", tmp_path / "key")
    assert vault.get(UUID) is None
    vault.put(UUID, b"hunter2")
    vault.put(UUID, b"hunter3")
    assert Vault(tmp_path / "secrets", tmp_path / "key").get(UUID) == b"hunter3"
    kept = tmp_path / "secrets" / UUID
    assert b"hunter" not in kept.read_bytes()
    assert [p.stat().st_mode & 0o777 for p in (kept, tmp_path / "key")] == [0o600, 0o600]
    assert sorted(p.name for p in tmp_path.rglob("*")) == [UUID, "key", "secrets"]
    vault.drop(UUID)
    vault.drop(UUID)
    assert vault.get(UUID) is None


def test_a_value_is_bound_to_its_secret_and_its_key(tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    vault = Vault(tmp_path / "secrets", tmp_path / "key")
    vault.put(UUID, b"hunter2")
    other = UUID.replace("1", "2")
    (tmp_path / "secrets" / other).write_bytes((tmp_path / "secrets" / UUID).read_bytes())
    with pytest.raises(HostFailure, match="another key"):
        vault.get(other)
    (tmp_path / "key").chmod(0o644)
    with pytest.raises(HostFailure, match="opened by others"):
        vault.get(UUID)
    (tmp_path / "key").unlink()
    with pytest.raises(HostFailure, match="missing"):
        vault.get(UUID)


def test_sealed_for_qemu() -> None:
    pytest.importorskip("cryptography")
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    key, iv = bytes(range(32)), bytes(16)
    for value in (b"", b"hunter2", b"x" * 16):
        sealed = seal(value, key, iv)
        machine = Cipher(algorithms.AES(key), modes.CBC(iv)).decryptor()
        padded = machine.update(sealed) + machine.finalize()
        assert padded[: -padded[-1]] == value and 1 <= padded[-1] <= 16
