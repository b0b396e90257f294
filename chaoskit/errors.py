"""Every error chaoskit raises on purpose, and the exit code each one ends a command with.

ChaoskitError
├── InputError          2   the files or the command line are wrong; carries every problem found, with its place
├── EnvironmentBroken   3   this machine or the estate cannot give an answer: the verdict is unknown
│   └── ServiceDown         a service that was to be asked is down; an OSError as well
└── Aborted             4   a guard or a person stopped the drill
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from unicodedata import east_asian_width

MESSAGE_MAX = 1_000


@dataclass(frozen=True, order=True)
class Location:
    """A place in a file a user wrote: line and column count from 1."""

    path: Path
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}"


@dataclass(frozen=True)
class Problem:
    """One mistake: where, what was found, what is allowed, and what to do."""

    location: Location
    message: str
    source_line: str = ""
    hint: str = ""
    caret: int = 0
    """Column in `source_line` that the caret marks, when a long line was cut; 0: the location's column."""

    def __str__(self) -> str:
        text = f"{self.location}: {_cut(self.message)}"
        if self.source_line:
            before = self.source_line[: (self.caret or self.location.column) - 1]
            # East Asian wide characters take two columns of a terminal.
            width = sum(2 if east_asian_width(char) in "WF" else 1 for char in before)
            text += f"\n    {self.source_line}\n    {' ' * width}^"
        if self.hint:
            text += f"\n    {_cut(self.hint)}"
        return text


def _cut(text: str) -> str:
    """What a file may make of it: a word of it can be as long as the file."""
    return text if len(text) <= MESSAGE_MAX else text[: MESSAGE_MAX - 1] + "…"


class ChaoskitError(Exception):
    """Base of everything raised on purpose."""

    exit_code = 3


class InputError(ChaoskitError):
    """The files or the command line are wrong; `problems` holds every mistake found, in file order."""

    exit_code = 2

    def __init__(self, *problems: Problem | str) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in problems))


class EnvironmentBroken(ChaoskitError):
    """The machine, the estate or the measurer failed, so there is no answer: unknown, never pass."""

    exit_code = 3


class ServiceDown(EnvironmentBroken, ConnectionRefusedError):
    """A service that is down has no address. Whoever wanted to connect is refused, as where no server listens."""


class Aborted(ChaoskitError):
    """A guard or a person stopped the drill."""

    exit_code = 4
