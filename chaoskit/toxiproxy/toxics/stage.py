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
from collections.abc import Callable, Iterable, Iterator
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
    """A stage that holds pieces in order until the time of each has come.

    A chunk is cut piece by piece, as time comes for them: cutting a large one into bytes at once would stall the
    event loop, and with it the API.
    """

    #: Pieces sent in one turn of the event loop leave in one system call; slices must not.
    one_per_turn = False

    def __init__(self, settings: S, port: Port) -> None:
        super().__init__(settings, port)
        self.last_due = -math.inf
        self._chunks: deque[tuple[bytes, float]] = deque()  # not begun
        self._chunk: tuple[bytes, float] = (b"", 0.0)  # begun
        self._sent_bytes = 0  # of the chunk begun
        self._pieces: Iterator[tuple[float, bytes]] = iter(())
        self._next: tuple[float, bytes] | None = None
        self._ended = False
        self._timer: Timer | None = None

    def pieces(self, data: bytes, at: float) -> Iterable[tuple[float, bytes]]:
        """Cut `data` into consecutive pieces, each with the time it is due; infinity holds it until an update."""
        raise NotImplementedError

    def feed(self, data: bytes, at: float) -> None:
        self._chunks.append((data, at))
        self.held_bytes += len(data)
        self._run()

    def end(self) -> None:
        self._ended = True
        self._run()

    def update(self, settings: S) -> None:
        self.settings = settings
        held = self._drop()
        self.last_due = self.port.now()
        for data, at in held:
            self.feed(data, at)

    def release(self) -> None:
        held, ended = self._drop(), self._ended
        self._ended = False
        for data, at in held:
            self.port.emit(data, at)
        if ended:
            self.port.emit_end()

    def cancel(self) -> None:
        self._drop()
        self._ended = False

    def _drop(self) -> list[tuple[bytes, float]]:
        """Forget everything that is held, and answer it."""
        data, at = self._chunk
        rest = data[self._sent_bytes :]
        held = [(rest, at), *self._chunks] if rest else list(self._chunks)
        self._chunks.clear()
        self._chunk, self._sent_bytes, self._pieces, self._next = (b"", 0.0), 0, iter(()), None
        self.held_bytes = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return held

    def _peek(self) -> tuple[float, bytes] | None:
        """The next piece and when it is due; due times never go back, which keeps the order."""
        while self._next is None:
            cut = next(self._pieces, None)
            if cut is not None:
                self.last_due = max(self.last_due, cut[0])
                self._next = (self.last_due, cut[1])
            elif self._chunks:
                self._chunk, self._sent_bytes = self._chunks.popleft(), 0
                self._pieces = iter(self.pieces(*self._chunk))
            else:
                break
        return self._next

    def _run(self) -> None:
        while (piece := self._peek()) is not None and piece[0] <= self.port.now():
            due, data = piece
            self._next = None
            self._sent_bytes += len(data)
            self.held_bytes -= len(data)
            self.port.emit(data, max(due, self._chunk[1]))
            if self.one_per_turn:
                break
        piece = self._peek()
        if piece is not None and self._timer is None and piece[0] != math.inf:
            self._timer = self.port.wake(piece[0], self._woken)
        if self._ended and piece is None:
            self._ended = False
            self.port.emit_end()

    def _woken(self) -> None:
        self._timer = None
        self._run()
