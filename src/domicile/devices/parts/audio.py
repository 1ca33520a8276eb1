"""How sound cards and displays name the audio backend they use."""

from __future__ import annotations

from domicile.schema import field as f
from domicile.schema.scalar import PUINT
from domicile.schema.shape import Element, element


@element("audio", "音频后端的引用")
class AudioReference(Element):
    """The audio backend that plays and records."""

    id: int | None = f.attr("The number of the <audio> element.", "<audio> 元素的编号。", PUINT, required=True)
