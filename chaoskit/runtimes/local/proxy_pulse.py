"""What the proxy of the links notes of itself while it runs, and its silence: when it was stopped or starved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from chaoskit.errors import EnvironmentBroken
from chaoskit.model.lease import ProcessState
from chaoskit.runtimes.process_table import state
from chaoskit.runtimes.record import Identity

SILENT_NS = 2_000_000_000
"""It says every second that it lives. After this long it has been stopped, or had no processor, and has not gone on."""
_WORDS: dict[ProcessState, str] = {"stopped": "its process is stopped", "running": "it has no processor"}

Held = tuple[int, int | None, str]
"""From, until (None: it had not gone on when this was seen), and why; ns."""


class ProxyPulse:
    """Reads the file that a proxy appends to (`toxiproxy.server.pulse`). `process` is who writes it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.process: Identity | None = None
        self._offset = 0
        self._rest = b""
        self._alive_ns: int | None = None
        self._told = False
        self._ended = False
        self._held: list[Held] = []

    def read(self, now: int) -> tuple[Held, ...]:
        """All that is known so far, in the order in which it became known.

        One that has never said anything is silent since the first look. Raises EnvironmentBroken for a line that nobody
        can read: it may have been one that told of a stop.
        """
        for line in self._lines():
            self._take(self._read(line))
        alive = self._alive_ns
        if alive is None:
            alive = self._alive_ns = now
        if not (self._ended or self._told) and now - alive > SILENT_NS:
            self._told = True
            self._held.append((alive, None, self._why()))
        return tuple(self._held)

    def _read(self, line: bytes) -> dict[str, Any]:
        try:
            record: dict[str, Any] = json.loads(line)
        except ValueError:
            raise EnvironmentBroken(
                f"when the proxy of the links was held up is not known: {self.path} has a line of which a part is "
                f"missing, {line[:80].decode(errors='replace')!r}; is its disk full?"
            ) from None
        return record

    def _take(self, record: dict[str, Any]) -> None:
        if record["r"] == "held":
            self._held.append((record["lo"], record["hi"], "it was stopped, or had no processor"))
        self._alive_ns = record["hi"] if record["r"] == "held" else record["t"]
        self._ended = record["r"] == "end"
        self._told = False

    def _why(self) -> str:
        if self.process is None:
            return "it has not been heard of since"
        return _WORDS.get(state(self.process.pid, self.process.start), "its process is gone")

    def _lines(self) -> list[bytes]:
        try:
            with self.path.open("rb") as file:
                file.seek(self._offset)
                fresh = file.read()
        except FileNotFoundError:
            return []
        self._offset += len(fresh)
        *lines, self._rest = (self._rest + fresh).split(b"\n")
        return lines
