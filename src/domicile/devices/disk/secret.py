"""Passwords by reference: who logs in to a server, and how an image is encrypted. Used by the other files of this slice.

The document names a stored secret and never holds its value.
"""

from __future__ import annotations

from domicile.schema import field as f
from domicile.schema.scalar import FILLED, PUINT, UUID, enum
from domicile.schema.shape import Element, element


@element("secret", "密钥引用")
class SecretRef(Element):
    """The stored secret that holds a password or passphrase."""

    type: str | None = f.attr("What the secret is for.", "密钥的用途。", enum("passphrase", "iscsi", "ceph", "volume"))
    uuid: str | None = f.attr("The secret's UUID.", "密钥的 UUID。", UUID)
    usage: str | None = f.attr("The secret's usage name.", "密钥的用途名称。", FILLED)


@element("auth", "登录身份")
class Auth(Element):
    """Who logs in to the server."""

    username: str | None = f.attr("The user.", "用户名。", FILLED, required=True)
    secret: SecretRef | None = f.child("The secret that holds the password.", "保存密码的密钥。", SecretRef)


@element("cipher", "加密算法")
class Cipher(Element):
    """The cipher of an image that is to be made; an image that exists tells its own."""

    name: str | None = f.attr("The algorithm.", "算法。", FILLED)
    size: int | None = f.attr("The length of the key, in bits.", "密钥长度（位）。", PUINT)
    mode: str | None = f.attr("The mode of operation.", "工作模式。", FILLED)
    hash: str | None = f.attr("The hash for keys.", "密钥散列算法。", FILLED)


@element("ivgen", "初始向量生成器")
class IvGenerator(Element):
    """How initialisation vectors of an image that is to be made come about."""

    name: str | None = f.attr("The generator.", "生成器。", FILLED)
    hash: str | None = f.attr("Its hash.", "其散列算法。", FILLED)


@element("encryption", "映像加密")
class Encryption(Element):
    """How an image is encrypted."""

    format: str | None = f.attr(
        "The format of encryption.", "加密格式。", enum("default", "qcow", "luks", "luks2", "luks-any"), required=True
    )
    engine: str | None = f.attr(
        "Who decrypts: QEMU, or Ceph's library.", "由 QEMU 还是 librbd 解密。", enum("qemu", "librbd")
    )
    secret: list[SecretRef] = f.children(
        "The secret that holds the passphrase; Ceph takes one for each layer.",
        "保存口令的密钥；Ceph 每层一个。",
        SecretRef,
    )
    cipher: Cipher | None = f.child("The cipher.", "加密算法。", Cipher)
    ivgen: IvGenerator | None = f.child("The initialisation vectors.", "初始向量。", IvGenerator)
