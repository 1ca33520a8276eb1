"""A finding about a document, as a value: where, what, and what would be accepted.

The schema reader, the checks of every slice and the command line all speak in these.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "ignored"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding about one place of a document.

    `path` is an XML path such as ``domain/devices/disk[2]/target/@dev``, `line` counts from 1 (0: unknown),
    `accepted` says what would be accepted instead. ``ignored`` marks what nobody knows and nothing uses.
    `code` is libvirt's number of the kind of error, 0 where nothing better than "a bad document" is known; `lead` is a
    line that stands before all problems, where clients know this kind of error by it.
    """

    path: str
    message: str
    line: int = 0
    accepted: str = ""
    severity: Severity = "error"
    code: int = 0
    lead: str = ""

    def sentence(self) -> str:
        """Say it in one line."""
        where = ": ".join(part for part in (f"line {self.line}" if self.line else "", self.path) if part)
        text = f"{where}: {self.message}" if where else self.message
        return f"{text} (accepted: {self.accepted})" if self.accepted else text
