"""Where every key and value of a file stands, and how a mistake there is told: line, column, caret, hint."""

from __future__ import annotations

import difflib
import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from chaoskit.errors import InputError, Location, Problem

Loc = tuple[str | int, ...]
_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_WIDTH = 110
_SHOWN_MAX = 60


class Position(NamedTuple):
    """A place in a text: line and column count from 0."""

    line: int
    column: int


def nearest(word: str, known: Iterable[str], noun: str = "known") -> str:
    """A hint: the nearest known words, and all of them while they are few."""
    words = sorted(set(known))
    if not words:
        return f"{noun}: none"
    close = difflib.get_close_matches(word[:80], words, n=3, cutoff=0.6)
    did = f"did you mean {' or '.join(f'`{one}`' for one in close)}? " if close else ""
    listed = ", ".join(words[:40]) + (", …" if len(words) > 40 else "")
    return f"{did}{noun}: {listed}"


def shown(value: object) -> str:
    """A value as it is quoted in a message: short, on one line, without control characters."""
    text = getattr(value, "text", None) or (
        {None: "null", True: "true", False: "false"}[value]
        if value is None or isinstance(value, bool)
        else f"'{value}'"
        if isinstance(value, str)
        else "a mapping"
        if isinstance(value, dict)
        else "a list"
        if isinstance(value, list | tuple)
        else str(value)
    )
    text = "".join(char if char.isprintable() else "�" for char in text)
    return text if len(text) <= _SHOWN_MAX else text[: _SHOWN_MAX - 1] + "…"


@dataclass(frozen=True)
class Text:
    """A file's text, split where YAML breaks lines."""

    path: Path
    text: str

    @cached_property
    def lines(self) -> list[str]:
        return _BREAK.split(self.text)

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *(match.end() for match in _BREAK.finditer(self.text))]

    @cached_property
    def has_content(self) -> bool:
        """False for a file of blank lines, comments and document marks only."""
        return any(line.split("#")[0].strip() not in ("", "---", "...") for line in self.lines)

    def position(self, offset: int) -> Position:
        """Line and column of a character's offset."""
        line = bisect_right(self._starts, offset) - 1
        return Position(line, offset - self._starts[line])

    def problem(self, at: Position, message: str, hint: str = "") -> Problem:
        """A mistake here, with the line it stands in; a long line is cut around the place."""
        line = self.lines[at.line] if at.line < len(self.lines) else ""
        cut = max(0, at.column - _WIDTH // 2) if len(line) > _WIDTH else 0
        piece = "".join(char if char.isprintable() else " " for char in line[cut : cut + _WIDTH])
        location = Location(self.path, at.line + 1, at.column + 1)
        return Problem(location, message, piece if piece.strip() else "", hint, caret=at.column - cut + 1)

    def refuse(self, at: Position, message: str, hint: str = "") -> NoReturn:
        """Raises InputError for a mistake after which the rest cannot be read."""
        raise InputError(self.problem(at, message, hint))


@dataclass
class Places:
    """Positions by path into the file's values: `places.at("timeline", 0, "on")`."""

    text: Text
    _values: dict[Loc, Position] = field(default_factory=dict)
    _keys: dict[Loc, Position] = field(default_factory=dict)
    tags: dict[Loc, str] = field(default_factory=dict)
    """YAML tags of the values that carry one."""

    @classmethod
    def of_file(cls, path: Path) -> Places:
        """For a file that cannot be shown: its name alone."""
        return cls(Text(path, ""))

    @property
    def path(self) -> Path:
        return self.text.path

    def add(self, loc: Loc, value: Position, key: Position | None = None) -> None:
        """Remember where a value, and the key before it, stand."""
        self._values[loc] = value
        if key is not None:
            self._keys[loc] = key

    def copy(self) -> Places:
        """The same places, to be changed apart."""
        return Places(self.text, dict(self._values), dict(self._keys), dict(self.tags))

    def graft(self, source: Loc, at: Loc) -> None:
        """What stood at `at`, and below it, stands where `source` does from now on."""
        for table in (self._values, self._keys, self.tags):
            known: dict[Loc, Any] = table
            moved = {
                (*at, *loc[len(source) :]): one for loc, one in known.items() if loc[: len(source)] == source
            }
            for loc in [loc for loc in known if loc[: len(at)] == at]:
                del known[loc]
            known.update(moved)

    def known(self, loc: Loc) -> Loc:
        """The longest part of a path that stands in the file; names that only a validator knows are left out."""
        found: Loc = ()
        for part in loc:
            if (*found, part) in self._values:
                found = (*found, part)
        return found

    def written(self, *loc: str | int) -> bool:
        """Whether this very key or item stands in the file."""
        return loc in self._values

    def at(self, *loc: str | int) -> Location:
        """Where the value stands; for one that was left out, what would hold it."""
        position = self._values.get(self.known(loc), Position(0, 0))
        return Location(self.path, position.line + 1, position.column + 1)

    def problem(self, loc: Loc, message: str, hint: str = "", *, key: bool = False) -> Problem:
        """A mistake at the value (or, with `key`, at the key) of this path."""
        found = self.known(loc)
        position = self._values.get(found, Position(0, 0))
        # A lone target stands where a list of them may: its item 0 is the value itself.
        left_out = any(isinstance(part, str) for part in loc[len(found) :])
        if key or (left_out and found in self._keys):
            position = self._keys.get(found, position)
        return self.text.problem(position, message, hint)
