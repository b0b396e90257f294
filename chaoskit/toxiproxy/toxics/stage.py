"""The part of a toxic that works on one connection: a stage in the chain between a source and a sink.

    source ──feed──► Stage ──port.emit──► Stage ──port.emit──► sink
           ──end───►       ──port.emit_end─►     ──port.emit_end─►

A stage never waits and is never waited for. It holds what it must, says how much (`held_bytes`), and the flow
stops reading the source while any stage holds `limit_bytes` or more. That is why adding and removing a toxic
answers at once, whatever the clients do.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable, Iterable
from typing import Generic, Protocol, TypeVar

from chaoskit.toxiproxy.toxics.settings import Settings

S = TypeVar("S", bound=Settings)


class Timer(Protocol):
    """A pending call that can be cancelled."""

    def cancel(self) -> None: ...


class Port(Protocol):
    """What a stage may do to its connection. Times are seconds of one monotonic clock."""

    rng: random.Random

    def now(self) -> float: ...

    def emit(self, data: bytes, at: float) -> None:
        """Pass bytes on; `at` is when they count as having been read."""

    def emit_end(self) -> None:
        """Pass the end of the stream on; nothing may follow."""

    def finish(self) -> None:
        """Deliver what later stages hold, then close both sides of the connection."""

    def reset(self) -> None:
        """Close both sides at once with a TCP reset."""

    def wake(self, at: float, call: Callable[[], None]) -> Timer:
        """Call at that time, to the millisecond; cancel it when it is no longer wanted."""


class Stage(Generic[S]):
    """One toxic on one direction of one connection. This base passes everything through."""

    limit_bytes = 64 * 1024

    def __init__(self, settings: S, port: Port) -> None:
        self.settings = settings
        self.port = port
        self.held_bytes = 0

    def start(self) -> None:
        """The toxic has begun to apply to this connection."""

    def feed(self, data: bytes, at: float) -> None:
        """Bytes arrived that count as read at `at`."""
        self.port.emit(data, at)

    def end(self) -> None:
        """The source has no more bytes."""
        self.port.emit_end()

    def update(self, settings: S) -> None:
        """The attributes changed while the connection is open."""
        self.settings = settings

    def release(self) -> None:
        """The toxic was removed: pass on, in order, everything that is held."""

    def cancel(self) -> None:
        """The connection is gone: drop everything and stop every timer."""


class PacedStage(Stage[S]):
    """A stage that holds pieces in order until the time of each has come."""

    #: Pieces sent in one turn of the event loop leave in one system call; slices must not.
    one_per_turn = False

    def __init__(self, settings: S, port: Port) -> None:
        super().__init__(settings, port)
        self._queue: deque[tuple[float, bytes, float]] = deque()
        self._ended = False
        self._timer: Timer | None = None
        self.last_due = -math.inf

    def pieces(self, data: bytes, at: float) -> Iterable[tuple[float, bytes]]:
        """Cut `data` into pieces, each with the time it is due; a due time of infinity holds it until an update."""
        raise NotImplementedError

    def feed(self, data: bytes, at: float) -> None:
        for due, piece in self.pieces(data, at):
            self.last_due = max(self.last_due, due)
            self._queue.append((self.last_due, piece, at))
            self.held_bytes += len(piece)
        self._run()

    def end(self) -> None:
        self._ended = True
        self._run()

    def update(self, settings: S) -> None:
        self.settings = settings
        held = list(self._queue)
        self._drop()
        self.last_due = -math.inf
        for _, piece, at in held:
            self.feed(piece, at)

    def release(self) -> None:
        held = list(self._queue)
        ended = self._ended
        self.cancel()
        for _, piece, at in held:
            self.port.emit(piece, at)
        if ended:
            self.port.emit_end()

    def cancel(self) -> None:
        self._drop()
        self._ended = False

    def _drop(self) -> None:
        self._queue.clear()
        self.held_bytes = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _run(self) -> None:
        while self._queue and self._queue[0][0] <= self.port.now():
            due, piece, at = self._queue.popleft()
            self.held_bytes -= len(piece)
            self.port.emit(piece, max(due, at))
            if self.one_per_turn:
                break
        if self._timer is None and self._queue and self._queue[0][0] != math.inf:
            self._timer = self.port.wake(self._queue[0][0], self._woken)
        if self._ended and not self._queue:
            self._ended = False
            self.port.emit_end()

    def _woken(self) -> None:
        self._timer = None
        self._run()
