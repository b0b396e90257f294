"""Records a run's events: the only writer of events.jsonl, and the place where onlookers hear of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from chaoskit.clock import Clock
from chaoskit.errors import EnvironmentBroken
from chaoskit.evidence.chain import ChainWriter
from chaoskit.model.history import Event, Operation

T = TypeVar("T")
Listener = Callable[[Event], None]
"""Hears every event just after it was written."""
Onlooker = Callable[[Sequence[Operation]], None]
"""Sees finished operations as the journals tell of them, every few tens of milliseconds."""


class Recorder:
    """Appends facts to the hash chain in `path`; one write(2) an event, some tens of microseconds.

    When the file can no longer be written (a full disk), `failure` says so, `on_failure` is called, and later events
    are lost until `resume`: what was broken must be undone even then. A listener that raises is told nothing more: what
    a person sees must never end a measurement.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        listener: Listener | None = None,
        on_failure: Callable[[str], None] | None = None,
    ) -> None:
        self.failure: EnvironmentBroken | None = None
        self._lost = 0
        self._chain = ChainWriter(path)
        self._clock = clock
        self._listener = self.harmless(listener) if listener is not None else None
        self._on_failure = on_failure

    def record(self, kind: str, /, **data: Any) -> Event:
        """Append one event at the current instant, and return it."""
        event = self._write(self._clock(), kind, data)
        self._tell(event)
        return event

    def resume(self) -> None:
        """There is space again: say how many events are missing, and go on. Nothing, if none is."""
        if self.failure is not None:
            why, lost, self.failure, self._lost = str(self.failure), self._lost, None, 0
            self.record("events.lost", count=lost, why=why)

    async def seal(self, files: Mapping[str, str]) -> None:
        """Append the last event; return once the whole chain is on disk. `files`: path → SHA-256."""
        write = partial(self._write, self._clock(), "seal", {"files": dict(files)}, sync=True)
        self._tell(await asyncio.to_thread(write))

    def _write(self, t: int, kind: str, data: Mapping[str, Any], *, sync: bool = False) -> Event:
        if self.failure is None:
            try:
                return self._chain.append(t, kind, data, sync=sync)
            except EnvironmentBroken as error:
                self.failure = error
                if self._on_failure is not None:
                    self._on_failure(str(error))
        self._lost += 1
        return Event(n=-1, t=t, kind=kind, data=dict(data), prev="", hash="")

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

    def harmless(self, show: Callable[[T], None]) -> Callable[[T], None]:
        """`show` as something that never raises: after its first error, which is recorded, it is called no more."""
        failed = False

        def call(what: T) -> None:
            nonlocal failed
            if failed:
                return
            try:
                show(what)
            except Exception as error:  # noqa: BLE001 - foreign code that only displays
                failed = True
                self.record("listener.failed", error=f"{type(error).__name__}: {error}")

        return call

    def _tell(self, event: Event) -> None:
        if self._listener is not None:
            self._listener(event)
