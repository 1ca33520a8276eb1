"""The document of a secret: what it is for, never what it is. Called by the service."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from domicile.base import ids
from domicile.base.errors import CONFIG_UNSUPPORTED, INTERNAL_ERROR, XML_DETAIL, XML_INVALID_SCHEMA, InvalidDocument
from domicile.base.problem import Problem
from domicile.schema import field as f
from domicile.schema import read as reading
from domicile.schema import write as writing
from domicile.schema.scalar import UUID, YES_NO, enum
from domicile.schema.shape import Element, element

FROM_SECRET, NO_SECRET, INVALID_SECRET = 30, 66, 65
#: The kinds of use in libvirt's order (the position is the number), with the element that names the use.
USES = {"none": "", "volume": "volume", "ceph": "name", "iscsi": "target", "tls": "name", "vtpm": "name"}


class SecretDocument(InvalidDocument):
    """A secret's document was refused."""

    domain = FROM_SECRET

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(problems)
        if self.wire_code == XML_DETAIL:
            self.opening = "(definition_of_secret):1: "


@element("usage", "用途")
class Usage(Element):
    """What a secret is for."""

    type: str | None = f.attr("The kind of use.", "用途的种类。", enum(*USES), code=CONFIG_UNSUPPORTED)
    volume: str | None = f.leaf("The encrypted volume.", "加密的卷。")
    name: str | None = f.leaf("The name that others use it by.", "引用它的名称。")
    target: str | None = f.leaf("The iSCSI target.", "iSCSI 目标。")

    @property
    def id(self) -> str:
        """The name of the use."""
        return getattr(self, USES[self.type or "none"] or "name") or ""


@element("secret", "密钥")
class Secret(Element):
    """A password or key that others use by its UUID or by its use."""

    ephemeral: bool | None = f.attr("Whether it is only kept in memory.", "是否仅保存在内存中。", YES_NO)
    private: bool | None = f.attr("Whether its value is never given out.", "其值是否从不外传。", YES_NO)
    uuid: str | None = f.leaf("Its UUID.", "其 UUID。", UUID, code=INTERNAL_ERROR, empty_code=INTERNAL_ERROR)
    description: str | None = f.leaf("What people should know of it.", "说明。")
    usage: Usage | None = f.child("What it is for.", "用途。", Usage)

    @property
    def use(self) -> tuple[int, str]:
        """Its kind of use, in libvirt's number, and the name of the use."""
        if self.usage is None or self.usage.type in (None, "none"):
            return 0, ""
        return list(USES).index(self.usage.type or "none"), self.usage.id


def read(text: str, *, strict: bool = False) -> Secret:
    """Read and complete a document; with `strict` nothing in it may be unknown. Raises: SecretDocument."""
    try:
        root: Any = reading.parse(text)
    except InvalidDocument as error:
        raise SecretDocument(error.problems) from None
    if root.tag != "secret":
        raise SecretDocument([Problem("", f"expecting root element of 'secret', not '{root.tag}'", 0, "<secret>")])
    reader = reading.Reader()
    secret: Secret = reader.element(Secret.shape, root)
    problems = [p for p in reader.problems if p.severity == "error"]
    if strict:
        ignored = (p for p in reader.problems if p.severity == "ignored")
        problems += [replace(p, severity="error", code=XML_INVALID_SCHEMA) for p in ignored]
    usage = secret.usage
    if usage is not None and not problems:
        part = USES[usage.type] if usage.type is not None else ""
        if usage.type is None:
            problems.append(Problem("usage", "element 'usage' has no attribute 'type'", 0, ", ".join(USES)))
        elif part and not usage.id:
            words = f"a use of the type '{usage.type}' needs an element '{part}'"
            problems.append(Problem("usage", words, usage.source_line, f"<{part}>", code=INTERNAL_ERROR))
        elif not part:
            secret.usage = None
    if problems:
        raise SecretDocument(problems)
    secret.ephemeral, secret.private = bool(secret.ephemeral), bool(secret.private)
    secret.uuid = secret.uuid or ids.new_uuid()
    return secret


def read_stored(text: str) -> Secret:
    """Read a document that this program wrote itself."""
    secret: Secret = reading.Reader().element(Secret.shape, reading.parse(text))
    return secret


def write(secret: Secret) -> str:
    """Write a document in libvirt's text form."""
    return writing.write(secret)
