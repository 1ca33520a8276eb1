"""Wrapping of the guest's keys, on s390. Part of `domain.Domain`."""

from __future__ import annotations

from domicile.schema import field as f
from domicile.schema.scalar import ON_OFF, enum
from domicile.schema.shape import Element, element


@element("cipher", "加密算法", identity=("name",))
class WrapCipher(Element):
    """One kind of key."""

    name: str | None = f.attr("Which kind.", "种类。", enum("aes", "dea"), guest=True, required=True)
    state: bool | None = f.attr("Whether it is wrapped.", "是否包装。", ON_OFF, guest=True, required=True)


@element("keywrap", "密钥包装")
class KeyWrap(Element):
    """Wrapping of the guest's keys."""

    cipher: list[WrapCipher] = f.children("One kind of key.", "一种密钥。", WrapCipher)
