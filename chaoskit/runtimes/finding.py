"""What was found when a machine was looked at: one line each, with what to do about it."""

from __future__ import annotations

from typing import Literal, NamedTuple

from chaoskit.model.plain_text import one_line


class Finding(NamedTuple):
    """One line: `problem` means that a drill could not run; `note` is worth knowing and stops nothing."""

    state: Literal["ok", "note", "problem"]
    what: str
    remedy: str = ""

    def __str__(self) -> str:
        line = f"{self.state:<8} {one_line(self.what)}"
        return f"{line}\n{'':9}→ {one_line(self.remedy)}" if self.remedy else line
