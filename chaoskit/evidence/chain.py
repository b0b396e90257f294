"""events.jsonl: append-only, one write a line, each line carrying the hash of the one before.

    {"data":…,"hash":h1,"kind":…,"n":0,"prev":"","t":…}
                     └────────────────────────┐
    {"data":…,"hash":h2,"kind":…,"n":1,"prev":h1,"t":…}

`hash` is the SHA-256 of the line's canonical JSON (sorted keys, no spaces, nothing escaped that JSON does not ask for)
without `hash`; in the file, control and direction characters stand as \\uXXXX, so that `cat` shows it safely. The last
event of a run that was closed properly is the seal: it names the SHA-256 of every other file of the history.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydantic import ValidationError

from chaoskit.errors import EnvironmentBroken
from chaoskit.model.history import Event
from chaoskit.model.plain_text import escaped_line
from chaoskit.regular_file import read_regular

PROBLEMS_MAX = 100
"""Damaged lines after which the rest is not read: it is no chain, and a large file of rubbish takes no time."""


def canonical(value: Mapping[str, Any]) -> bytes:
    """One line of canonical JSON: sorted keys, no spaces, UTF-8; what is no Unicode (a torn log line) becomes '?'.

    Raises TypeError or ValueError for what JSON cannot say.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "replace")


def link_hash(fields: Mapping[str, Any]) -> str:
    """SHA-256, hex, of an event's canonical JSON without its own hash."""
    return hashlib.sha256(canonical({k: v for k, v in fields.items() if k != "hash"})).hexdigest()


class ChainWriter:
    """The only writer of one events.jsonl. Each event is one write(2) on an O_APPEND descriptor.

    Raises EnvironmentBroken when the file cannot be written: a run that cannot be recorded has no answer. What was
    written of that event is cut off again, so that one may follow once there is space.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = os.open(
                path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o644
            )
        except OSError as error:
            raise EnvironmentBroken(f"cannot record events in {path}: {error.strerror}") from error
        self._n = 0
        self._prev = ""
        self._size = 0

    def append(
        self, t: int, kind: str, data: Mapping[str, Any] | None = None, *, sync: bool = False
    ) -> Event:
        """Write one event; `sync` also waits until it is on disk. Returns what was written."""
        fields: dict[str, Any] = {
            "n": self._n,
            "t": t,
            "kind": kind,
            "data": dict(data or {}),
            "prev": self._prev,
        }
        fields["hash"] = link_hash(fields)
        line = escaped_line(canonical(fields)) + b"\n"
        try:
            written = os.write(self._file, line)
            if written != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if sync:
                os.fsync(self._file)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self._size)
            raise EnvironmentBroken(f"cannot record events in {self.path}: {error.strerror}") from error
        self._size += written
        self._n += 1
        self._prev = fields["hash"]
        # Through JSON, so that the caller sees exactly what a reader will.
        return Event.model_validate_json(line)

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@dataclass(frozen=True)
class Chain:
    """What a reader found: the events that can be read, and everything wrong with the chain.

    `torn`: the last line is incomplete, as a killed writer leaves it.
    """

    events: tuple[Event, ...]
    problems: tuple[str, ...] = ()
    torn: bool = False

    @property
    def sealed(self) -> bool:
        return bool(self.events) and self.events[-1].kind == "seal"


def verify(path: Path) -> Chain:
    """Read and check a whole chain. Damage becomes `problems`, each naming its line; it never raises for content."""
    try:
        raw = read_regular(path)
    except OSError as error:
        return Chain((), (f"{path.name}: {error.strerror}",))
    lines = raw.split(b"\n")
    tail = lines.pop()
    events: list[Event] = []
    problems: list[str] = []
    prev = ""
    for number, line in enumerate(lines, start=1):
        event, why = _read(line)
        if event is None:
            problems.append(f"{path.name}: line {number} is no event: {why}")
            if len(problems) >= PROBLEMS_MAX:
                problems.append(f"{path.name}: what follows line {number} was not read")
                break
            continue
        if event.n != number - 1:
            problems.append(
                f"{path.name}: line {number} is event {event.n}; events are missing or out of order"
            )
        if event.prev != prev:
            problems.append(f"{path.name}: line {number} does not continue the line before it")
        if why:
            problems.append(f"{path.name}: line {number} {why}")
        prev = event.hash
        events.append(event)
    sealed_at = next((i for i, event in enumerate(events) if event.kind == "seal"), None)
    if sealed_at is not None and (sealed_at != len(events) - 1 or tail):
        problems.append(f"{path.name}: something was written after the seal")
    return Chain(tuple(events), tuple(problems), torn=bool(tail))


def _read(line: bytes) -> tuple[Event | None, str]:
    """The event of one line, and what is wrong with it."""
    try:
        event = Event.model_validate_json(line)
        fields = json.loads(line)
        plain = canonical(fields)
        if line not in (plain, escaped_line(plain)):  # the plain one was written by earlier versions
            return event, "is not in canonical form: it was rewritten"
        return event, "" if link_hash(fields) == event.hash else "was changed after it was written"
    except ValidationError as error:
        return None, error.errors(include_url=False, include_input=False)[0]["msg"]
    except (ValueError, RecursionError) as error:
        return None, str(error)
