"""Append-only journals of operations: what a measurer was about to do is on file before it does it.

One JSON object a line, each line one write(2) to a file opened with O_APPEND, nothing buffered in the
process: what was recorded survives a SIGKILL of the writer, and a reader sees at most one torn line, the
last.

    {"r":"begin","t",...}                                                    the first line
    {"r":"intent","id","key","journey","attempt","tap","intended","woke",    before the request is sent
     "payload_hash","amount","currency","values"}                              and "other":true for another payload
    {"r":"done","id","sent","done","outcome","status","error","read"}
    {"r":"missed","id","key","journey","attempt","tap","intended","error"}   scheduled, never sent
    {"r":"beat","t","scheduled","sent","missed","outstanding","late_max_ms"} the measurer lives
    {"r":"end","t","scheduled","sent","missed","late_ms":{"p50","p99","max"}} the last; absent if it was killed

Times are CLOCK_MONOTONIC ns. Lateness is `woke` − `intended`. An intent without `done` is unknown, its `sent`
taken as `woke`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal, Self

import msgspec
from pydantic_core import PydanticSerializationError, from_json, to_json

from chaoskit.conductor.journal_records import (
    OF_DONE,
    OF_INTENT,
    OF_MISSED,
    Beat,
    Done,
    Intent,
    Usual,
    answered,
    begun,
    checked,
    first_line,
    usual,
    usual_lines,
)
from chaoskit.errors import EnvironmentBroken
from chaoskit.model.operation import MISSED_LATE as MISSED_LATE
from chaoskit.model.operation import Operation
from chaoskit.model.plain_text import escaped, escaped_line
from chaoskit.regular_file import open_regular

MISSED_OUTSTANDING = "too many outstanding"
"""`error` of a missed operation for which no request was free, because the system held on to too many."""

_ENCODER = msgspec.json.Encoder()
PROBLEMS_MAX = 100
"""How many damaged lines of a journal are listed; one is enough for the run to be unknown."""
BLOCK_BYTES = 1 << 18
"""So much is read and decoded at once: enough for a thousand lines, and little to go through line by line."""


class JournalWriter:
    """Appends records to one file; safe against SIGKILL, not against a power cut (that ends the run anyway)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def write(self, record: Intent | Done | dict[str, Any]) -> None:
        """Append one record; raises EnvironmentBroken if it did not reach the file whole."""
        try:
            line = to_json(record) if isinstance(record, dict) else _ENCODER.encode(record)
        except (PydanticSerializationError, UnicodeEncodeError):  # a lone surrogate, as in the name of a file
            line = escaped(json.dumps(msgspec.to_builtins(record), ensure_ascii=False)).encode()
        self.write_line(line + b"\n")

    def write_line(self, line: bytes) -> None:
        """Append one encoded line, its newline included; what would drive a terminal that shows it is escaped."""
        line = escaped_line(line)
        try:
            written = os.write(self._file, line)
        except OSError as error:
            raise EnvironmentBroken(f"{self.path}: cannot record operations: {error.strerror}") from error
        if written != len(line):
            raise EnvironmentBroken(f"{self.path}: cannot record operations: the file system is full")

    def close(self) -> None:
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class JournalReader:
    """Reads a journal while it is being written, or after its writer was killed.

    `problems` lists every line that is damaged; a torn last line is none, it is tried again at the next poll.
    `late_ns` is the lateness of every scheduled operation that was sent. `longest_silence_ns` is the longest time
    between two signs of life (`begin`, `beat`, `end`): well above the header's `beat_ns`, the measurer was stopped.
    """

    def __init__(self, path: Path, seen: Callable[[bytes], object] | None = None) -> None:
        """`seen` is given every block of bytes, just as it was read."""
        self.path = path
        self._seen = seen
        self.header: dict[str, Any] | None = None
        self.end: dict[str, Any] | None = None
        self.last_beat: dict[str, Any] | None = None
        self.problems: list[str] = []
        self.late_ns: list[int] = []
        self.longest_silence_ns = 0
        self._alive_ns: int | None = None
        self._scheduled = 0
        self._operations: dict[int, Operation | Intent] = {}
        self._open: set[int] = set()
        self._offset = 0
        self._line = 0
        self._rest = b""
        self._torn = False

    def poll(self) -> list[Operation]:
        """Operations finished or missed since the last poll, in the order of their records; [] if there is no
        file yet."""
        finished: list[Operation] = []
        try:
            with open_regular(self.path) as file:
                file.seek(self._offset)
                while fresh := file.read(BLOCK_BYTES):
                    if not fresh.endswith(b"\n"):
                        fresh += file.readline()
                    self._offset += len(fresh)
                    if self._seen is not None:
                        self._seen(fresh)
                    lines, end, self._rest = (self._rest + fresh).rpartition(b"\n")
                    finished += self._take(lines + end)
        except FileNotFoundError:
            return []
        return finished

    def operations(self) -> list[Operation]:
        """Every operation of which there is a record so far, in the order recorded; those without an answer
        are unknown."""
        self.poll()
        return [
            operation if isinstance(operation, Operation) else begun(self._source, operation)
            for operation in self._operations.values()
        ]

    @property
    def outstanding(self) -> int:
        """How many operations have been sent and not been answered."""
        return len(self._open)

    @property
    def alive_ns(self) -> int | None:
        """When the measurer last gave a sign of life, CLOCK_MONOTONIC."""
        return self._alive_ns

    @property
    def torn(self) -> bool:
        """Whether the file ends inside a line, as a killed writer may leave it."""
        return bool(self._rest)

    def _take(self, block: bytes) -> list[Operation]:
        """What a block of lines finishes: quickly, if they are what nearly all are."""
        if self.header is not None and self.end is None and (records := usual_lines(block)) is not None:
            return self._follow(records, block)
        finished = []
        for line in block.split(b"\n")[:-1]:
            finished += self._follow([usual(line) if self.header and self.end is None else None], line)
        return finished

    def _follow(self, records: Iterable[Usual | None], block: bytes) -> list[Operation]:
        """What records finish, one a line of the block; whatever is unusual goes the long way."""
        operations, unanswered, finished = self._operations, self._open, []
        for number, record in enumerate(records):
            self._line += 1
            if type(record) is Intent and record.id not in operations:
                operations[record.id] = record
                unanswered.add(record.id)
                if record.attempt == 1 and not record.tap:
                    self._scheduled += 1
                    self.late_ns.append(record.woke - record.intended)
            elif (
                type(record) is Done
                and record.id in unanswered
                and type(intent := operations[record.id]) is Intent
            ):
                unanswered.remove(record.id)
                operation = operations[record.id] = answered(self._source, intent, record)
                finished.append(operation)
            elif type(record) is Beat:
                self._alive(record.t)
                self.last_beat = msgspec.to_builtins(record)
            elif (unusual := self._long_way(block.split(b"\n")[number])) is not None:
                finished.append(unusual)
        return finished

    def _long_way(self, line: bytes) -> Operation | None:
        try:
            record = from_json(line)
            if not isinstance(record, dict):
                raise ValueError("is no object")
            return self._record(record)
        except (ValueError, KeyError, TypeError) as error:  # pydantic's ValidationError is a ValueError
            if len(self.problems) < PROBLEMS_MAX:
                self.problems.append(f"{self.path.name}:{self._line}: {first_line(error)}")
            elif len(self.problems) == PROBLEMS_MAX:
                self.problems.append(f"{self.path.name}:{self._line}: and more, which are not listed")
            return None

    def _record(self, record: dict[str, Any]) -> Operation | None:
        kind = record["r"]
        if self._line == 1 and kind != "begin":
            self.problems.append(f"{self.path.name}:1: the journal does not start with `begin`")
        if self.end is not None:
            raise ValueError(f"`{kind}` after `end`")
        match kind:
            case "intent":
                self._intend(record)
            case "done":
                return self._finish(record)
            case "missed":
                return self._miss(record)
            case "begin":
                self._begin(record)
            case "beat":
                self._alive(record["t"])
                self.last_beat = record
            case "end":
                self._end(record)
            case _:
                raise ValueError(f"unknown record {kind!r}")
        return None

    def _begin(self, record: dict[str, Any]) -> None:
        if self.header is not None:
            raise ValueError("a second `begin`")
        if record["source"] not in ("load", "prober"):
            raise ValueError(f"`begin` names the source {record['source']!r}; known: load, prober")
        self._alive(record["t"])
        self.header = record

    def _alive(self, at_ns: int) -> None:
        if self._alive_ns is not None:
            self.longest_silence_ns = max(self.longest_silence_ns, at_ns - self._alive_ns)
        self._alive_ns = at_ns

    def _end(self, record: dict[str, Any]) -> None:
        self._alive(record["t"])
        self.end = record
        if record["scheduled"] != self._scheduled:
            raise ValueError(
                f"`end` counts {record['scheduled']} arrivals, the journal has {self._scheduled}"
            )
        if self._open:
            raise ValueError(f"{len(self._open)} operations have no `done` although the measurer drained")

    @property
    def _source(self) -> Literal["load", "prober"]:
        if self.header is None:
            raise ValueError("an operation before `begin`")
        source: Literal["load", "prober"] = self.header["source"]
        return source

    def _intend(self, record: dict[str, Any]) -> None:
        identity, woke = record["id"], record["woke"]
        if identity in self._operations:
            raise ValueError(f"id {identity} a second time")
        fields = {name: record[name] for name in OF_INTENT}
        other = record.get("other", False)
        operation = checked(source=self._source, sent=woke, other=other, **fields)
        self._operations[identity] = operation
        self._open.add(identity)
        if operation.attempt == 1 and not operation.tap:
            self._scheduled += 1
            self.late_ns.append(woke - operation.intended)

    def _finish(self, record: dict[str, Any]) -> Operation:
        identity = record["id"]
        if identity not in self._open:
            raise ValueError(f"`done` of {identity}, which is not outstanding")
        before = self._operations[identity]
        fields = {name: getattr(before, name) for name in OF_INTENT}
        answer = {name: record[name] for name in OF_DONE}
        operation = checked(source=self._source, other=before.other, **fields, **answer)
        self._open.discard(identity)
        self._operations[identity] = operation
        return operation

    def _miss(self, record: dict[str, Any]) -> Operation:
        identity = record["id"]
        if identity in self._operations:
            raise ValueError(f"id {identity} a second time")
        operation = checked(source=self._source, **{name: record[name] for name in OF_MISSED})
        self._operations[identity] = operation
        self._scheduled += operation.attempt == 1 and not operation.tap
        return operation
