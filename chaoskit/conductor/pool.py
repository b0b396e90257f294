"""Exchanges that are coroutines over connections of their own kind: limits, idle connections, and who ends what.

exchange ──► idle connection, or a new one ──► carry ──► answer
    │
    └─ at its limit the exchange ends, whatever its coroutine does; the coroutine is cancelled, its connection cut
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import Any

from chaoskit.clock import Clock
from chaoskit.conductor.answer import Answer, Ending, OnAnswer


class Line(ABC):
    """One connection to the system; carries one exchange at a time."""

    idle_since_ns = 0

    @property
    @abstractmethod
    def usable(self) -> bool:
        """Whether it may carry another exchange."""

    @abstractmethod
    async def carry(self, exchange: PooledExchange) -> None:
        """Send the exchange's message and end it. May raise only for a mistake of ours."""

    def rest(self) -> None:  # noqa: B027 - most have nothing to do
        """It has become idle: watch for its end, if that can be done."""

    def wake(self) -> None:  # noqa: B027 - as `rest`
        """It is about to carry an exchange."""

    @abstractmethod
    def drop(self) -> None:
        """Cut it; never waits."""


class PooledExchange:
    """One message on its way. Ends exactly once, at the latest at its limit."""

    def __init__(self, message: Any, clock: Clock, on_answer: OnAnswer) -> None:
        self.message = message
        self.sent_ns: int | None = None
        self.reached = False
        """Whether the system answered at all: from then on, what fails is in doubt."""
        self.task: asyncio.Task[None] | None = None
        self.timer: asyncio.TimerHandle | None = None
        self._clock = clock
        self._on_answer: OnAnswer | None = on_answer

    @property
    def ended(self) -> bool:
        return self._on_answer is None

    def send(self) -> None:
        """Note that from now on bytes of the message may leave: called just before, so never too late."""
        self.sent_ns = self._clock()

    def end(self, ending: Ending, **more: Any) -> None:
        """Tell the caller; what comes later is dropped."""
        on_answer, self._on_answer = self._on_answer, None
        if on_answer is None:
            return
        if self.timer is not None:
            self.timer.cancel()
        on_answer(Answer(ending, self.sent_ns, self._clock(), **more))


class Pool(ABC):
    """Where the messages of one kind go.

    `keep=False` opens a connection for each exchange, as a new customer would. With `keep=True` the last used
    connection is used first, and one failure drops every idle one.
    """

    idle_max_ns = 60_000_000_000

    def __init__(self, *, keep: bool, clock: Clock) -> None:
        self.keep, self.clock = keep, clock
        self._idle: list[Line] = []
        self._under_way: set[PooledExchange] = set()

    @abstractmethod
    async def open(self, exchange: PooledExchange) -> Line | None:
        """A new connection for the exchange; None when there is none, and the exchange was ended."""

    def exchange(self, message: Any, limit_ns: int, on_answer: OnAnswer) -> PooledExchange:
        """As `answer.Target` says."""
        loop = asyncio.get_running_loop()
        exchange = PooledExchange(message, self.clock, on_answer)
        # uvloop's timers count whole ms from a cached now and may fire up to 1 ms early
        exchange.timer = loop.call_later(limit_ns / 1e9 + 0.001, self._give_up, exchange)
        self._under_way.add(exchange)
        exchange.task = loop.create_task(self._run(exchange))
        exchange.task.add_done_callback(_surface)
        return exchange

    def close(self) -> None:
        """As `answer.Target` says."""
        for exchange in tuple(self._under_way):
            exchange.end("reset", detail="closed by the measurer")
            if exchange.task is not None:
                exchange.task.cancel()
        self._distrust()

    async def _run(self, exchange: PooledExchange) -> None:
        line = self._take_idle() if self.keep else None
        kept = False
        try:
            line = line or await self.open(exchange)
            if line is None:
                self._distrust()
                return
            if exchange.ended:
                return
            await line.carry(exchange)
            kept = self.keep and line.usable
            if kept:
                line.idle_since_ns = self.clock()
                self._idle.append(line)
                line.rest()
            elif self.keep:
                self._distrust()
        finally:
            self._under_way.discard(exchange)
            if line is not None and not kept:
                self._drop(line)

    def _give_up(self, exchange: PooledExchange) -> None:
        if exchange.sent_ns is None and not exchange.reached:
            exchange.end("connect", detail="not connected within the limit")
        else:
            exchange.end("limit", detail="no whole answer within the limit")
        if exchange.task is not None:
            exchange.task.cancel()  # which drops its connection, once nothing waits on it any more
        self._distrust()

    def _take_idle(self) -> Line | None:
        oldest = self.clock() - self.idle_max_ns
        while self._idle:
            line = self._idle.pop()
            line.wake()
            if line.usable and line.idle_since_ns >= oldest:
                return line
            self._drop(line)
        return None

    def _distrust(self) -> None:
        while self._idle:
            self._drop(self._idle.pop())

    def _drop(self, line: Line) -> None:
        line.wake()
        line.drop()


def _surface(task: asyncio.Task[None]) -> None:
    """A mistake of ours goes to the loop's exception handler, not into a task that nobody looks at."""
    if not task.cancelled():
        task.result()
