"""Records a run's events: the only writer of events.jsonl, and the place where onlookers hear of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from chaoskit.clock import Clock
from chaoskit.evidence.chain import ChainWriter
from chaoskit.model.history import Event, Operation

Listener = Callable[[Event], None]
"""Hears every event just after it was written."""
Onlooker = Callable[[Sequence[Operation]], None]
"""Sees finished operations as the journals tell of them, every few tens of milliseconds."""


class Recorder:
    """Appends facts to the hash chain in `path`; one write(2) an event, some tens of microseconds.

    A listener that raises is told nothing more: what a person sees must never end a measurement.
    """

    def __init__(self, path: Path, clock: Clock, listener: Listener | None = None) -> None:
        self._chain = ChainWriter(path)
        self._clock = clock
        self._listener = listener

    def record(self, kind: str, /, **data: Any) -> Event:
        """Append one event at the current instant. Raises EnvironmentBroken if it cannot be written."""
        event = self._chain.append(self._clock(), kind, data)
        self._tell(event)
        return event

    async def seal(self, files: Mapping[str, str]) -> None:
        """Append the last event; return once the whole chain is on disk. `files`: path → SHA-256."""
        write = partial(self._chain.append, self._clock(), "seal", {"files": dict(files)}, sync=True)
        self._tell(await asyncio.to_thread(write))

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Record the beginning and, whatever happens, the end of a phase."""
        self.record("phase", name=name, state="begin")
        try:
            yield
        finally:
            self.record("phase", name=name, state="end")

    def close(self) -> None:
        """No event follows."""
        self._chain.close()

    def _tell(self, event: Event) -> None:
        if self._listener is None:
            return
        try:
            self._listener(event)
        except Exception as error:  # noqa: BLE001 - foreign code that only displays
            self._listener = None
            self.record("listener.failed", error=f"{type(error).__name__}: {error}")
